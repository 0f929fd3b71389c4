// SPDX-License-Identifier: Apache-2.0
//
// Golden vectors (golden_vectors.hpp) replayed on this machine: tokens, pixels and the bytes of weights
// once, then every output of the file at every ISA level and precision that this machine has.
//
//   fp32        max |a - b| ≤ 3e-5 · max |b|              of each output, b the reference
//   bf16, int8  1 - cos ≤ 1e-2, 5e-2                      of the worst row of each output
//
// Rounding makes 7.1e-6, 2.8e-3 and 1.9e-2 at most of the 427 golden runs, random weights of every family at
// every level; the smallest wrong choice that was seen there makes 1.4e-4. Rows of fewer than
// kFewColumns numbers have no direction worth the name: they are compared as one row.
//
// It fails closed: what is in the file and cannot be compared is an error.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tessera/measure/difference.hpp"
#include "tessera/measure/golden_run.hpp"
#include "tessera/measure/golden_vectors.hpp"
#include "tessera/measure/verified_once.hpp"

namespace tessera {

inline constexpr Index kFewColumns = 8;

struct VerifyOptions {
  std::optional<Isa> isa{};              ///< none: every level that this machine has
  std::optional<Precision> precision{};  ///< none: every one, or that of the file if it is not fp32
  int threads = 0;                       ///< 0: the default
  std::optional<double> tolerance{};     ///< in place of the bound of every precision
};

/// An output in one run.
struct VerifiedOutput {
  std::string name;  ///< "hidden_states.3"
  std::string
      writer;  ///< the program's name of the value: "layer.2.out"; "" of logits between towers
  Difference difference;
  bool is_off = false;
};

struct VerifiedRun {
  Isa isa = Isa::baseline;
  Precision precision = Precision::f32;
  double bound = 0;
  std::vector<VerifiedOutput> outputs;  ///< in the order in which they are computed

  /// The first of `outputs` that is off; null: none is.
  const VerifiedOutput* first_off() const noexcept;
};

struct Verification {
  std::string model, path, made_by;
  Precision recorded = Precision::f32;
  Index sequences = 0, rows = 0;
  bool has_texts = false, has_images = false;
  VerifiedOnce texts, images, weights;
  std::vector<VerifiedRun> runs;
  std::vector<std::string> left_out;  ///< levels and precisions of which there was no run, and why

  bool is_good() const noexcept;
};

/// max |a - b| / max |b|, or 1 - cos, the most that an output may be off.
double bound_of(Precision precision) noexcept;

/// Errors: not_found: an output that the model has not; invalid_argument: a shape that is another here, a
/// precision that the file is not of; as ReferenceInput::open(), Encoder().
Verification verify(const VerifiedModel& model, const GoldenVectors& vectors,
                    const VerifyOptions& options);

std::string verification_text(const Verification& verification);
std::string verification_json(const Verification& verification);

}  // namespace tessera
