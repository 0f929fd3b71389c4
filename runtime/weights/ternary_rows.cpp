// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/ternary_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"

namespace tessera {
namespace {

/// In place. False: a code is 3.
bool decode(std::int8_t* codes, Index n, int shift) {
  int worst = 0;
  for (Index i = 0; i < n; ++i) {
    const int code = static_cast<unsigned char>(codes[i]) >> shift & 3;
    worst = std::max(worst, code);
    codes[i] = static_cast<std::int8_t>(code - 1);
  }
  return worst < 3;
}

}  // namespace

void read_ternary(const Checkpoint& checkpoint, const StoredTensor& tensor, Index begin, Index n,
                  std::int8_t* to) {
  const Index K = tensor.shape[1], R = tensor.shape[0] / kTernaryRows;
  for (const Index end = begin + n; begin < end;) {
    const Index row = begin / K, k = begin % K, part = std::min(K - k, end - begin);
    checkpoint.read({tensor.data + row % R * K + k, static_cast<std::size_t>(part)},
                    reinterpret_cast<std::byte*>(to));
    if (!decode(to, part, static_cast<int>(2 * (row / R)))) {
      const Index at = std::find(to, to + part, std::int8_t{2}) - to;
      throw Error(
          ErrorCode::corrupt_file,
          fmt::format("{}: tensor {} holds code 3 for row {}, column {}, expected 0, 1 or 2, "
                      "which stand for -1, 0 and 1",
                      checkpoint.path_of(tensor.name).string(), detail::in_quotes(tensor.name), row,
                      k + at));
    }
    begin += part;
    to += part;
  }
}

}  // namespace tessera
