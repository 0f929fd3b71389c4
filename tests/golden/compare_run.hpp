// SPDX-License-Identifier: Apache-2.0
//
// Runs padded reference inputs as a ragged batch and measures the distance of every output from
// the reference: at attended positions for [B,T,…], everywhere for [B,…].
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/package.hpp"
#include "models/reference_batch.hpp"
#include "runtime/session/session.hpp"
#include "tests/golden/stored.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"

namespace tessera::test {

/// The bound of shared/conformance: the reference itself is within 4e-5 of its computation in f64,
/// and the smallest wrong choice seen (erf gelu for tanh gelu) makes 1.4e-4.
inline constexpr double kGoldenTolerance = 1e-4;

/// max |got − expected| over what is compared; a NaN counts as infinite.
inline double distance(std::span<const float> got, std::span<const float> expected) {
  double worst = 0.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
    worst = std::isnan(d) ? HUGE_VAL : std::max(worst, d);
  }
  return worst;
}

/// 1 − cosine of the angle between the two; 0 if both are zero. A NaN counts as infinite.
inline double angle(std::span<const float> got, std::span<const float> expected) {
  double dot = 0.0, a = 0.0, b = 0.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double x = static_cast<double>(got[i]), y = static_cast<double>(expected[i]);
    dot += x * y, a += x * x, b += y * y;
  }
  if (a == 0.0 && b == 0.0) return 0.0;
  const double cosine = dot / std::sqrt(a * b);
  return std::isnan(cosine) ? HUGE_VAL : 1.0 - cosine;
}

/// How a row is compared with the reference's, and the most that it may differ.
struct Measure {
  double (*of)(std::span<const float> got, std::span<const float> expected);
  double most, most_of_few;  ///< the latter for rows of fewer than 8 elements
  Precision precision;

  double most_for(const StoredTensor& tensor) const {
    if (tensor.shape.size() == 4) return tensor.shape[1] < 8 ? most_of_few : most;  // (B,C,h,w)
    return !tensor.shape.empty() && tensor.shape.back() < 8 ? most_of_few : most;
  }
};
inline constexpr Measure kFp32{distance, kGoldenTolerance, kGoldenTolerance, Precision::f32};
/// Rounding to bf16 moves an element by up to 2⁻⁹ of it, a row of a few layers by a few times that:
/// a cosine of 0.9994 is an angle of about 2⁻⁵. The logits of a few labels are a projection of such a
/// row: they keep its error and little of its length.
inline constexpr Measure kBf16{angle, 6e-4, 1.6e-3, Precision::bf16};

/// Rounding a row to 8 bits moves its elements by up to 2⁻⁸ of the largest.
inline constexpr Measure kInt8{angle, 1e-3, 1e-2, Precision::s8};

/// A model of `package` at one level, with a session for batches of up to `rows` rows.
class Runner {
 public:
  /// At a level that this machine lacks: by tests/kernels/probe/emulated_tiles.hpp.
  Runner(const models::Package& package, Isa isa, int threads = 1,
         Precision precision = Precision::f32)
      : inputs_(package.program.inputs),
        threads_(threads),
        model_(Model::create(
            package.program, package.checkpoint,
            {.isa = isa, .kernels = kernels_for(isa), .outputs = {}, .precision = precision})) {}

  /// The session stays valid until the next run. `by_queries`: in blocks of 64 queries (keys_first.hpp).
  Session& run(const models::ReferenceBatch& batch, bool by_queries = false) {
    SessionOptions options{.max_rows = batch.rows(),
                           .max_sequences = batch.sequences(),
                           .threads = threads_,
                           .outputs = {}};
    if (by_queries) options.least_memory = true, options.row_blocks = 64;
    session_ = Session::create(model_, options);
    session_->run(batch.view());
    return *session_;
  }

  /// Likewise, of images.
  Session& run(const StoredImages& images, bool interpolate) {
    session_ = Session::create(
        model_, {.max_rows = images.count * image_room(model_->program(), images.height,
                                                       images.width, interpolate),
                 .max_sequences = images.count,
                 .threads = threads_,
                 .outputs = {}});
    session_->run({.images = images.view(), .interpolate_positions = interpolate});
    return *session_;
  }

  bool takes_images() const noexcept { return std::holds_alternative<ImageSpec>(inputs_); }

  models::ReferenceBatch batch(const StoredInputs& inputs) const {
    return {std::get<TokenSpec>(inputs_),
            inputs.sequences,
            inputs.tokens,
            inputs.ids,
            inputs.mask,
            inputs.types};
  }

  bool has(std::string_view output) const { return model_->program().find_output(output) != kNone; }

 private:
  Inputs inputs_;
  int threads_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Session> session_;
};

/// Distance of the output `name` of the last run from `expected`, flat [B,T,W] or [B,W].
inline double output_distance(const Session& session, const models::ReferenceBatch& batch,
                              const std::string& name, std::span<const float> expected,
                              Index padded_tokens, const Measure& measure = kFp32) {
  const TensorView<const float> got = session.output(name);
  const bool per_sequence =
      got.rows == batch.sequences() && static_cast<Index>(expected.size()) == got.rows * got.cols;
  const auto width = static_cast<std::size_t>(got.cols);
  const auto all = static_cast<std::size_t>(batch.sequences() * padded_tokens) * width;
  if (!per_sequence && expected.size() != all) {
    ADD_FAILURE() << name << " has " << expected.size() << " elements in the reference, but width "
                  << width << " here";
    return HUGE_VAL;
  }
  double worst = 0.0;
  std::vector<float> column, expected_column;  // a number per row has no direction: all of them do
  for (Index row = 0; row < got.rows; ++row) {
    if (!per_sequence && batch.is_query_only(row)) continue;
    const Index at = per_sequence ? row : batch.padded_index(row);
    if (width == 1) {
      column.push_back(got.row(row)[0]);
      expected_column.push_back(expected[static_cast<std::size_t>(at)]);
      continue;
    }
    worst = std::max(
        worst,
        measure.of(got.row(row), expected.subspan(static_cast<std::size_t>(at) * width, width)));
  }
  return std::max(worst, measure.of(column, expected_column));
}

/// The same where every row counts: images have no padding.
inline double output_distance(const Session& session, const std::string& name,
                              std::span<const float> expected, const Measure& measure = kFp32) {
  const TensorView<const float> got = session.output(name);
  if (static_cast<Index>(expected.size()) != got.rows * got.cols) {
    ADD_FAILURE() << name << " has " << expected.size() << " elements in the reference, but "
                  << got.rows << " x " << got.cols << " here";
    return HUGE_VAL;
  }
  double worst = 0.0;
  for (Index row = 0; row < got.rows; ++row) {
    const auto begin = static_cast<std::size_t>(row * got.cols);
    worst = std::max(
        worst,
        measure.of(got.row(row), expected.subspan(begin, static_cast<std::size_t>(got.cols))));
  }
  return worst;
}

}  // namespace tessera::test
