// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/input_factors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "runtime/base/error.hpp"
#include "runtime/program/input_factors.hpp"
#include "runtime/weights/matrix_rows.hpp"
#include "runtime/weights/whole_panels.hpp"

namespace tessera {
namespace {

constexpr int kMostExponent = 8;
constexpr int kOutlier = 2;  // an exponent: a channel 8 times as large as its column lets expect
constexpr double kWorthIt = 0.5;  // of the predicted error
constexpr Index kBlocks = 16, kBlockRows = 16;
constexpr float kDeviations = 3.0F;  // of a normal number: what a norm's row reaches

double median(std::span<const float> values) {
  std::vector<float> sorted(values.begin(), values.end());
  const auto middle = sorted.begin() + std::ssize(sorted) / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  return static_cast<double>(*middle);
}

/// E of a·f and w/f.
double predicted_error(std::span<const float> a, std::span<const float> w,
                       std::span<const float> f) {
  double most_a = 0, most_w = 0, sum_a = 0, sum_w = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double x = static_cast<double>(a[k]) * static_cast<double>(f[k]);
    const double y = static_cast<double>(w[k]) / static_cast<double>(f[k]);
    most_a = std::max(most_a, x);
    most_w = std::max(most_w, y);
    sum_a += x * x;
    sum_w += y * y;
  }
  return most_a * most_a * sum_w + most_w * most_w * sum_a;
}

/// log2 of √r, rounded: without the library's logarithm, which rounds as it likes.
int half_exponent(double r) {
  return std::clamp(std::ilogb(2.0 * r) >> 1, -kMostExponent, kMostExponent);
}

/// The larger magnitude; numbers that are not finite do not count. Bits of floats are ordered as they are.
float largest_of(std::span<const float> row) {
  std::int32_t most = 0;
  for (const float x : row) {
    const std::int32_t bits = std::bit_cast<std::int32_t>(x) & 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  return std::bit_cast<float>(most);
}

class FactorsOf {
 public:
  FactorsOf(const Program& program, const Checkpoint& checkpoint,
            const kernels::KernelTable& kernels)
      : program_(program), checkpoint_(checkpoint), kernels_(kernels) {}

  /// What the checkpoint says of the matrices; nothing if it says nothing.
  std::optional<std::vector<float>> stored(const Parameter& p) const {
    std::optional<std::vector<float>> found;
    std::string first;
    for (const std::int32_t id : p.made_of.matrices) {
      const Parameter& matrix = program_.parameters[at(id)];
      const bool is_whole = packs_whole_rows(checkpoint_, matrix);
      for (const Source& source : matrix.sources) {
        std::span<const float> f = checkpoint_.factors(source.tensor);
        const bool is_number = is_whole && !checkpoint_.scales(source.tensor).empty();
        if (f.empty() && !is_number) continue;
        if (are_ones(f)) f = {};
        if (!found) {
          found.emplace(f.begin(), f.end());
          first = source.tensor;
        } else if (!std::equal(f.begin(), f.end(), found->begin(), found->end())) {
          throw Error(
              ErrorCode::corrupt_file,
              fmt::format("{}: the input factors of tensor \"{}\" are others than those of "
                          "\"{}\", expected the same: both multiply the same rows",
                          checkpoint_.path_of(source.tensor).string(), source.tensor, first));
        }
      }
    }
    return found;
  }

  std::vector<float> balanced(ParameterId id, const MeasuredColumns& measured) const {
    const Parameter& p = program_.parameters[at(id)];
    const std::vector<float> a = largest(id, measured);
    return balanced_factors(a.empty() ? reach(p) : a, weights(p), !a.empty());
  }

 private:
  /// a: of the values that have these factors, as far as they were measured.
  std::vector<float> largest(ParameterId id, const MeasuredColumns& measured) const {
    std::vector<float> a;
    for (const Op& op : program_.ops) {
      const std::optional<FactoredValue> factored = factored_value(op);
      if (!factored || factored->factors != id) continue;
      const auto its = measured.find(program_.values[at(factored->value)].name);
      if (its == measured.end()) continue;
      a.resize(its->second.size());
      for (std::size_t k = 0; k < a.size(); ++k) a[k] = std::max(a[k], its->second[k]);
    }
    return a;
  }
  /// a: of the norms that write what is multiplied, or 1.
  std::vector<float> reach(const Parameter& p) const {
    if (p.made_of.norms.empty()) return std::vector<float>(static_cast<std::size_t>(p.rows), 1.0F);
    std::vector<float> a(static_cast<std::size_t>(p.rows));
    for (const InputFactors::Norm& norm : p.made_of.norms) {
      const std::vector<float> gamma = vector(norm.gamma), beta = vector(norm.beta);
      for (std::size_t k = 0; k < a.size(); ++k) {
        a[k] = std::max(a[k], kDeviations * std::abs(gamma[k]) + std::abs(beta[k]));
      }
    }
    return a;
  }
  std::vector<float> vector(ParameterId id) const {
    const Parameter& p = program_.parameters[at(id)];
    std::vector<float> values(static_cast<std::size_t>(p.rows));
    RowReader reader(checkpoint_, kernels_);
    float* to = values.data();
    for (const Source& source : p.sources) {
      reader.widen(find_rows(checkpoint_, source, 1), 0, source.rows, to);
      to += source.rows;
    }
    for (float& value : values) value += p.offset;
    return values;
  }
  /// w of all matrices together: of blocks of rows evenly spread, since a column that is unlike the others
  /// is so in every row, and reading all would double the time of loading.
  std::vector<float> weights(const Parameter& p) const {
    std::vector<float> w(static_cast<std::size_t>(p.rows));
    for (const std::int32_t id : p.made_of.matrices) {
      const Parameter& matrix = program_.parameters[at(id)];
      MatrixRows rows(checkpoint_, kernels_, matrix);
      const Index N = matrix.rows, blocks = std::min(kBlocks, (N + kBlockRows - 1) / kBlockRows);
      for (Index block = 0; block < blocks; ++block) {
        const Index first = block * N / blocks;
        raise_columns(rows.rows(first, std::min(kBlockRows, N - first)), w);
      }
    }
    return w;
  }

  const Program& program_;
  const Checkpoint& checkpoint_;
  const kernels::KernelTable& kernels_;
};

}  // namespace

std::vector<float> balanced_factors(std::span<const float> a, std::span<const float> w,
                                    bool is_measured) {
  const double of_a = median(a), of_w = median(w);
  const std::vector<float> ones(a.size(), 1.0F);
  std::vector<float> f = ones;
  if (!(of_a > 0.0) || !(of_w > 0.0) || !std::isfinite(of_a)) return {};
  bool has_outlier = false;
  for (std::size_t k = 0; k < f.size(); ++k) {
    const double r = static_cast<double>(a[k]) / of_a / (static_cast<double>(w[k]) / of_w);
    if (!(r > 0.0) || !std::isfinite(r)) continue;
    const int e = half_exponent(r);
    has_outlier = has_outlier || (!is_measured && e >= kOutlier);
    f[k] = std::ldexp(1.0F, -e);
  }
  if (!has_outlier && !(predicted_error(a, w, f) < kWorthIt * predicted_error(a, w, ones)))
    return {};
  return are_ones(f) ? std::vector<float>{} : f;
}

void raise_columns(std::span<const float> rows, std::span<float> w) {
  const std::size_t K = w.size();
  for (std::size_t begin = 0; begin + K <= rows.size(); begin += K) {
    const float* const row = rows.data() + begin;
    const float largest = largest_of({row, K});
    if (!(largest > 0.0F) || !std::isfinite(largest)) continue;
    const float inverse = 1.0F / largest;
    for (std::size_t k = 0; k < K; ++k) {
      const float part = std::abs(row[k]) * inverse;
      w[k] = part > w[k] ? part : w[k];
    }
  }
}

std::vector<std::vector<float>> input_factors(const Program& program, const Checkpoint& checkpoint,
                                              const kernels::KernelTable& kernels,
                                              const MeasuredColumns& measured) {
  const FactorsOf factors(program, checkpoint, kernels);
  std::vector<std::vector<float>> result(program.parameters.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const Parameter& p = program.parameters[i];
    if (p.kind != ParameterKind::factors) continue;
    std::optional<std::vector<float>> stored = factors.stored(p);
    result[i] =
        stored ? std::move(*stored) : factors.balanced(static_cast<ParameterId>(i), measured);
  }
  return result;
}

void divide_columns(std::span<float> rows, std::span<const float> f) {
  const std::size_t K = f.size();
  if (K == 0) return;
  std::vector<float> inverse(K);
  for (std::size_t k = 0; k < K; ++k) inverse[k] = 1.0F / f[k];
  for (std::size_t begin = 0; begin + K <= rows.size(); begin += K) {
    float* const row = rows.data() + begin;
    for (std::size_t k = 0; k < K; ++k) row[k] *= inverse[k];
  }
}

bool are_ones(std::span<const float> f) {
  return std::all_of(f.begin(), f.end(), [](float x) { return x == 1.0F; });
}

}  // namespace tessera
