// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/packed_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/weights/input_factors.hpp"
#include "runtime/weights/magnitudes.hpp"
#include "runtime/weights/matrix_rows.hpp"
#include "runtime/weights/packed_cache.hpp"
#include "runtime/weights/picked_rows.hpp"
#include "runtime/weights/project_rows.hpp"
#include "runtime/weights/source_rows.hpp"
#include "runtime/weights/whole_panels.hpp"
#include "runtime/weights/window_bias.hpp"

namespace tessera {
namespace {

constexpr std::size_t kAlign = 64;
constexpr float kInfiniteBf16 = 0x1.FFp127F;  // halfway from the largest bf16 to what would follow

std::size_t rounded(std::size_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

std::size_t aligned_floats(Index count) {
  return rounded(static_cast<std::size_t>(count) * sizeof(float));
}

bool is_aligned(const Rows& rows) {
  return reinterpret_cast<std::uintptr_t>(rows.data) %
             static_cast<std::uintptr_t>(size_of(rows.type)) ==
         0;
}

/// True if a table can be read where it is mapped.
bool readable_in_place(const Rows& rows) {
  return rows.data != nullptr && rows.ternary == nullptr && is_aligned(rows);
}

class Packer {
 public:
  Packer(const Checkpoint& checkpoint, const kernels::KernelTable& kernels, bool copy_tables)
      : checkpoint_(checkpoint),
        kernels_(kernels),
        copy_tables_(copy_tables),
        reader_(checkpoint, kernels) {}

  /// Bytes that `p` takes in the block.
  std::size_t bytes(const Parameter& p) const {
    switch (p.kind) {
      case ParameterKind::matrix: {
        const kernels::Gemm& gemm = kernels_.gemm[p.precision];
        const Index panels = (p.rows + gemm.NR - 1) / gemm.NR;
        return rounded(static_cast<std::size_t>(panels * gemm.panel_bytes(p.cols)));
      }
      case ParameterKind::vector:
      case ParameterKind::factors:
      case ParameterKind::bias:
      case ParameterKind::rows:
      case ParameterKind::pair_bias:
        return aligned_floats(p.rows * p.cols);
      case ParameterKind::distances:
        return rounded(static_cast<std::size_t>(projected_bytes(
            kernels_.gemm[p.precision], p.rows, p.projection.heads, p.cols / p.projection.heads)));
      case ParameterKind::table:
        if (in_place(p)) return 0;
        return rounded(static_cast<std::size_t>(p.rows * p.cols * size_of(table_type(p))));
    }
    return 0;
  }

  bool in_place(const Parameter& p) const { return !copy_tables_ && keeps_type(p); }

  /// Tables keep their stored type where it is aligned, copied or not.
  DType table_type(const Parameter& p) const {
    return keeps_type(p) ? find_rows(checkpoint_, p.sources.front(), p.cols).type : DType::f32;
  }

  /// Fills `to` (bytes(p) bytes, zeroed). False, after a warning: a value is not finite. `factors`: of
  /// this parameter, or, of a matrix, of the value that it multiplies; empty where all are 1.
  bool pack(const Parameter& p, std::span<const float> factors, float* to) {
    switch (p.kind) {
      case ParameterKind::matrix:
        return pack_matrix(p, factors, reinterpret_cast<std::byte*>(to));
      case ParameterKind::factors:
        std::fill_n(to, p.rows, 1.0F);
        std::copy(factors.begin(), factors.end(), to);
        return true;
      case ParameterKind::bias:
        gather_bias(p, to);
        break;
      case ParameterKind::pair_bias:
        p.window.hidden > 0 ? compute_window_bias(p, to) : gather_bias(p, to);
        if (p.window.shift > 0) add_window_variants(p.window, p.rows / variants_of(p), to);
        break;
      case ParameterKind::distances:
        return pack_distances(p, reinterpret_cast<std::byte*>(to));
      case ParameterKind::table:
        if (is_picked(checkpoint_, p)) {
          pick_rows(checkpoint_, kernels_, p, to);
          break;
        }
        if (keeps_type(p)) {
          const Rows rows = find_rows(checkpoint_, p.sources.front(), p.cols);
          const auto bytes = static_cast<std::size_t>(p.rows * p.cols * size_of(rows.type));
          checkpoint_.read({rows.data, bytes}, reinterpret_cast<std::byte*>(to));
          return check_table(p);
        }
        widen_rows(p, to);
        break;
      default:
        widen_rows(p, to);
        break;
    }
    return warn_unless_finite(p, to, static_cast<Index>(bytes(p) / sizeof(float)));
  }

  /// The same for a table in its stored type, a piece at a time.
  bool check_table(const Parameter& p) {
    if (table_type(p) == DType::s8) return true;  // whole numbers with scales that were checked
    return check(p, find_rows(checkpoint_, p.sources.front(), p.cols), 0, p.rows * p.cols);
  }

 private:
  bool keeps_type(const Parameter& p) const {
    if (p.sources.size() != 1 || is_picked(checkpoint_, p)) return false;
    const Rows rows = find_rows(checkpoint_, p.sources.front(), p.cols);
    return readable_in_place(rows) && (rows.type != DType::s8 || rows.length == p.cols);
  }

  /// Elements [begin, begin + count) of a source of `p`, a piece at a time.
  bool check(const Parameter& p, const Rows& rows, Index begin, Index count) {
    constexpr Index kPiece = 16384;
    for (const Index end = begin + count; begin < end; begin += kPiece) {
      const Index n = std::min(kPiece, end - begin);
      if (!check(p, fetch(rows, begin, n), rows.type, n)) return false;
    }
    return true;
  }

  /// The same of `n` elements at `from`, aligned: widened and looked at one by one only if one of them
  /// is not below what `p` may hold.
  bool check(const Parameter& p, const std::byte* from, DType type, Index n) {
    if (all_below(from, type, n, limit(p))) return true;
    constexpr Index kPiece = 4096;  // stays in L1
    piece_.resize(static_cast<std::size_t>(kPiece));
    for (Index begin = 0; begin < n; begin += kPiece) {
      const Index part = std::min(kPiece, n - begin);
      kernels_.widen(from + begin * size_of(type), type, piece_.data(), part);
      if (!warn_unless_finite(p, piece_.data(), part)) return false;
    }
    return true;
  }

  /// What the magnitudes of `p` must be below: infinity, or what bf16 rounds to it.
  static float limit(const Parameter& p) {
    return p.precision == Precision::bf16 ? kInfiniteBf16 : std::numeric_limits<float>::infinity();
  }

  bool warn_unless_finite(const Parameter& p, const float* values, Index n) {
    if (all_below(reinterpret_cast<const std::byte*>(values), DType::f32, n, limit(p))) return true;
    if (p.precision == Precision::bf16) require_bf16(p, values, n);
    for (Index i = 0; i < n; ++i) {
      if (std::isfinite(values[i])) continue;
      log(LogLevel::warning,
          fmt::format("{}: parameter \"{}\" holds a value that is not finite ({})", file_of(p),
                      p.name, static_cast<double>(values[i])));
      return false;
    }
    return true;
  }

  /// Where its values are stored; of several sources the first.
  std::string file_of(const Parameter& p) const {
    for (const Source& source : p.sources) {
      if (!source.tensor.empty()) return checkpoint_.path_of(source.tensor).string();
    }
    return checkpoint_.path().string();
  }

  /// The tensors that it is made of, in quotes.
  static std::string tensors_of(const Parameter& p) {
    std::string names;
    for (const Source& source : p.sources) {
      const std::string name = fmt::format("\"{}\"", source.tensor);
      if (names.find(name) == std::string::npos) names += (names.empty() ? "" : ", ") + name;
    }
    return names;
  }

  /// Finite values that would round to infinity.
  void require_bf16(const Parameter& p, const float* values, Index n) const {
    for (Index i = 0; i < n; ++i) {
      if (!std::isfinite(values[i]) || std::abs(values[i]) < kInfiniteBf16) continue;
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("{}: parameter \"{}\" (of {}) holds {}, which bf16 has no number for, "
                      "expected less than {}: compute this model in fp32",
                      file_of(p), p.name, tensors_of(p), static_cast<double>(values[i]),
                      static_cast<double>(kInfiniteBf16)));
    }
  }

  // A panel that spans two sources (Q and K of a fused QKV whose H is no multiple of NR) is first
  // gathered as f32 rows. Whether all values are finite is seen in the sources.
  bool pack_matrix(const Parameter& p, std::span<const float> factors, std::byte* panels) {
    const kernels::Gemm& gemm = kernels_.gemm[p.precision];
    const Index NR = gemm.NR, K = p.cols;
    if (gemm.of_integers && packs_whole_rows(checkpoint_, p)) {
      const std::vector<double> scale = row_scales(checkpoint_, kernels_, p);
      if (pack_whole_rows(checkpoint_, kernels_, p, scale, factors, panels)) return true;
      log(LogLevel::warning,
          fmt::format("{}: parameter \"{}\" holds a value that is not finite", file_of(p), p.name));
      return false;
    }
    MatrixRows matrix(checkpoint_, kernels_, p);
    bool is_finite = true;
    for (Index n0 = 0; n0 < p.rows; n0 += NR) {
      const Index nr = std::min(NR, p.rows - n0);
      std::byte* panel = panels + n0 / NR * gemm.panel_bytes(K);
      if (matrix.is_stored() && factors.empty()) {
        const auto [source, first] = locate(p, n0);
        const Rows rows = find_rows(checkpoint_, p.sources[source], K);
        if (rows.data != nullptr && rows.type != DType::s8 && first + nr <= rows.rows) {
          const std::byte* const w = fetch(rows, first * K, nr * K);
          is_finite = is_finite && check(p, w, rows.type, nr * K);
          gemm.pack_panel({w, rows.type, K, nr, K, panel});
          continue;
        }
      }
      const std::span<float> rows = matrix.rows(n0, nr);
      is_finite = is_finite && warn_unless_finite(p, rows.data(), nr * K);
      divide_columns(rows, factors);
      gemm.pack_panel({rows.data(), DType::f32, K, nr, K, panel});
    }
    return is_finite;
  }

  bool pack_distances(const Parameter& p, std::byte* panels) {
    const Projection& by = p.projection;
    std::vector<float> rows = load(p.sources.front().tensor, p.rows, by.width), gamma, beta;
    const std::vector<float> weight = load(by.weight, p.cols, by.width),
                             bias = load(by.bias, p.cols, 1);
    if (!by.gamma.empty()) gamma = load(by.gamma, by.width, 1), beta = load(by.beta, by.width, 1);
    const float largest = project_rows(kernels_,
                                       {.rows = rows,
                                        .weight = weight,
                                        .bias = bias,
                                        .gamma = gamma,
                                        .beta = beta,
                                        .eps = by.eps,
                                        .R = p.rows,
                                        .K = by.width,
                                        .heads = by.heads,
                                        .d = p.cols / by.heads},
                                       p.precision, panels);
    const bool is_finite = std::isfinite(largest);
    if (is_finite && p.precision == Precision::bf16) require_bf16(p, &largest, 1);
    if (!is_finite) {
      log(LogLevel::warning,
          fmt::format("{}: parameter \"{}\" holds a value that is not finite", file_of(p), p.name));
    }
    return is_finite;
  }

  static float product(float x, double factor) {
    return static_cast<float>(static_cast<double>(x) * factor);
  }

  /// bias·s + t, or bias + weight·t.
  void fold_batch_norm(const Parameter& p, float* bias) {
    const auto [s, t] = batch_norm_factors(checkpoint_, kernels_, p);
    if (!p.batch_norm.comes_first) {
      for (std::size_t n = 0; n < s.size(); ++n) {
        bias[n] = static_cast<float>(static_cast<double>(bias[n]) * s[n] + t[n]);
      }
      return;
    }
    const Index K = std::ssize(t);
    const std::vector<float> weight = load(p.batch_norm.weight, p.rows, K);
    for (Index n = 0; n < p.rows; ++n) {
      const float* const row = weight.data() + n * K;
      auto sum = static_cast<double>(bias[n]);
      for (std::size_t k = 0; k < t.size(); ++k) sum += static_cast<double>(row[k]) * t[k];
      bias[n] = static_cast<float>(sum);
    }
  }

  /// (rows, cols) out of a source (cols, rows).
  void transpose_rows(const Parameter& p, float* to) {
    const Rows source = find_rows(checkpoint_, p.sources.front(), p.rows);
    const std::vector<double> s = batch_norm_factors(checkpoint_, kernels_, p).s;
    std::vector<float> part(static_cast<std::size_t>(p.rows));
    for (Index c = 0; c < p.cols; ++c) {
      widen(source, c * p.rows, p.rows, part.data());
      for (Index row = 0; row < p.rows; ++row) {
        auto x = static_cast<double>(part[static_cast<std::size_t>(row)]);
        if (!s.empty()) x *= s[static_cast<std::size_t>(c)];
        if (p.adds_input && row == p.rows / 2) x += 1.0;
        to[row * p.cols + c] = static_cast<float>(x);
      }
    }
  }

  void widen_rows(const Parameter& p, float* to) {
    if (p.transposed) return transpose_rows(p, to);
    if (p.cols == 1) {  // a vector: whole sources at once
      float *const first = to, *vector = to;
      for (const Source& source : p.sources) {
        widen(find_rows(checkpoint_, source, 1), 0, source.rows, to);
        to += source.rows;
      }
      if (p.repeats > 0) repeat_exp(first, p.rows / p.repeats, p.repeats);
      if (!p.batch_norm.gamma.empty()) fold_batch_norm(p, first);
      for (const double scale : row_scales(checkpoint_, kernels_, p)) {
        *vector = product(*vector, scale);
        ++vector;
      }
      if (p.offset != 0.0F) {
        for (Index n = 0; n < p.rows; ++n) first[n] += p.offset;
      }
      return;
    }
    for (Index row = 0; row < p.rows; ++row) widen_row(p, row, to + row * p.cols);
  }

  // (h, r) = source[gather[r], h]
  void gather_bias(const Parameter& p, float* to) {
    const Index heads = p.rows / variants_of(p);
    const Rows rows = find_rows(checkpoint_, p.sources.front(), heads);  // (buckets, heads)
    std::vector<float> table(static_cast<std::size_t>(rows.rows * heads));
    widen(rows, 0, rows.rows * heads, table.data());
    for (Index h = 0; h < heads; ++h) {
      for (Index r = 0; r < p.cols; ++r) {
        to[h * p.cols + r] =
            table[static_cast<std::size_t>(p.gather[static_cast<std::size_t>(r)] * heads + h)];
      }
    }
  }

  void compute_window_bias(const Parameter& p, float* to) {
    const WindowBias& window = p.window;
    const Index F = window.hidden, heads = p.rows / variants_of(p);
    std::vector<float> w1 = load(window.weight, F, 2), b1 = load(window.bias, F, 1),
                       w2 = load(p.sources.front().tensor, heads, F);
    window_bias(window, {.heads = heads, .w1 = w1, .b1 = b1, .w2 = w2}, to);
  }

  std::vector<float> load(const std::string& tensor, Index rows, Index cols) {
    return load_tensor(checkpoint_, kernels_, tensor, rows, cols);
  }

  void widen_row(const Parameter& p, Index row, float* to) {
    const auto [source, first] = locate(p, row);
    widen(find_rows(checkpoint_, p.sources[source], p.cols), first * p.cols, p.cols, to);
  }

  const std::byte* fetch(const Rows& rows, Index begin, Index n) {
    return reader_.fetch(rows, begin, n);
  }
  void widen(const Rows& rows, Index begin, Index n, float* to) {
    reader_.widen(rows, begin, n, to);
  }

  const Checkpoint& checkpoint_;
  const kernels::KernelTable& kernels_;
  bool copy_tables_;
  RowReader reader_;
  std::vector<float> piece_;
};

void check_sources(const Parameter& p) {
  if (p.kind == ParameterKind::factors) return;  // of other parameters
  Index rows = 0;
  for (const Source& source : p.sources) rows += source.rows;
  const bool gathers = p.kind == ParameterKind::bias || p.kind == ParameterKind::pair_bias;
  const bool picks = p.kind == ParameterKind::table && !p.gather.empty();
  const bool computes = p.kind == ParameterKind::pair_bias && p.window.hidden > 0;
  const auto is_row = [&](std::int32_t row) { return row >= 0 && row < rows; };
  const bool ok = picks ? p.sources.size() == 1 && std::ssize(p.gather) == p.rows &&
                              std::all_of(p.gather.begin(), p.gather.end(), is_row)
                  : computes      ? p.sources.size() == 1 && rows * variants_of(p) == p.rows
                  : gathers       ? p.sources.size() == 1 && std::ssize(p.gather) == p.cols
                  : p.repeats > 0 ? rows * p.repeats == p.rows
                  : p.transposed  ? p.sources.size() == 1 && rows == p.cols
                                  : rows == p.rows && (p.minus.rows == 0 || p.minus.rows == p.rows);
  if (!ok)
    throw Error(ErrorCode::internal,
                fmt::format("program: sources of parameter \"{}\" do not add up", p.name));
}

}  // namespace

WeightBytes weight_bytes(const Program& program, const Checkpoint& checkpoint,
                         const kernels::KernelTable& kernels, bool copy_tables) {
  const Packer packer(checkpoint, kernels, copy_tables);
  WeightBytes bytes;
  for (const Parameter& p : program.parameters) {
    check_sources(p);
    bytes.packed += packer.bytes(p);
    if (p.kind == ParameterKind::table && packer.in_place(p)) {
      bytes.mapped += static_cast<std::size_t>(p.rows * p.cols * size_of(packer.table_type(p)));
    }
  }
  return bytes;
}

// Of the checkpoint no more is held than the rows that are packed next.
PackedWeights::PackedWeights(const Program& program, std::shared_ptr<const Checkpoint> checkpoint,
                             const kernels::KernelTable& kernels, const WeightOptions& options)
    : checkpoint_(std::move(checkpoint)),
      parameters_(program.parameters.size()),
      bytes_(weight_bytes(program, *checkpoint_, kernels, options.copy_tables)) {
  checkpoint_->check_unchanged();
  Packer packer(*checkpoint_, kernels, options.copy_tables);
  std::optional<PackedCache> cache;
  if (!options.cache_directory.empty()) {
    cache.emplace(options.cache_directory,
                  packing_key(program, options.isa, kernels, options.copy_tables), *checkpoint_,
                  bytes_.packed);
    cached_ = cache->open();
  }
  if (!cached_) block_ = Arena(bytes_.packed, "weights");
  const std::byte* block =
      cached_ ? cached_->bytes().data() + PackedCache::block_offset(*cached_) : block_.data();
  std::vector<std::vector<float>> factors(parameters_.size());
  if (!cached_) factors = input_factors(program, *checkpoint_, kernels);
  bool is_finite = true;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = program.parameters[i];
    LoadedParameter& loaded = parameters_[i];
    loaded.rows = p.rows;
    loaded.cols = p.cols;
    const bool is_factors =
        p.kind == ParameterKind::factors;  // of weights, and no weights themselves
    if (!is_factors) parameter_count_ += static_cast<std::size_t>(p.rows * p.cols);
    const bool in_place = p.kind == ParameterKind::table && packer.in_place(p);
    if (!cached_) {
      const std::size_t its = p.input_factors < 0 ? i : at(p.input_factors);
      const bool ok =
          in_place ? packer.check_table(p) : packer.pack(p, factors[its], block_.floats(offset));
      is_finite = is_finite && ok;
    }
    if (in_place) {
      loaded.table = find_rows(*checkpoint_, p.sources.front(), p.cols).data;
    } else if (p.kind == ParameterKind::table) {
      loaded.table = block + offset;
    } else if (p.kind == ParameterKind::matrix || p.kind == ParameterKind::distances) {
      loaded.panels = block + offset;
      loaded.precision = p.precision;
    } else {
      loaded.data = reinterpret_cast<const float*>(block + offset);
      if (is_factors && are_ones({loaded.data, static_cast<std::size_t>(p.rows)})) {
        loaded.data = nullptr;
      }
    }
    if (p.kind == ParameterKind::table) loaded.type = packer.table_type(p);
    if (loaded.type == DType::s8) {
      const Rows rows = find_rows(*checkpoint_, p.sources.front(), p.cols);
      loaded.scales = rows.scales.data() + rows.first / p.cols;
    }
    offset += packer.bytes(p);
  }
  if (!cached_) checkpoint_->check_unchanged();  // all of it is of one state
  // Values that are not finite are to be reported at every start: such weights are packed anew.
  if (cache && !cached_ && is_finite) cache->store({block_.data(), bytes_.packed});
}

void PackedWeights::check_unchanged() const {
  if (bytes_.mapped > 0) checkpoint_->check_unchanged();
  if (cached_) cached_->check_unchanged();
}

}  // namespace tessera
