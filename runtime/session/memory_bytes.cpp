// SPDX-License-Identifier: Apache-2.0
#include "runtime/session/memory_bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/execute/onednn_weights.hpp"
#include "runtime/plan/plan_chains.hpp"
#include "runtime/session/forecast.hpp"
#include "runtime/session/parts.hpp"

namespace tessera {
namespace {

/// Of the session that these options make.
std::size_t bytes_of_session(const Program& program, Isa isa, const SessionOptions& options,
                             std::size_t weights) {
  return arena_bytes(program, isa,
                     with_memory_choice(resolve(options, isa), program, isa, weights));
}

/// `rows` rows, and of the sequences the same share.
SessionOptions with_rows(SessionOptions options, Index rows) {
  const Index share = (options.max_sequences * rows + options.max_rows - 1) / options.max_rows;
  options.max_sequences = std::clamp<Index>(share, 1, rows);
  options.max_rows = rows;
  return options;
}

using BytesOf = std::function<MemoryBytes(const SessionOptions&)>;

BytesOf bytes_of(const Model& model) {
  return [&model](const SessionOptions& options) { return memory_bytes(model, options); };
}

/// The most rows in [1, options.max_rows] whose memory is within the cap; 0: not even one.
Index most_rows(const BytesOf& bytes, const SessionOptions& options) {
  const auto fits = [&](Index rows) {
    return bytes(with_rows(options, rows)).total() <= options.memory_cap_bytes;
  };
  if (fits(options.max_rows)) return options.max_rows;
  // Where a plan may choose other chains the memory falls; between these places it rises with the rows.
  std::vector<Index> pieces = chain_thresholds(options.threads);
  pieces.insert(pieces.begin(), 1);
  Index low = 0, high = options.max_rows;  // low fits, high does not
  for (auto first = pieces.rbegin(); first != pieces.rend() && low == 0; ++first) {
    if (*first >= high) continue;
    (fits(*first) ? low : high) = *first;
  }
  while (high - low > 1) {
    const Index middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

std::string too_much(const SessionOptions& options, const MemoryBytes& bytes) {
  return fmt::format(
      "session: max_rows {}, max_sequences {} take {} bytes (weights {}, arena {}), expected at "
      "most memory_cap_bytes {}",
      options.max_rows, options.max_sequences, bytes.total(), bytes.weights(), bytes.arena,
      options.memory_cap_bytes);
}

SessionOptions fit(const BytesOf& bytes, Isa isa, const SessionOptions& options, Index least_rows) {
  if (options.memory_cap_bytes == 0) return options;
  const SessionOptions checked = resolve(options, isa);
  // In blocks of queries (keys_first.hpp) only where as many rows as are needed do not fit otherwise.
  SessionOptions usual = checked;
  if (!usual.least_memory && usual.plan == nullptr) usual.least_memory = false;
  const auto is_enough = [&](Index rows) {
    return rows > 0 && rows >= std::min(least_rows, checked.max_rows);
  };
  Index rows = most_rows(bytes, usual);
  if (!is_enough(rows)) rows = most_rows(bytes, checked);
  if (!is_enough(rows)) {
    SessionOptions least = with_rows(checked, std::clamp<Index>(least_rows, 1, checked.max_rows));
    least.max_sequences = 1;
    throw Error(ErrorCode::out_of_memory,
                too_much(least, bytes(least)) + "; nothing smaller will do");
  }
  const SessionOptions fitted = with_rows(checked, rows);
  SessionOptions result = options;
  result.max_rows = fitted.max_rows;
  result.max_sequences = fitted.max_sequences;
  return result;
}

}  // namespace

MemoryBytes memory_bytes(const Model& model, const SessionOptions& options) {
  MemoryBytes bytes{
      .weights_packed = model.packed_bytes(), .weights_mapped = model.mapped_bytes(), .arena = 0};
  bytes.arena = bytes_of_session(model.program(), model.isa(), options, bytes.weights());
  return bytes;
}

MemoryBytes memory_bytes(const Program& program, const Checkpoint& checkpoint,
                         const ModelOptions& model_options, const SessionOptions& options) {
  const Isa isa = resolve_isa(model_options.isa, model_options.precision);
  const Program kept = model_program(program, model_options);
  const WeightBytes weights =
      weight_bytes(kept, checkpoint, kernels::kernels_at(isa), model_options.copy_tables);
  return {.weights_packed = weights.packed,
          .weights_mapped = weights.mapped,
          .arena = bytes_of_session(kept, isa, options, weights.packed + weights.mapped)};
}

Forecast forecast(const Program& program, const Checkpoint& checkpoint,
                  const ModelOptions& model_options, const SessionOptions& options, Index rows,
                  Index sequences) {
  const Isa isa = resolve_isa(model_options.isa, model_options.precision);
  const Program model = model_program(program, model_options);
  const WeightBytes weights =
      weight_bytes(model, checkpoint, kernels::kernels_at(isa), model_options.copy_tables);
  const SessionOptions resolved =
      with_memory_choice(resolve(options, isa), model, isa, weights.packed + weights.mapped);
  const Program kept = session_program(model, isa, resolved);
  const std::shared_ptr<const Plan> plan = plan_of(kept, isa, resolved);
  return {.memory = {.weights_packed = weights.packed,
                     .weights_mapped = weights.mapped,
                     .arena = arena_bytes(kept, *plan, isa, resolved)},
          .report = report_plan(*plan, plan_input(kept, isa, resolved), rows, sequences)};
}

std::size_t parameter_count(const Program& program, const ModelOptions& options) {
  std::size_t count = 0;
  for (const Parameter& p : model_program(program, options).parameters) {
    count += static_cast<std::size_t>(p.rows * p.cols);
  }
  return count;
}

std::size_t Session::memory_bytes(const Model& model, const SessionOptions& options) {
  return tessera::memory_bytes(model, options).arena;
}

SessionOptions fit_to_cap(const Model& model, const SessionOptions& options, Index least_rows) {
  return fit(bytes_of(model), model.isa(), options, least_rows);
}

SessionOptions fit_to_cap(const Program& program, const Checkpoint& checkpoint,
                          const ModelOptions& model_options, const SessionOptions& options,
                          Index least_rows) {
  const auto bytes = [&](const SessionOptions& smaller) {
    return memory_bytes(program, checkpoint, model_options, smaller);
  };
  return fit(bytes, resolve_isa(model_options.isa, model_options.precision), options, least_rows);
}

SessionLayout within_cap(SessionLayout layout, const Model& model, const SessionOptions& options) {
  if (options.memory_cap_bytes == 0) return layout;
  const MemoryBytes bytes = memory_bytes(model, options);  // oneDNN's copies too
  if (bytes.total() <= options.memory_cap_bytes) return layout;
  const Index rows = most_rows(bytes_of(model), options);
  throw Error(ErrorCode::out_of_memory,
              too_much(options, bytes) +
                  (rows == 0 ? std::string("; not even one row would fit")
                             : fmt::format("; {} rows in {} sequences would fit", rows,
                                           with_rows(options, rows).max_sequences)));
}

std::string to_string(const MemoryBytes& bytes) {
  const auto mib = [](std::size_t n) { return static_cast<double>(n) / 0x1p20; };
  return fmt::format("{:.1f} MiB (weights {:.1f} packed + {:.1f} mapped, arena {:.1f})",
                     mib(bytes.total()), mib(bytes.weights_packed), mib(bytes.weights_mapped),
                     mib(bytes.arena));
}

}  // namespace tessera
