// SPDX-License-Identifier: Apache-2.0
// The tensors that a reference model was called with, from a safetensors file.
#pragma once

#include <string>
#include <vector>

#include "models/reference_batch.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera::cli {

struct ReferenceInput {
  Index sequences = 0, padded_tokens = 0;  // B, T
  models::ReferenceBatch batch;
  std::vector<TokenSequence> tokens;  // (B) the sequences of `batch`

  /// input_ids (B,T) is required; attention_mask and token_type_ids (B,T), position_ids (B,T) or
  /// (1,T) are not. I64 or I32; a mask may be BOOL or U8 too. Throws Error naming the file and the
  /// tensor: not_found, corrupt_file, invalid_argument for a shape, a type, a value, or a tensor
  /// that is no input of the class.
  static ReferenceInput open(const std::string& path, const TokenSpec& spec,
                             const std::string& architecture);
};

}  // namespace tessera::cli
