// SPDX-License-Identifier: Apache-2.0
//
// ViT (Dosovitskiy et al. 2021) and DeiT (Touvron et al. 2021), which has a second special token
// that a teacher's labels were distilled into. Ports transformers v4.57 modeling_vit.py and
// modeling_deit.py.
#include "models/heads.hpp"
#include "models/vit/vit_like.hpp"

namespace tessera::models {
namespace {

struct VitTensors {
  const char* prefix;  ///< "vit."
  bool has_distillation_token;
};

/// Embeddings and layers; returns the last hidden state before the final norm.
ValueId vit_encoder(BuildContext& context, const VitTensors& tensors, EncoderShape& shape) {
  Builder& b = context.builder;
  Program& program = context.package.program;
  const std::string prefix = tensors.prefix, e = prefix + "embeddings.";
  shape = read_encoder_shape(context, context.config, {});
  shape.query_bias = shape.key_bias = shape.value_bias = context.config.boolean("qkv_bias", true);
  ImageSpec images = interpolated(read_image_spec(context.config, {}), ImageSizes::on_asking);
  images.special_tokens = tensors.has_distillation_token ? 2 : 1;
  program.images = images;
  const Dim& H = shape.hidden;

  // x = cat(cls_token[, distillation_token], projection(pixels)); x = x + position_embeddings
  //                                                             ViTEmbeddings, DeiTEmbeddings
  Builder::PatchTensors patches{.weight = e + "patch_embeddings.projection.weight",
                                .bias = e + "patch_embeddings.projection.bias",
                                .special = {rows_of(context, e + "cls_token", 1, H, 1)},
                                .positioned = images.special_tokens};
  if (tensors.has_distillation_token) {
    patches.special.push_back(rows_of(context, e + "distillation_token", 1, H, 1));
  }
  patches.positions = rows_of(context, e + "position_embeddings", images.native_rows(), H, 1);
  const ValueId x = b.patch_embed("embeddings.out", patches, H);  // (ΣT,H)
  return pre_norm_stack(
      context, shape, [&](Index i) { return vit_layer_tensors(prefix, i); }, x);
}

}  // namespace

ValueId build_vit(BuildContext& context) {
  Builder& b = context.builder;
  EncoderShape shape;
  const ValueId x =
      vit_encoder(context, {.prefix = "vit.", .has_distillation_token = false}, shape);
  const std::string norm = "vit.layernorm";
  // sequence_output = self.layernorm(sequence_output)                                ViTModel
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, shape.hidden, shape.norm_eps);
  b.output("last_hidden_state", last);
  const ValueId class_row = normed_row(context, "class", x, 0, norm, shape);  // (S,H)
  if (context.package.task == Task::sequence_classification) {
    // logits = self.classifier(sequence_output[:, 0, :])            ViTForImageClassification
    classify_pooled(context, class_row, shape.hidden);
  } else {
    vit_pooler(context, class_row, "vit.pooler.dense", shape.hidden);
  }
  output_embedding(context, class_row, "class token");
  return last;
}

ValueId build_deit(BuildContext& context) {
  Builder& b = context.builder;
  EncoderShape shape;
  const ValueId x =
      vit_encoder(context, {.prefix = "deit.", .has_distillation_token = true}, shape);
  const std::string norm = "deit.layernorm";
  const Dim& H = shape.hidden;
  const ValueId last = b.layer_norm("last_hidden_state", x, norm, H, shape.norm_eps);
  b.output("last_hidden_state", last);
  const ValueId class_row = normed_row(context, "class", x, 0, norm, shape);  // (S,H)
  if (context.package.architecture == "DeiTForImageClassificationWithTeacher") {
    // cls_logits = self.cls_classifier(x[:, 0]); distillation_logits =
    // self.distillation_classifier(x[:, 1]); logits = (cls_logits + distillation_logits) / 2
    const ValueId distilled = normed_row(context, "distillation", x, 1, norm, shape);
    const Dim labels = read_labels(context);
    const ValueId of_class = b.linear("cls_logits", class_row, "cls_classifier", labels, H);
    const ValueId of_teacher =
        b.linear("distillation_logits", distilled, "distillation_classifier", labels, H);
    b.output("cls_logits", of_class);
    b.output("distillation_logits", of_teacher);
    b.output("logits", b.add("logits", of_class, of_teacher, 0.5F));
  } else if (context.package.task == Task::sequence_classification) {
    // logits = self.classifier(sequence_output[:, 0, :])           DeiTForImageClassification
    classify_pooled(context, class_row, H);
  } else {
    vit_pooler(context, class_row, "deit.pooler.dense", H);
  }
  output_embedding(context, class_row, "class token");
  return last;
}

}  // namespace tessera::models
