// SPDX-License-Identifier: Apache-2.0
#include "models/registry.hpp"

#include <fmt/format.h>

#include <array>

namespace tessera::models {

// bert/
ValueId build_bert(BuildContext& context);
ValueId build_roberta(BuildContext& context);
ValueId build_distilbert(BuildContext& context);
ValueId build_mpnet(BuildContext& context);
ValueId build_electra(BuildContext& context);
ValueId build_albert(BuildContext& context);
ValueId build_jina_bert(BuildContext& context);
ValueId build_deberta_v2(BuildContext& context);
// rotary/
ValueId build_modernbert(BuildContext& context);
ValueId build_nomic_bert(BuildContext& context);
ValueId build_gte_new(BuildContext& context);
ValueId build_eurobert(BuildContext& context);
ValueId build_qwen3(BuildContext& context);
ValueId build_gemma3_text(BuildContext& context);
// vit/
ValueId build_vit(BuildContext& context);
ValueId build_deit(BuildContext& context);
ValueId build_dinov2(BuildContext& context);
ValueId build_dinov2_with_registers(BuildContext& context);
ValueId build_dinov3_vit(BuildContext& context);
ValueId build_beit(BuildContext& context);
ValueId build_swin(BuildContext& context);
ValueId build_swinv2(BuildContext& context);
ValueId build_clip(BuildContext& context);
ValueId build_siglip(BuildContext& context);
ValueId build_efficientvit_msra(BuildContext& context);

namespace {

constexpr ModelClass kModel{"Model", Task::features};
constexpr ModelClass kMaskedLm{"ForMaskedLM", Task::masked_lm};
constexpr ModelClass kPreTraining{"ForPreTraining", Task::pretraining};
constexpr ModelClass kDiscriminator{"ForPreTraining", Task::discriminator};
constexpr ModelClass kSequences{"ForSequenceClassification", Task::sequence_classification};
constexpr ModelClass kTokens{"ForTokenClassification", Task::token_classification};
constexpr ModelClass kAnswers{"ForQuestionAnswering", Task::question_answering};
constexpr ModelClass kNextSentence{"ForNextSentencePrediction", Task::next_sentence};
constexpr ModelClass kChoices{"ForMultipleChoice", Task::multiple_choice};
constexpr ModelClass kImages{"ForImageClassification", Task::sequence_classification};
constexpr ModelClass kProjection{"ModelWithProjection", Task::features};
constexpr ModelClass kTeacher{"ForImageClassificationWithTeacher", Task::sequence_classification};
constexpr ModelClass kText{"TextModel", Task::features};
constexpr ModelClass kTextProjection{"TextModelWithProjection", Task::features};
constexpr ModelClass kVision{"VisionModel", Task::features};
constexpr ModelClass kVisionProjection{"VisionModelWithProjection", Task::features};

constexpr std::array kBert{kModel,  kMaskedLm, kPreTraining, kSequences,
                           kTokens, kAnswers,  kChoices,     kNextSentence};
constexpr std::array kAlbert{kModel,  kMaskedLm, kPreTraining, kSequences,
                             kTokens, kAnswers,  kChoices};
constexpr std::array kElectra{kModel,  kMaskedLm, kDiscriminator, kSequences,
                              kTokens, kAnswers,  kChoices};
constexpr std::array kRoberta{kModel, kMaskedLm, kSequences, kTokens, kAnswers, kChoices};
constexpr std::array kModelOnly{kModel};
constexpr std::array kJina{kModel, kMaskedLm, kSequences, kTokens};
constexpr std::array kEuroBert{kModel, kMaskedLm, kSequences, kTokens};
constexpr std::array kCausal{kModel, ModelClass{"ForCausalLM", Task::masked_lm}, kSequences,
                             kTokens};
constexpr std::array kDeberta{kModel, kMaskedLm, kSequences, kTokens, kAnswers};
constexpr std::array kGemmaText{kText};
constexpr std::array kModernBert{kModel, kMaskedLm, kSequences, kTokens, kAnswers};
constexpr std::array kVit{kModel, kImages};
constexpr std::array kDeit{kModel, kImages, kTeacher};
constexpr std::array kClip{kModel, kText, kTextProjection, kVision, kVisionProjection};
constexpr std::array kClipTower{kModel, kProjection};
constexpr std::array kSiglip{kModel, kText, kVision, kImages};
constexpr std::array kSiglipTower{kModel};
constexpr std::array kEfficientVit{
    // num_classes says whether there is a head
    ModelClass{"m0", Task::features}, ModelClass{"m1", Task::features},
    ModelClass{"m2", Task::features}, ModelClass{"m3", Task::features},
    ModelClass{"m4", Task::features}, ModelClass{"m5", Task::features}};

// model_type, prefix of the encoder's tensors, prefix and suffixes of the classes, builder
constexpr std::array kFamilies{
    Family{"bert", "bert.", "Bert", kBert, build_bert},
    Family{"roberta", "roberta.", "Roberta", kRoberta, build_roberta},
    Family{"xlm-roberta", "roberta.", "XLMRoberta", kRoberta, build_roberta},
    Family{"camembert", "roberta.", "Camembert", kRoberta, build_roberta},
    Family{"distilbert", "distilbert.", "DistilBert", kRoberta, build_distilbert},
    Family{"mpnet", "mpnet.", "MPNet", kRoberta, build_mpnet},
    Family{"electra", "electra.", "Electra", kElectra, build_electra},
    Family{"albert", "albert.", "Albert", kAlbert, build_albert},
    Family{"jina_bert", "bert.", "JinaBert", kJina, build_jina_bert, true},
    Family{"deberta-v2", "deberta.", "DebertaV2", kDeberta, build_deberta_v2},
    Family{"modernbert", "model.", "ModernBert", kModernBert, build_modernbert},
    Family{"nomic_bert", "bert.", "NomicBert", kModelOnly, build_nomic_bert, true},
    Family{"new", "new.", "New", kRoberta, build_gte_new, true},
    Family{"eurobert", "model.", "EuroBert", kEuroBert, build_eurobert, true},
    Family{"qwen3", "model.", "Qwen3", kCausal, build_qwen3},
    Family{"gemma3_text", "model.", "Gemma3", kGemmaText, build_gemma3_text},
    Family{"vit", "vit.", "ViT", kVit, build_vit},
    Family{"deit", "deit.", "DeiT", kDeit, build_deit},
    Family{"dinov2", "dinov2.", "Dinov2", kVit, build_dinov2},
    Family{"dinov2_with_registers", "dinov2_with_registers.", "Dinov2WithRegisters", kVit,
           build_dinov2_with_registers},
    Family{"dinov3_vit", "dinov3_vit.", "DINOv3ViT", kModelOnly, build_dinov3_vit},
    Family{"beit", "beit.", "Beit", kVit, build_beit},
    Family{"swin", "swin.", "Swin", kVit, build_swin},
    Family{"swinv2", "swinv2.", "Swinv2", kVit, build_swinv2},
    Family{"clip", "", "CLIP", kClip, build_clip},
    Family{"clip_text_model", "", "CLIPText", kClipTower, build_clip},
    Family{"clip_vision_model", "", "CLIPVision", kClipTower, build_clip},
    Family{"siglip", "", "Siglip", kSiglip, build_siglip},
    Family{"siglip_text_model", "", "SiglipText", kSiglipTower, build_siglip},
    Family{"siglip_vision_model", "", "SiglipVision", kSiglipTower, build_siglip},
    Family{"efficientvit_msra", "", "efficientvit_", kEfficientVit, build_efficientvit_msra, false,
           true},
};

}  // namespace

const ModelClass* Family::find(std::string_view class_name) const noexcept {
  const std::string_view prefix = class_prefix;
  if (!class_name.starts_with(prefix)) return nullptr;
  for (const ModelClass& c : classes) {
    if (class_name.substr(prefix.size()) == c.suffix) return &c;
  }
  return nullptr;
}

std::string Family::class_names(std::string_view separator) const {
  std::string text;
  for (const ModelClass& c : classes) {
    text += fmt::format("{}{}", text.empty() ? "" : separator, name_of(c));
  }
  return text;
}

std::span<const Family> families() noexcept {
  return kFamilies;
}

const Family* find_family(std::string_view model_type) noexcept {
  for (const Family& family : kFamilies) {
    if (model_type == family.model_type) return &family;
  }
  return nullptr;
}

const Family* find_family_of_class(std::string_view class_name) noexcept {
  for (const Family& family : kFamilies) {
    if (family.find(class_name) != nullptr) return &family;
  }
  return nullptr;
}

std::string supported_architectures() {
  std::string text;
  for (const Family& family : kFamilies) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", family.model_type,
                        family.class_names(", "));
  }
  return text;
}

}  // namespace tessera::models
