// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/vector_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>

#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/say.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera::cli {
namespace {

VectorType type_of(const std::string& name) {
  for (const VectorType type : kVectorTypes) {
    if (name == to_string(type)) return type;
  }
  return VectorType::f32;  // add_choice() lets no other name through
}

Ranges read_ranges(const char* flag, const std::string& file, bool is_calibration, Index width) {
  const NpyMatrix matrix = read_npy(file);
  if (matrix.width != width) {
    throw UsageError(fmt::format("{}: {} has {} columns, expected {}, as the vectors", flag, file,
                                 matrix.width, width));
  }
  const std::span<const float> rows{matrix.values.get(),
                                    matrix.rows * static_cast<std::size_t>(width)};
  if (matrix.rows < 1 || (!is_calibration && matrix.rows != 2)) {
    throw UsageError(fmt::format(
        "{}: {} has {} rows, expected {}", flag, file, matrix.rows,
        is_calibration ? "1 or more vectors" : "2, the lowest and the highest of each column"));
  }
  for (std::size_t r = 0; r < matrix.rows; ++r) {
    const auto row =
        rows.subspan(r * static_cast<std::size_t>(width), static_cast<std::size_t>(width));
    if (const std::size_t column = first_not_finite(row); column != row.size()) {
      throw UsageError(fmt::format("{}: {} has {} in row {}, column {}, expected finite numbers",
                                   flag, file, row[column], r, column));
    }
  }
  const std::span<const float> low = rows.first(static_cast<std::size_t>(width));
  const std::span<const float> high = rows.last(static_cast<std::size_t>(width));
  Ranges ranges = is_calibration
                      ? ranges_of(rows, width)
                      : Ranges{.low = {low.begin(), low.end()}, .high = {high.begin(), high.end()}};
  const std::string problem = problem_of(ranges);
  if (!problem.empty()) throw UsageError(fmt::format("{}: {}: {}", flag, file, problem));
  return ranges;
}

}  // namespace

void VectorFlags::add_to(CLI::App& command) {
  std::vector<std::string> names;
  for (const VectorType each : kVectorTypes) names.emplace_back(to_string(each));
  add_choice(command, "--vector-type", type, "TYPE", names,
             fmt::format("Store vectors as {} (default: f32); binary and ubinary are a bit per "
                         "column, 8 in a byte",
                         fmt::join(names, ", ")));
  auto* given = add_option(command, "--ranges", ranges, "FILE",
                           "int8, uint8: the lowest and the highest value of each column, .npy "
                           "float32 (2, D)")
                    ->check(not_empty());
  add_option(command, "--calibrate", calibration, "FILE",
             "int8, uint8: take them from these vectors, .npy float32 (n, D), as `tessera embed` "
             "writes them")
      ->check(not_empty())
      ->excludes(given);
  command.add_flag("--base64", is_base64,
                   "jsonl: the bytes of each vector, little-endian, in base64");
}

void VectorFlags::require_format(const std::string& format, bool is_sparse) const {
  const VectorType as = type_of(type);
  if (is_sparse && (as != VectorType::f32 || is_base64)) {
    throw UsageError(fmt::format("{}: what is written is sparse, expected a dense output",
                                 is_base64 ? "--base64" : "--vector-type " + type));
  }
  if (is_base64 && format != "jsonl") {
    throw UsageError(fmt::format("--base64: got --format {}, expected jsonl", format));
  }
  if (as != VectorType::f32 && format == "fvecs") {
    throw UsageError(fmt::format("--vector-type: got {} with --format fvecs, expected f32", type));
  }
  const bool has_ranges = !ranges.empty() || !calibration.empty();
  if (needs_ranges(as) && !has_ranges) {
    throw UsageError(
        fmt::format("--vector-type {}: got no ranges, which have to be known before the first "
                    "vector is written, expected --ranges FILE or --calibrate FILE",
                    type));
  }
  if (!needs_ranges(as) && has_ranges) {
    throw UsageError(fmt::format("{}: got --vector-type {}, expected int8 or uint8",
                                 ranges.empty() ? "--calibrate" : "--ranges", type));
  }
}

VectorCoding VectorFlags::coding(Index width) const {
  VectorCoding coding{.type = type_of(type), .is_base64 = is_base64};
  if (is_bits(coding.type) && width % 8 != 0) {
    throw UsageError(
        fmt::format("--vector-type {}: the vectors have {} columns, expected a multiple of 8 "
                    "(see --dims)",
                    type, width));
  }
  if (!ranges.empty()) coding.ranges = read_ranges("--ranges", ranges, false, width);
  if (!calibration.empty()) coding.ranges = read_ranges("--calibrate", calibration, true, width);
  return coding;
}

std::vector<std::string> VectorFlags::files() const {
  std::vector<std::string> all;
  for (const std::string& file : {ranges, calibration}) {
    if (!file.empty()) all.push_back(file);
  }
  return all;
}

void SignWatch::look_at(std::span<const float> row) noexcept {
  if (!is_bits(type_)) return;
  const auto above = static_cast<std::size_t>(
      std::count_if(row.begin(), row.end(), [](float x) { return x > 0; }));
  above_ += above;
  others_ += row.size() - above;
}

void SignWatch::finish() const {
  if ((above_ > 0) == (others_ > 0)) return;  // both, or nothing was looked at
  say("tessera embed: --vector-type {}: {} of these vectors is above 0, so that all bits are "
      "{}: they tell nothing apart\n",
      to_string(type_), above_ > 0 ? "every number" : "no number", above_ > 0 ? 1 : 0);
}

}  // namespace tessera::cli
