// SPDX-License-Identifier: Apache-2.0
// The tensors that a reference model was called with, and those that it returns: safetensors files.
#pragma once

#include <string>
#include <vector>

#include "models/reference_batch.hpp"
#include "tessera/pipeline/encoder.hpp"

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
  static ReferenceInput open(const std::string& path, const models::Package& package);
};

/// The encoder's outputs in the reference's shapes, (B,T,H) or (B,H); zeros where nothing is
/// computed.
class ReferenceOutput {
 public:
  /// Both must outlive it.
  ReferenceOutput(const TextEncoder& encoder, const ReferenceInput& input);
  /// Takes the results of sequence `s`.
  void add(std::size_t s, Results results);
  /// Errors: as write_safetensors().
  void write(const std::string& path) const;

 private:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    Index width = 0;
    bool is_per_token = false;
    std::vector<float> values;
  };

  const ReferenceInput& input_;
  std::vector<Tensor> tensors_;
};

}  // namespace tessera
