// SPDX-License-Identifier: Apache-2.0
//
// Golden vectors: what a reference computes of given texts or images, in one safetensors file (kVectorsFile) beside
// the checkpoint, so that any machine can be asked whether it computes the same.
//
//   inputs   input_ids (B,T), attention_mask, token_type_ids, position_ids; pixel_values (B,C,H,W);
//            both of a model with two towers
//   outputs  any of the model's, by name, in the reference's padded shapes: hidden_states.0, …,
//            last_hidden_state, logits, embedding; of two towers as `tessera run` calls them
//   image.N  U8 (H,W,3), optional: of which pixel_values[N] was made
//
// and in its metadata, all optional,
//
//   texts      a JSON array: of which text, or pair of texts, each row of input_ids was made
//   weights    a JSON object: the checksum of every tensor of the checkpoint (content_hash.hpp)
//   precision  "fp32" (also where nothing is said), "bf16", "int8": what computed the outputs
//   made_by    in words
//   route      of a Router: "query" or "document"
//   max_tokens where texts are cut
//
// What whoever has the reference at hand writes with safetensors' save_file() is such a file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/weights/safetensors.hpp"
#include "tessera/pipeline/precision.hpp"
#include "tessera/pipeline/reference_tensors.hpp"

namespace tessera {

/// A text, or a pair of texts.
struct GoldenText {
  std::string text;
  std::optional<std::string> pair = {};
};

/// An output as the file has it.
struct GoldenTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;  ///< F64 is rounded
};

using WeightSums =
    std::map<std::string, std::string, std::less<>>;  // tensor, 16 hexadecimal digits

struct GoldenVectors {
  std::string path, made_by, route;
  Precision precision = Precision::f32;
  ReferenceKinds kinds{};
  std::vector<GoldenTensor> outputs;                         ///< in the order of the file
  std::vector<GoldenText> texts;                             ///< none: the file does not say
  Index max_tokens = 0;                                      ///< 0: the file does not say
  std::vector<std::pair<std::size_t, StoredTensor>> images;  ///< number, bytes in `file`
  WeightSums weights;                                        ///< none: the file does not say
  SafetensorsFile file;

  /// Errors: not_found, corrupt_file, invalid_argument naming file, tensor or key, got, expected.
  static GoldenVectors open(const std::string& path);
};

/// Of the bytes of every tensor, as stored.
WeightSums sums_of(const Checkpoint& checkpoint);

/// Where texts of this package are cut, as the file says it: "64".
std::string cut_of(const models::Package& package);

/// The texts as metadata has them.
std::string texts_to_json(const std::vector<GoldenText>& texts);
std::string sums_to_json(const WeightSums& sums);

}  // namespace tessera
