// SPDX-License-Identifier: Apache-2.0
// The one place that looks at a caller's batch before anything is computed.
#include <fmt/format.h>

#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/session/parts.hpp"
#include "runtime/session/sequence_check.hpp"

namespace tessera {
namespace {

template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) {
    throw Error(ErrorCode::invalid_argument,
                "batch: " + fmt::format(format, std::forward<Args>(args)...));
  }
}

std::span<const std::int32_t> part(std::span<const std::int32_t> values, std::size_t begin,
                                   std::size_t count) {
  return values.empty() ? values : values.subspan(begin, count);
}

void check_sequences(const Program& program, const Batch& batch) {
  const SequenceCheck check(program);
  for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
    const Index first = batch.offsets[s], end = batch.offsets[s + 1];
    require(first <= end, "offsets[{}] is {} after {}, expected more", s + 1, end, first);
    require(end <= std::ssize(batch.ids), "offsets[{}] is {}, expected at most {}", s + 1, end,
            batch.ids.size());
    const auto begin = static_cast<std::size_t>(first);
    const auto count = static_cast<std::size_t>(end - first);
    try {
      check({.ids = batch.ids.subspan(begin, count),
             .types = part(batch.types, begin, count),
             .positions = part(batch.positions, begin, count),
             .columns = part(batch.columns, begin, count),
             .query_only = batch.query_only.empty() ? 0 : batch.query_only[s],
             .pool_from = batch.pool_from.empty() ? 0 : batch.pool_from[s]});
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("batch: sequence {}: {}", s, error.what()));
    }
  }
}

/// The maps of the images fit the arena, which has room for as many native ones as max_rows makes.
void check_maps(const Program& program, const SessionOptions& options, const Batch& batch) {
  const std::span<const Space> spaces = program.spaces;
  if (!has_maps(spaces, kTokens)) return;
  const ImageSpec& spec = require_images(program);
  std::vector<Index> sum(spaces.size(), 0);
  for (const Image& image : batch.images) {
    const std::vector<Extents> its =
        extents_of_image(spaces, spec.grid_of(image.height, image.width));
    for (std::size_t i = 0; i < spaces.size(); ++i) sum[i] += its[i].rows;
  }
  const std::vector<Extents> most = most_extents(spaces, options.max_rows, options.max_sequences);
  for (std::size_t i = 1; i < spaces.size(); ++i) {
    if (sum[i] <= most[i].rows) continue;  // pieces are rows by a constant, or images
    Index room = 0;
    for (const Image& image : batch.images) {
      room += image_room(program, image.height, image.width, batch.interpolate_positions);
    }
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("batch: images take {} rows of {}, expected at most {}: with max_rows {} "
                    "they fit",
                    sum[i], spaces[i].name, most[i].rows, room));
  }
}

void check_images(const Program& program, const SessionOptions& options, const Batch& batch) {
  const ImageSpec& spec = require_images(program);
  require(!batch.images.empty(), "has no images, expected at least 1: the model takes images");
  const bool only_images = batch.ids.empty() && batch.types.empty() && batch.offsets.empty() &&
                           batch.positions.empty() && batch.columns.empty() &&
                           batch.query_only.empty() && batch.pool_from.empty();
  require(only_images, "has images and tokens, expected one of them");
  require(std::ssize(batch.images) <= options.max_sequences,
          "{} images, expected at most {} (max_sequences)", batch.images.size(),
          options.max_sequences);
  Index rows = 0;
  for (std::size_t s = 0; s < batch.images.size(); ++s) {
    const Image& image = batch.images[s];
    const bool one = (image.planes != nullptr) != (image.pixels != nullptr);
    require(one, "image {} has {}, expected planes or pixels", s,
            image.planes == nullptr ? "neither planes nor pixels" : "both planes and pixels");
    require(image.planes != nullptr || image.values != nullptr,
            "image {} has pixels without values, expected (channels, 256) values", s);
    try {
      rows += image_rows(spec, image.height, image.width, batch.interpolate_positions);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("batch: image {}: {}", s, error.what()));
    }
    require(rows <= options.max_rows,
            "images take {} token rows or more, expected at most {} "
            "(max_rows)",
            rows, options.max_rows);
  }
  check_maps(program, options, batch);
}

void check_tokens(const Program& program, const SessionOptions& options, const Batch& batch) {
  require(batch.images.empty(), "has {} images, expected no images: the model takes tokens",
          batch.images.size());
  require(batch.offsets.size() >= 2, "offsets has {} elements, expected sequences + 1 (at least 2)",
          batch.offsets.size());
  const Index sequences = std::ssize(batch.offsets) - 1, rows = std::ssize(batch.ids);
  require(sequences <= options.max_sequences, "{} sequences, expected at most {} (max_sequences)",
          sequences, options.max_sequences);
  require(rows <= options.max_rows, "{} token rows, expected at most {} (max_rows)", rows,
          options.max_rows);
  require(batch.offsets.front() == 0, "offsets[0] is {}, expected 0", batch.offsets.front());
  require(batch.offsets.back() == rows, "offsets ends at {}, expected {} (the number of ids)",
          batch.offsets.back(), rows);
  const auto optional = [&](std::span<const std::int32_t> values, Index expected,
                            const char* name) {
    require(values.empty() || std::ssize(values) == expected,
            "{} has {} elements, expected {} or none", name, values.size(), expected);
  };
  optional(batch.types, rows, "types");
  optional(batch.positions, rows, "positions");
  optional(batch.columns, rows, "columns");
  optional(batch.query_only, sequences, "query_only");
  optional(batch.pool_from, sequences, "pool_from");
  check_sequences(program, batch);
}

}  // namespace

void check_batch(const Program& program, const SessionOptions& options, const Batch& batch) {
  std::visit(Overloaded{[&](const TokenSpec&) { check_tokens(program, options, batch); },
                        [&](const ImageSpec&) { check_images(program, options, batch); }},
             program.inputs);
}

void fill_positions(const TokenSpec& spec, std::span<const std::int32_t> ids,
                    std::span<std::int32_t> out) noexcept {
  std::int32_t count = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (spec.position_rule == PositionRule::column) {
      out[i] = static_cast<std::int32_t>(i);
    } else {
      out[i] = ids[i] == spec.position_pad ? spec.position_pad : spec.position_pad + ++count;
    }
  }
}

}  // namespace tessera
