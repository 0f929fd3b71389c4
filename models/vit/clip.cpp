// SPDX-License-Identifier: Apache-2.0
//
// CLIP (Radford et al. 2021): a causal text encoder and a ViT whose embeddings meet in one space.
// Ports transformers v4.57 modeling_clip.py.
#include "models/vit/clip_like.hpp"

namespace tessera::models {
namespace {

constexpr EncoderDefaults kText{.hidden_size = 512,
                                .num_attention_heads = 8,
                                .intermediate_size = 2048,
                                .hidden_act = "quick_gelu",
                                .layer_norm_eps = 1e-5};
constexpr VisionDefaults kVision{.encoder = {.hidden_act = "quick_gelu", .layer_norm_eps = 1e-5},
                                 .patch_size = 32};

/// "text_embeds" or "image_embeds" where the class has a projection; normalised where it compares
/// them. `pooled` is what the embedding is without one.
void project(BuildContext& context, const Config& config, const std::string& output,
             const std::string& tensor, ValueId pooled, const Dim& hidden) {
  Builder& b = context.builder;
  const bool is_model = context.package.architecture == "CLIPModel";
  const bool projects = context.package.architecture.ends_with("WithProjection");
  if (!is_model && !projects) return output_embedding(context, pooled, "pooled row");
  const Dim width = (is_model ? context.config : config).dim("projection_dim", 512);
  // image_embeds = self.visual_projection(pooled)                 CLIPVisionModelWithProjection
  const ValueId projected = b.linear(output, pooled, tensor, width, hidden, {.has_bias = false});
  // image_embeds = image_embeds / image_embeds.norm()                              CLIPModel
  const ValueId embeds =
      is_model ? b.l2_normalize(output + ".normalized", projected, kNormEps) : projected;
  b.output(output, embeds);
  const bool is_normalized = is_model && !context.embedding_is_as_projected;
  output_embedding(context, is_normalized ? embeds : projected,
                   is_normalized ? "projection, normalised" : "projection");
  context.package.embedding_is_normalized = is_normalized;
}

ValueId build_text(BuildContext& context) {
  Builder& b = context.builder;
  const Config config = tower_config(context.config, "text_config");
  const TextTower tower = text_embeddings(context, config, kText, 49408, 77);
  LayerOptions layer = tower.layer;
  layer.attention.mask.right = 0;  // causal
  const ValueId x = encoder_stack(
      context, equal_layers(context, layer, kClipLayer, "text_model.encoder.layers."), tower.x);
  // last_hidden_state = self.final_layer_norm(x)                          CLIPTextTransformer
  const std::string norm = "text_model.final_layer_norm";
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, layer.hidden, layer.norm_eps);
  b.output("last_hidden_state", last);
  // eos_token_id == 2: the row of the largest id, as files of before its correction expect
  const Index eos = config.integer("eos_token_id", 49407);
  const ValueId row = b.pool("pooler.row", x, eos == 2 ? Pooling::largest_id : Pooling::first_of_id,
                             0, eos == 2 ? 0 : static_cast<std::int32_t>(eos));
  const ValueId pooled = b.layer_norm("pooler.out", row, norm, layer.hidden, layer.norm_eps);
  b.output("pooler_output", pooled);
  project(context, config, "text_embeds", "text_projection", pooled, layer.hidden);
  return last;
}

ValueId build_image(BuildContext& context) {
  Builder& b = context.builder;
  const Config config = tower_config(context.config, "vision_config");
  const LayerOptions layer = read_pre_norm_encoder(context, config, kVision.encoder);
  ImageSpec images = interpolated(read_image_spec(config, kVision), ImageSizes::on_asking);
  images.special_tokens = 1;
  context.package.program.inputs = images;
  const Dim& H = layer.hidden;
  const std::string v = "vision_model.", e = v + "embeddings.";
  // x = cat(class_embedding, patch_embedding(pixels)) + positions         CLIPVisionEmbeddings
  const ValueId embedded = b.patch_embed(
      "embeddings.sum",
      {.weight = e + "patch_embedding.weight",
       .bias = {},
       .special = {{.tensor = b.weights().find(e + "class_embedding", {H}), .rows = 1}},
       .positions = rows_of(context, e + "position_embedding.weight", images.native_rows(), H, 0),
       .positioned = 1},
      H);
  // x = self.pre_layrnorm(x); x = self.encoder(x)                        CLIPVisionTransformer
  ValueId x = b.layer_norm("embeddings.out", embedded, v + "pre_layrnorm", H, layer.norm_eps);
  x = encoder_stack(context, equal_layers(context, layer, kClipLayer, v + "encoder.layers."), x);
  b.output("last_hidden_state", x);
  // pooled_output = self.post_layernorm(x[:, 0, :])
  const ValueId pooled = normed_row(context, "pooler", x, 0, v + "post_layernorm", layer);
  b.output("pooler_output", pooled);
  project(context, config, "image_embeds", "visual_projection", pooled, H);
  return x;
}

}  // namespace

ValueId build_clip(BuildContext& context) {
  const std::string& name = context.package.architecture;
  if (name == "CLIPModel") {
    // logits_per_image = logit_scale.exp() * image_embeds @ text_embeds.t()        CLIPModel
    context.package.similarity =
        Similarity{.logit_scale = context.builder.weights().scalar("logit_scale")};
  }
  return takes_text(context, name.starts_with("CLIPText")) ? build_text(context)
                                                           : build_image(context);
}

}  // namespace tessera::models
