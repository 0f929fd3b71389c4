// SPDX-License-Identifier: Apache-2.0
// The tensors that a reference model was called with, and those that it returns: safetensors files.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "models/reference_batch.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/reference_images.hpp"

namespace tessera {

struct ReferenceInput {
  std::vector<Index> leading;              // (B), or (B,choices): the shape of input_ids before T
  Index sequences = 0, padded_tokens = 0;  // B, or B·choices; T
  models::ReferenceBatch batch;
  std::vector<TokenSequence> tokens;  // (B) the sequences of `batch`

  /// input_ids (B,T), (B,choices,T) of multiple choice, is required; attention_mask and token_type_ids (B,T), position_ids (B,T) or
  /// (1,T) are not. I64 or I32; a mask may be BOOL or U8 too. Throws Error naming the file and the
  /// tensor: not_found, corrupt_file, invalid_argument for a shape, a type, a value, or a tensor
  /// that is no input of the class.
  static ReferenceInput open(const std::string& path, const models::Package& package,
                             ReferenceFile holds = ReferenceFile::inputs_alone);
};

inline constexpr const char* kPixelValues = "pixel_values";
/// The file of golden vectors beside a checkpoint (tessera/measure/golden_vectors.hpp).
inline constexpr const char* kVectorsFile = "verify.safetensors";
/// input_ids, attention_mask, token_type_ids, position_ids.
bool is_text_input(std::string_view name) noexcept;

/// What a safetensors file has for a model: texts, images, or both (CLIP).
struct ReferenceKinds {
  bool has_texts = false, has_images = false;

  /// Errors: as SafetensorsFile::open().
  static ReferenceKinds of(const std::string& path);
};

/// An encoder's outputs in the reference's shapes, (B,T,H) or (B,H), of maps (B,h·w,H) or (B,H,h,w);
/// zeros where nothing is computed.
class ReferenceOutput {
 public:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    Index width = 0;
    bool is_per_token = false;
    Index rows = 0;   ///< of a sequence, padded
    Index cells = 0;  ///< > 0: of a map, whose channels come first
    std::vector<float> values;
  };

  /// `input` must outlive it.
  ReferenceOutput(const TextEncoder& encoder, const ReferenceInput& input);
  /// Of images that are alike.
  ReferenceOutput(const Encoder& encoder, const ReferenceImages& images);
  /// Takes the results of sequence or image `s`.
  void add(std::size_t s, Results results);
  std::vector<Tensor>& tensors() noexcept { return tensors_; }

 private:
  ReferenceOutput(const Encoder& encoder, const std::vector<Index>& leading, Index sequences,
                  const std::function<Index(std::size_t output)>& rows, Grid tokens = {});

  const ReferenceInput* input_ = nullptr;  // null: images, which have no padding
  std::vector<Tensor> tensors_;
};

/// What a model with two towers returns of the outputs of both, which have an "embedding" each:
/// text_model_output. and vision_model_output. before their names, text_embeds and image_embeds, and the
/// logits of every image with every text.                              CLIPModel, SiglipModel.forward
std::vector<ReferenceOutput::Tensor> joined_towers(const models::Similarity& similarity,
                                                   std::vector<ReferenceOutput::Tensor> of_texts,
                                                   std::vector<ReferenceOutput::Tensor> of_images);

/// Errors: as write_safetensors().
void write_tensors(const std::string& path, const std::vector<ReferenceOutput::Tensor>& tensors);

}  // namespace tessera
