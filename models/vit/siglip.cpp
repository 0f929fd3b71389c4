// SPDX-License-Identifier: Apache-2.0
//
// SigLIP (Zhai et al. 2023): towers like CLIP's, without class token and causal mask; images are
// pooled by attention with a learned query, texts at their last row. Ports transformers v4.57
// modeling_siglip.py. The reference attends to all columns of a text, padding included, and its
// processor pads to the limit: Package::text_padding says so to whoever makes ids of texts.
#include "models/heads.hpp"
#include "models/vit/clip_like.hpp"

namespace tessera::models {
namespace {

constexpr VisionDefaults kDefaults{
    .encoder = {.hidden_act = "gelu_pytorch_tanh", .layer_norm_eps = 1e-6}};

/// "text_embeds" or "image_embeds" of SiglipModel: the pooled row, normalised.
void normalize(BuildContext& context, const std::string& output, ValueId pooled,
               const std::string& description) {
  Builder& b = context.builder;
  if (!context.package.similarity) return output_embedding(context, pooled, description);
  const ValueId embeds = b.l2_normalize(output, pooled, kNormEps);
  b.output(output, embeds);
  output_embedding(context, embeds, description + ", normalised");
  context.package.embedding_is_normalized = true;
}

ValueId build_text(BuildContext& context) {
  Builder& b = context.builder;
  const Config config = tower_config(context.config, "text_config");
  const TextTower tower = text_embeddings(context, config, kDefaults.encoder, 32000, 64);
  constexpr Index kPadId = 1;  // SiglipTextConfig
  context.package.text_padding.emplace().id =
      static_cast<std::int32_t>(config.integer("pad_token_id", kPadId));
  const LayerOptions& layer = tower.layer;
  const Dim& H = layer.hidden;
  const ValueId x = encoder_stack(
      context, equal_layers(context, layer, kClipLayer, "text_model.encoder.layers."), tower.x);
  // last_hidden_state = self.final_layer_norm(x); pooled = self.head(last_hidden_state[:, -1, :])
  //                                                                     SiglipTextTransformer
  const std::string norm = "text_model.final_layer_norm";
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, H, layer.norm_eps);
  b.output("last_hidden_state", last);
  const ValueId row = b.layer_norm("pooler.normed", b.pool("pooler.row", x, Pooling::last), norm, H,
                                   layer.norm_eps);
  const Dim out = config.dim("projection_size", H.size);
  const ValueId pooled = b.linear("pooler.out", row, "text_model.head", out, H);
  b.output("pooler_output", pooled);
  normalize(context, "text_embeds", pooled, "last row, dense");
  return last;
}

/// probe attends to all rows; x + mlp(layernorm(x)) of what it gets.
///                                                    SiglipMultiheadAttentionPoolingHead
ValueId attention_pooling(BuildContext& context, const LayerOptions& layer, ValueId last) {
  Builder& b = context.builder;
  const Dim &H = layer.hidden, &F = layer.intermediate;
  const std::string h = "vision_model.head.", in = h + "attention.in_proj_";
  const ValueId probe = b.broadcast("pooler.probe", rows_of(context, h + "probe", 1, H, 1), H.size);
  // nn.MultiheadAttention(probe, x, x): in_proj holds q, k, v one after another
  const ValueId q = b.part_of_linear("pooler.q", probe, in + "weight", in + "bias", 0, 1, 3, H, H);
  const ValueId kv = b.part_of_linear("pooler.kv", last, in + "weight", in + "bias", 1, 2, 3, H, H);
  const ValueId context_row =
      b.attention_pool("pooler.context", q, kv, layer.heads, H.size / layer.heads);  // (S,H)
  const ValueId attended =
      b.linear("pooler.attention_output", context_row, h + "attention.out_proj", H, H);
  const ValueId normed = b.layer_norm("pooler.norm", attended, h + "layernorm", H, layer.norm_eps);
  const ValueId active = b.activation(
      "pooler.ffn_act", b.linear("pooler.ffn_in", normed, h + "mlp.fc1", F, H), layer.activation);
  return b.add("pooler.out", b.linear("pooler.ffn_out", active, h + "mlp.fc2", H, F), attended);
}

ValueId build_image(BuildContext& context) {
  Builder& b = context.builder;
  const Config config = tower_config(context.config, "vision_config");
  const LayerOptions layer = read_pre_norm_encoder(context, config, kDefaults.encoder);
  const ImageSpec images = interpolated(read_image_spec(config, kDefaults), ImageSizes::on_asking);
  context.package.program.inputs = images;
  const Dim& H = layer.hidden;
  const std::string v = "vision_model.", e = v + "embeddings.";
  // x = patch_embedding(pixels) + positions                              SiglipVisionEmbeddings
  ValueId x = b.patch_embed(
      "embeddings.out",
      {.weight = e + "patch_embedding.weight",
       .bias = e + "patch_embedding.bias",
       .special = {},
       .positions = rows_of(context, e + "position_embedding.weight", images.native_rows(), H, 0)},
      H);
  x = encoder_stack(context, equal_layers(context, layer, kClipLayer, v + "encoder.layers."), x);
  // last_hidden_state = self.post_layernorm(x); pooler_output = self.head(last_hidden_state)
  const ValueId last =
      b.layer_norm("last_hidden_state", x, v + "post_layernorm", H, layer.norm_eps);
  b.output("last_hidden_state", last);
  if (context.package.task == Task::sequence_classification) {
    // logits = self.classifier(sequence_output.mean(dim=1))          SiglipForImageClassification
    const ValueId mean = b.pool("classifier.mean", last, Pooling::mean);
    classify_pooled(context, mean, H);
    output_embedding(context, mean, "mean of the patches");
    return last;
  }
  if (!config.boolean("vision_use_head", true)) {
    output_embedding(context, b.pool("embedding.mean", last, Pooling::mean), "mean of the patches");
    return last;
  }
  const ValueId pooled = attention_pooling(context, layer, last);
  b.output("pooler_output", pooled);
  normalize(context, "image_embeds", pooled, "attention pooling");
  return last;
}

}  // namespace

ValueId build_siglip(BuildContext& context) {
  const std::string& name = context.package.architecture;
  if (name == "SiglipModel") {
    // logits_per_text = text_embeds @ image_embeds.t() * logit_scale.exp() + logit_bias
    const WeightMap& weights = context.builder.weights();
    context.package.similarity = Similarity{.logit_scale = weights.scalar("logit_scale"),
                                            .logit_bias = weights.scalar("logit_bias"),
                                            .is_sigmoid = true};
  }
  return takes_text(context, name.starts_with("SiglipText")) ? build_text(context)
                                                             : build_image(context);
}

}  // namespace tessera::models
