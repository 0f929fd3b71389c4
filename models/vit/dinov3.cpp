// SPDX-License-Identifier: Apache-2.0
//
// DINOv3 (Siméoni et al. 2025): ViT with registers and LayerScale, gated in the largest; no position
// embeddings: heads of Q and K turn by the place of their patch on the image's own grid, those of the
// class token and the registers do not. Ports transformers v4.57 modeling_dinov3_vit.py. mask_token is
// of training, and so are pos_embed_shift, _jitter and _rescale.
#include <fmt/format.h>

#include "models/rotary/rotary_like.hpp"
#include "models/vit/vit_like.hpp"

namespace tessera::models {
namespace {

constexpr VisionDefaults kDefaults{.encoder = {.hidden_size = 384,
                                               .num_attention_heads = 6,
                                               .intermediate_size = 1536,
                                               .layer_norm_eps = 1e-5}};

LayerTensors layer_tensors(bool gated) {
  return {.query = "attention.q_proj",
          .key = "attention.k_proj",
          .value = "attention.v_proj",
          .attention_output = "attention.o_proj",
          .attention_norm = "norm1",
          // self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))   DINOv3ViTGatedMLP
          .ffn_in = gated ? "mlp.gate_proj" : "mlp.up_proj",
          .ffn_out = "mlp.down_proj",
          .ffn_norm = "norm2",
          .attention_scale = "layer_scale1.lambda1",
          .ffn_scale = "layer_scale2.lambda1",
          .ffn_up = gated ? "mlp.up_proj" : nullptr};
}

/// inv_freq = 1 / rope_theta ** arange(0, 1, 4 / head_dim), once for the rows of patches and once for
/// their columns.                                                 DINOv3ViTRopePositionEmbedding
Rotation grid_rotation(const Config& config, const LayerOptions& layer) {
  const Index head_dim = layer.hidden.size / layer.heads;
  if (head_dim % 4 != 0) {
    config.wrong("num_attention_heads",
                 fmt::format("a number by which {}={} has heads of a multiple of 4 columns, got {}",
                             layer.hidden.key, layer.hidden.size, head_dim));
  }
  const Config rotary = rotary_config(config, "");
  const double theta = rotary.number("rope_theta", 100.0, 0.0);
  if (theta <= 0.0) rotary.wrong("rope_theta", "a number above 0");
  for (const Config& kind : {rotary, config.object("rope_scaling")}) {
    for (const char* key : {"rope_type", "type"}) {
      if (kind.string(key, "default") != "default") kind.unsupported(key, "\"default\"");
    }
  }
  std::vector<float> frequencies = rotary_frequencies(theta, head_dim / 2);
  const std::vector<float> of_columns = frequencies;
  frequencies.insert(frequencies.end(), of_columns.begin(), of_columns.end());
  return {.frequencies = std::move(frequencies), .on_grid = true};
}

}  // namespace

ValueId build_dinov3_vit(BuildContext& context) {
  Builder& b = context.builder;
  const Config& config = context.config;
  LayerOptions layer = read_pre_norm_encoder(context, config, kDefaults.encoder);
  const bool mlp_bias = config.boolean("mlp_bias", true);
  layer.biases = {.query = config.boolean("query_bias", true),
                  .key = config.boolean("key_bias", false),
                  .value = config.boolean("value_bias", true),
                  .attention_output = config.boolean("proj_bias", true),
                  .ffn_in = mlp_bias,
                  .ffn_out = mlp_bias};
  layer.gated = config.boolean("use_gated_mlp", false);
  layer.rotation = b.program().add_rotation(grid_rotation(config, layer));
  const Index registers = config.integer("num_register_tokens", 0, 0, 4096);
  ImageSpec images = read_image_spec(config, kDefaults);
  images.sizes = ImageSizes::any;
  images.special_tokens = 1 + registers;
  context.package.program.inputs = images;
  const Dim& H = layer.hidden;
  const std::string e = context.prefix + "embeddings.";

  // x = cat(cls_token, register_tokens, patch_embeddings(pixels))           DINOv3ViTEmbeddings
  Builder::PatchTensors patches{.weight = e + "patch_embeddings.weight",
                                .bias = e + "patch_embeddings.bias",
                                .special = {rows_of(context, e + "cls_token", 1, H, 1)}};
  if (registers > 0) {
    patches.special.push_back(rows_of(context, e + "register_tokens", registers, H, 1));
  }
  ValueId x = b.patch_embed("embeddings.out", patches, H);  // (ΣT,H)
  // Files of transformers 5 may have the layers one module deeper.
  const bool is_deeper = b.weights().has(context.prefix + "model.layer.0.norm1.weight");
  x = encoder_stack(context,
                    equal_layers(context, layer, layer_tensors(layer.gated),
                                 is_deeper ? "model.layer." : "layer."),
                    x);
  // sequence_output = self.norm(x); pooled_output = sequence_output[:, 0, :]     DINOv3ViTModel
  const std::string norm = context.prefix + "norm";
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, H, layer.norm_eps);
  b.output("last_hidden_state", last);
  const ValueId class_row = normed_row(context, "class", x, 0, norm, layer);  // (S,H)
  b.output("pooler_output", class_row);
  output_embedding(context, class_row, "class token");
  return last;
}

}  // namespace tessera::models
