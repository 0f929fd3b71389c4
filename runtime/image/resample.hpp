// SPDX-License-Identifier: Apache-2.0
//
// The two passes of a resize over the kernels: rows first, to 8 bits, then columns.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/isa.hpp"
#include "kernels/types.hpp"

namespace tessera {

/// Where each output of one axis comes from: out[i] = Σ_t weights[i·stride + t]·in[first[i] + t],
/// t < count[i], in fixed point of 22 bits.
///
/// first[i] and first[i] + count[i] do not fall as i grows.
struct ResampleAxis {
  std::vector<Index> first, count;    // (outputs)
  std::vector<std::int32_t> weights;  // (outputs, stride)
  Index stride = 0;

  Index outputs() const noexcept { return static_cast<Index>(first.size()); }
  Index end() const noexcept { return first.back() + count.back(); }  ///< of what is read
};

/// Interleaved bytes (height, width, channels).
struct ByteImage {
  const std::uint8_t* pixels = nullptr;
  Index width = 0, height = 0, channels = 0;
};

/// Resizes images of bytes; keeps its buffers between calls. One call at a time.
///
/// Numerics  exact in integers, the same bytes at every ISA level
/// Errors    Error{invalid_argument} for an ISA that this CPU lacks or a wrong TESSERA_ISA
class Resampler {
 public:
  /// nullopt: TESSERA_ISA if set, else the best that the CPU has.
  explicit Resampler(std::optional<Isa> isa = {});

  /// out (y.outputs(), x.outputs(), channels). A null axis is left as it is: its extent stays, and
  /// no pass is made.
  void run(const ByteImage& in, const ResampleAxis* x, const ResampleAxis* y, std::uint8_t* out);

 private:
  void along_rows(const ByteImage& in, const ResampleAxis& x, Index first_row, Index rows,
                  std::uint8_t* out);

  Isa isa_;
  std::vector<std::uint8_t> turned_, result_;  // (pixels, channels, 16): sixteen rows, turned over
  std::vector<std::uint8_t> between_;          // (rows, x.outputs(), channels)
};

}  // namespace tessera
