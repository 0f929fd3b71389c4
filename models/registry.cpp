// SPDX-License-Identifier: Apache-2.0
#include "models/registry.hpp"

#include <fmt/format.h>

#include <array>

namespace tessera::models {
namespace {

constexpr std::array kBert{
    ModelClass{"BertModel", Task::features},
    ModelClass{"BertForMaskedLM", Task::masked_lm},
    ModelClass{"BertForPreTraining", Task::pretraining},
    ModelClass{"BertForSequenceClassification", Task::sequence_classification},
    ModelClass{"BertForTokenClassification", Task::token_classification},
};
constexpr std::array kRoberta{
    ModelClass{"RobertaModel", Task::features},
    ModelClass{"RobertaForMaskedLM", Task::masked_lm},
    ModelClass{"RobertaForSequenceClassification", Task::sequence_classification},
    ModelClass{"RobertaForTokenClassification", Task::token_classification},
};
constexpr std::array kXlmRoberta{
    ModelClass{"XLMRobertaModel", Task::features},
    ModelClass{"XLMRobertaForMaskedLM", Task::masked_lm},
    ModelClass{"XLMRobertaForSequenceClassification", Task::sequence_classification},
    ModelClass{"XLMRobertaForTokenClassification", Task::token_classification},
};
constexpr std::array kCamembert{
    ModelClass{"CamembertModel", Task::features},
    ModelClass{"CamembertForMaskedLM", Task::masked_lm},
    ModelClass{"CamembertForSequenceClassification", Task::sequence_classification},
    ModelClass{"CamembertForTokenClassification", Task::token_classification},
};
constexpr std::array kDistilBert{
    ModelClass{"DistilBertModel", Task::features},
    ModelClass{"DistilBertForMaskedLM", Task::masked_lm},
    ModelClass{"DistilBertForSequenceClassification", Task::sequence_classification},
    ModelClass{"DistilBertForTokenClassification", Task::token_classification},
};
constexpr std::array kMpnet{
    ModelClass{"MPNetModel", Task::features},
    ModelClass{"MPNetForMaskedLM", Task::masked_lm},
    ModelClass{"MPNetForSequenceClassification", Task::sequence_classification},
    ModelClass{"MPNetForTokenClassification", Task::token_classification},
};
constexpr std::array kElectra{
    ModelClass{"ElectraModel", Task::features},
    ModelClass{"ElectraForMaskedLM", Task::masked_lm},
    ModelClass{"ElectraForPreTraining", Task::discriminator},
    ModelClass{"ElectraForSequenceClassification", Task::sequence_classification},
    ModelClass{"ElectraForTokenClassification", Task::token_classification},
};
constexpr std::array kAlbert{
    ModelClass{"AlbertModel", Task::features},
    ModelClass{"AlbertForMaskedLM", Task::masked_lm},
    ModelClass{"AlbertForPreTraining", Task::pretraining},
    ModelClass{"AlbertForSequenceClassification", Task::sequence_classification},
    ModelClass{"AlbertForTokenClassification", Task::token_classification},
};

constexpr std::array kVit{
    ModelClass{"ViTModel", Task::features},
    ModelClass{"ViTForImageClassification", Task::sequence_classification},
};
constexpr std::array kDeit{
    ModelClass{"DeiTModel", Task::features},
    ModelClass{"DeiTForImageClassification", Task::sequence_classification},
    ModelClass{"DeiTForImageClassificationWithTeacher", Task::sequence_classification},
};
constexpr std::array kDinov2{
    ModelClass{"Dinov2Model", Task::features},
    ModelClass{"Dinov2ForImageClassification", Task::sequence_classification},
};
constexpr std::array kDinov2WithRegisters{
    ModelClass{"Dinov2WithRegistersModel", Task::features},
    ModelClass{"Dinov2WithRegistersForImageClassification", Task::sequence_classification},
};
constexpr std::array kBeit{
    ModelClass{"BeitModel", Task::features},
    ModelClass{"BeitForImageClassification", Task::sequence_classification},
};
constexpr std::array kClip{
    ModelClass{"CLIPModel", Task::features},
    ModelClass{"CLIPTextModel", Task::features},
    ModelClass{"CLIPTextModelWithProjection", Task::features},
    ModelClass{"CLIPVisionModel", Task::features},
    ModelClass{"CLIPVisionModelWithProjection", Task::features},
};
constexpr std::array kClipText{
    ModelClass{"CLIPTextModel", Task::features},
    ModelClass{"CLIPTextModelWithProjection", Task::features},
};
constexpr std::array kClipVision{
    ModelClass{"CLIPVisionModel", Task::features},
    ModelClass{"CLIPVisionModelWithProjection", Task::features},
};
constexpr std::array kSiglip{
    ModelClass{"SiglipModel", Task::features},
    ModelClass{"SiglipTextModel", Task::features},
    ModelClass{"SiglipVisionModel", Task::features},
    ModelClass{"SiglipForImageClassification", Task::sequence_classification},
};
constexpr std::array kSiglipText{ModelClass{"SiglipTextModel", Task::features}};
constexpr std::array kSiglipVision{ModelClass{"SiglipVisionModel", Task::features}};

constexpr std::array kFamilies{
    Family{"bert", "bert.", kBert, build_bert},
    Family{"roberta", "roberta.", kRoberta, build_roberta},
    Family{"xlm-roberta", "roberta.", kXlmRoberta, build_roberta},
    Family{"camembert", "roberta.", kCamembert, build_roberta},
    Family{"distilbert", "distilbert.", kDistilBert, build_distilbert},
    Family{"mpnet", "mpnet.", kMpnet, build_mpnet},
    Family{"electra", "electra.", kElectra, build_electra},
    Family{"albert", "albert.", kAlbert, build_albert},
    Family{"vit", "vit.", kVit, build_vit},
    Family{"deit", "deit.", kDeit, build_deit},
    Family{"dinov2", "dinov2.", kDinov2, build_dinov2},
    Family{"dinov2_with_registers", "dinov2_with_registers.", kDinov2WithRegisters,
           build_dinov2_with_registers},
    Family{"beit", "beit.", kBeit, build_beit},
    Family{"clip", "", kClip, build_clip},
    Family{"clip_text_model", "", kClipText, build_clip},
    Family{"clip_vision_model", "", kClipVision, build_clip},
    Family{"siglip", "", kSiglip, build_siglip},
    Family{"siglip_text_model", "", kSiglipText, build_siglip},
    Family{"siglip_vision_model", "", kSiglipVision, build_siglip},
};

}  // namespace

const ModelClass* Family::find(std::string_view class_name) const noexcept {
  for (const ModelClass& c : classes) {
    if (class_name == c.name) return &c;
  }
  return nullptr;
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
    text += fmt::format("{}{}:", text.empty() ? "" : "\n", family.model_type);
    for (const ModelClass& c : family.classes) {
      text += fmt::format("{} {}", &c == family.classes.data() ? "" : ",", c.name);
    }
  }
  return text;
}

}  // namespace tessera::models
