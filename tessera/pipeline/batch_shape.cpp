// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/batch_shape.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/base/error.hpp"

namespace tessera {

BatchShape batch_shape(const Program& program, Index rows, Index sequences) {
  const TokenSpec* tokens = program.tokens();
  if (tokens == nullptr) {
    const Index each = require_images(program).native_rows();
    const Index images = sequences > 0 ? sequences : std::max<Index>(1, rows / each);
    return {images * each, images};
  }
  const Index most = tokens->max_tokens;
  const Index least = rows / most + (rows % most > 0 ? 1 : 0);
  const Index count = sequences > 0 ? sequences : least;
  if (count > rows) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("sequences: got {}, expected at most {}, one row each", count, rows));
  }
  if (count < least) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("sequences: got {}, expected at least {}: the model takes {} tokens a "
                            "sequence",
                            count, least, most));
  }
  return {rows, count};
}

}  // namespace tessera
