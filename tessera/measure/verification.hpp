// SPDX-License-Identifier: Apache-2.0
//
// Golden vectors (golden_vectors.hpp) replayed on this machine: tokens, pixels and the bytes of weights
// once, then every output of the file at every ISA level and precision that this machine has.
//
//           max |a - b| / max |b|    1 - cos of the worst row    of each output, b the reference
//   fp32    ≤ 3e-5                   ≤ 1e-10
//   bf16    ≤ 0.2                    ≤ 1e-2
//   int8    ≤ 0.6                    ≤ 5e-2
//
// Rounding makes 7.1e-6, 0.06, 0.31 and 2.0e-11, 2.8e-3, 1.9e-2 at most of the 427 golden runs, random
// weights of every family at every level (scripts/verify_golden.py); the smallest wrong choice that was seen there makes 1.4e-4 in
// fp32. The first measure sees lengths, the second rows in which one large channel hides the others. Rows of
// fewer than kFewColumns numbers have no direction worth the name: they are compared as one row.
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
  double tolerance = 1;                  ///< so many times the bounds are accepted
};

/// The most that an output may be off.
struct VerifyBound {
  double relative = 0, cosine = 0;  ///< of Difference::relative, and of Difference::worst
};
VerifyBound bound_of(Precision precision) noexcept;

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
  VerifyBound bound{};
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

/// Errors: not_found: an output that the model has not; invalid_argument: a shape that is another here, a
/// precision that the file is not of; as ReferenceInput::open(), Encoder().
Verification verify(const VerifiedModel& model, const GoldenVectors& vectors,
                    const VerifyOptions& options);

std::string verification_text(const Verification& verification);
std::string verification_json(const Verification& verification);

}  // namespace tessera
