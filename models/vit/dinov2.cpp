// SPDX-License-Identifier: Apache-2.0
//
// DINOv2 (Oquab et al. 2024): ViT with LayerScale, positions interpolated to every image's own
// grid, SwiGLU in the largest; and with register tokens (Darcet et al. 2024), which have no
// positions. Ports transformers v4.57 modeling_dinov2.py and modeling_dinov2_with_registers.py.
#include <fmt/format.h>

#include "models/heads.hpp"
#include "models/vit/vit_like.hpp"

namespace tessera::models {
namespace {

LayerTensors layer_tensors(bool gated) {
  LayerTensors tensors = kVitLayer;
  tensors.attention_norm = "norm1";
  tensors.ffn_in = gated ? "mlp.weights_in" : "mlp.fc1";
  tensors.ffn_out = gated ? "mlp.weights_out" : "mlp.fc2";
  tensors.ffn_norm = "norm2";
  tensors.attention_scale = "layer_scale1.lambda1";
  tensors.ffn_scale = "layer_scale2.lambda1";
  return tensors;
}

ValueId build(BuildContext& context, Index registers, const VisionDefaults& defaults,
              PositionResize resize) {
  Builder& b = context.builder;
  const Config& config = context.config;
  LayerOptions layer = read_pre_norm_encoder(context, config, defaults.encoder);
  layer.biases.query = layer.biases.key = layer.biases.value = config.boolean("qkv_bias", true);
  layer.gated = config.boolean("use_swiglu_ffn", false);
  if (layer.gated) {
    // hidden_features = (int(hidden_features * 2 / 3) + 7) // 8 * 8           Dinov2SwiGLUFFN
    layer.intermediate.size = (layer.intermediate.size * 2 / 3 + 7) / 8 * 8;
    layer.activation = Activation::silu;
    context.package.intermediate = layer.intermediate.size;
  }
  ImageSpec images = interpolated(read_image_spec(config, defaults), ImageSizes::any, resize);
  if (images.sizes != ImageSizes::any) config.unsupported("image_size", "a square grid of patches");
  images.special_tokens = 1 + registers;
  context.package.program.inputs = images;
  const Dim& H = layer.hidden;
  const std::string& prefix = context.prefix;
  const std::string e = prefix + "embeddings.";

  // x = cat(cls_token, projection(pixels)) + positions; x = cat(x[:1], register_tokens, x[1:])
  //                                                             Dinov2WithRegistersEmbeddings
  Builder::PatchTensors patches{.weight = e + "patch_embeddings.projection.weight",
                                .bias = e + "patch_embeddings.projection.bias",
                                .special = {rows_of(context, e + "cls_token", 1, H, 1)},
                                .positioned = 1};
  if (registers > 0) {
    patches.special.push_back(rows_of(context, e + "register_tokens", registers, H, 1));
  }
  patches.positions =
      rows_of(context, e + "position_embeddings", images.native_rows() - registers, H, 1);
  ValueId x = b.patch_embed("embeddings.out", patches, H);  // (ΣT,H)
  x = encoder_stack(context,
                    equal_layers(context, layer, layer_tensors(layer.gated), "encoder.layer."), x);
  // sequence_output = self.layernorm(x); pooled_output = sequence_output[:, 0, :]
  const std::string norm = prefix + "layernorm";
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, H, layer.norm_eps);
  b.output("last_hidden_state", last);
  const ValueId class_row = normed_row(context, "class", x, 0, norm, layer);  // (S,H)
  b.output("pooler_output", class_row);
  if (context.package.task == Task::sequence_classification) {
    // linear_input = cat([cls_token, patch_tokens.mean(dim=1)]); logits = self.classifier(…)
    //                                                            Dinov2ForImageClassification
    const ValueId mean = b.pool("patches.mean", last, Pooling::mean, images.special_tokens);
    classify_pooled(context, b.concat("classifier.in", {class_row, mean}),
                    {.size = 2 * H.size, .key = H.key});
  }
  output_embedding(context, class_row, "class token");
  return last;
}

}  // namespace

ValueId build_dinov2(BuildContext& context) {
  return build(context, 0,
               {.encoder = {.intermediate_size = 0, .layer_norm_eps = 1e-6}, .patch_size = 14},
               PositionResize::bicubic);
}

ValueId build_dinov2_with_registers(BuildContext& context) {
  return build(context, context.config.integer("num_register_tokens", 4, 0, 4096),
               {.encoder = {.intermediate_size = 0, .layer_norm_eps = 1e-6}},
               PositionResize::bicubic_antialiased);
}

}  // namespace tessera::models
