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

LayerTensors layer_tensors(const std::string& prefix, Index i, bool gated) {
  const std::string l = fmt::format("{}encoder.layer.{}.", prefix, i);
  return {.query = l + "attention.attention.query",
          .key = l + "attention.attention.key",
          .value = l + "attention.attention.value",
          .attention_output = l + "attention.output.dense",
          .attention_norm = l + "norm1",
          .ffn_in = l + (gated ? "mlp.weights_in" : "mlp.fc1"),
          .ffn_out = l + (gated ? "mlp.weights_out" : "mlp.fc2"),
          .ffn_norm = l + "norm2",
          .attention_scale = l + "layer_scale1.lambda1",
          .ffn_scale = l + "layer_scale2.lambda1"};
}

ValueId build(BuildContext& context, const std::string& prefix, Index registers,
              const VisionDefaults& defaults, PositionResize resize) {
  Builder& b = context.builder;
  const Config& config = context.config;
  EncoderShape shape = read_encoder_shape(context, config, defaults);
  shape.query_bias = shape.key_bias = shape.value_bias = config.boolean("qkv_bias", true);
  shape.gated = config.boolean("use_swiglu_ffn", false);
  if (shape.gated) {
    // hidden_features = (int(hidden_features * 2 / 3) + 7) // 8 * 8           Dinov2SwiGLUFFN
    shape.intermediate.size = (shape.intermediate.size * 2 / 3 + 7) / 8 * 8;
    shape.activation = Activation::silu;
    context.package.intermediate = shape.intermediate.size;
  }
  ImageSpec images = interpolated(read_image_spec(config, defaults), ImageSizes::any, resize);
  if (images.sizes != ImageSizes::any) config.unsupported("image_size", "a square grid of patches");
  images.special_tokens = 1 + registers;
  context.package.program.images = images;
  const Dim& H = shape.hidden;
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
  x = pre_norm_stack(
      context, shape, [&](Index i) { return layer_tensors(prefix, i, shape.gated); }, x);
  // sequence_output = self.layernorm(x); pooled_output = sequence_output[:, 0, :]
  const std::string norm = prefix + "layernorm";
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, H, shape.norm_eps);
  b.output("last_hidden_state", last);
  const ValueId class_row = normed_row(context, "class", x, 0, norm, shape);  // (S,H)
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
  return build(context, "dinov2.", 0,
               {.intermediate_size = 0, .patch_size = 14, .layer_norm_eps = 1e-6},
               PositionResize::bicubic);
}

ValueId build_dinov2_with_registers(BuildContext& context) {
  return build(
      context, "dinov2_with_registers.", context.config.integer("num_register_tokens", 4, 0, 4096),
      {.intermediate_size = 0, .layer_norm_eps = 1e-6}, PositionResize::bicubic_antialiased);
}

}  // namespace tessera::models
