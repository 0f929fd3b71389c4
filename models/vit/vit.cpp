// SPDX-License-Identifier: Apache-2.0
//
// ViT (Dosovitskiy et al. 2021) and DeiT (Touvron et al. 2021), which has a second special token
// that a teacher's labels were distilled into. Ports transformers v4.57 modeling_vit.py and
// modeling_deit.py.
#include "models/heads.hpp"
#include "models/vit/vit_like.hpp"

namespace tessera::models {
namespace {

/// What either model computes before its heads.
struct VitStates {
  LayerOptions layer;
  ValueId x, last;    ///< before and after the final norm (ΣT,H)
  ValueId class_row;  ///< row 0 of `last` (S,H)
};

VitStates vit_encoder(BuildContext& context, bool has_distillation_token) {
  Builder& b = context.builder;
  const std::string& prefix = context.prefix;
  const std::string e = prefix + "embeddings.", norm = prefix + "layernorm";
  LayerOptions layer = read_pre_norm_encoder(context, context.config, {});
  layer.biases.query = layer.biases.key = layer.biases.value =
      context.config.boolean("qkv_bias", true);
  ImageSpec images = interpolated(read_image_spec(context.config, {}), ImageSizes::on_asking);
  images.special_tokens = has_distillation_token ? 2 : 1;
  context.package.program.inputs = images;
  const Dim& H = layer.hidden;

  // x = cat(cls_token[, distillation_token], projection(pixels)); x = x + position_embeddings
  //                                                             ViTEmbeddings, DeiTEmbeddings
  Builder::PatchTensors patches{.weight = e + "patch_embeddings.projection.weight",
                                .bias = e + "patch_embeddings.projection.bias",
                                .special = {rows_of(context, e + "cls_token", 1, H, 1)},
                                .positioned = images.special_tokens};
  if (has_distillation_token) {
    patches.special.push_back(rows_of(context, e + "distillation_token", 1, H, 1));
  }
  patches.positions = rows_of(context, e + "position_embeddings", images.native_rows(), H, 1);
  ValueId x = b.patch_embed("embeddings.out", patches, H);  // (ΣT,H)
  x = encoder_stack(context, equal_layers(context, layer, kVitLayer, "encoder.layer."), x);
  // sequence_output = self.layernorm(sequence_output)                      ViTModel, DeiTModel
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, H, layer.norm_eps);
  b.output("last_hidden_state", last);
  return {layer, x, last, normed_row(context, "class", x, 0, norm, layer)};
}

}  // namespace

ValueId build_vit(BuildContext& context) {
  const VitStates vit = vit_encoder(context, false);
  vit_head(context, vit.class_row, context.prefix + "pooler.dense", vit.layer.hidden);
  output_embedding(context, vit.class_row, "class token");
  return vit.last;
}

ValueId build_deit(BuildContext& context) {
  Builder& b = context.builder;
  const VitStates deit = vit_encoder(context, true);
  const Dim& H = deit.layer.hidden;
  if (context.package.architecture == "DeiTForImageClassificationWithTeacher") {
    // cls_logits = self.cls_classifier(x[:, 0]); distillation_logits =
    // self.distillation_classifier(x[:, 1]); logits = (cls_logits + distillation_logits) / 2
    const ValueId distilled =
        normed_row(context, "distillation", deit.x, 1, context.prefix + "layernorm", deit.layer);
    const Dim labels = read_labels(context);
    const ValueId of_class = b.linear("cls_logits", deit.class_row, "cls_classifier", labels, H);
    const ValueId of_teacher =
        b.linear("distillation_logits", distilled, "distillation_classifier", labels, H);
    b.output("cls_logits", of_class);
    b.output("distillation_logits", of_teacher);
    b.output("logits", b.add("logits", of_class, of_teacher, 0.5F));
  } else {
    vit_head(context, deit.class_row, context.prefix + "pooler.dense", H);
  }
  output_embedding(context, deit.class_row, "class token");
  return deit.last;
}

}  // namespace tessera::models
