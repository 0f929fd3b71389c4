// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/batch_runner.hpp"

#include <algorithm>
#include <numeric>

#include "runtime/base/overloaded.hpp"

namespace tessera {

BatchRunner::BatchRunner(const Program& program, std::span<const std::string> outputs)
    : program_(&program), whole_(outputs.size()), part_(outputs.size()) {
  for (const std::string& name : outputs) {
    const Output& output = program.outputs[static_cast<std::size_t>(program.find_output(name))];
    const Value& value = program.values[static_cast<std::size_t>(output.value)];
    outputs_.push_back({.name = name, .space = value.space});
  }
}

void BatchRunner::reserve(Index rows, Index sequences) {
  const auto most = static_cast<std::size_t>(sequences);
  offsets_.reserve(most + 1);
  const auto tokens = static_cast<std::size_t>(rows);
  std::visit(Overloaded{[&](const TokenSpec& spec) {
                          ids_.reserve(tokens);
                          if (spec.type_vocab_size > 0) types_.reserve(tokens);
                        },
                        [&](const ImageSpec&) { images_.reserve(most); }},
             program_->inputs);
}

void BatchRunner::clear() {
  for (auto* vector :
       {&ids_, &types_, &positions_, &columns_, &offsets_, &query_only_, &pool_from_}) {
    vector->clear();
  }
  images_.clear();
  offsets_.push_back(0);
}

void BatchRunner::append(const SequenceView& sequence) {
  const std::size_t begin = ids_.size(), end = begin + sequence.ids.size();
  const auto copy = [begin](std::span<const std::int32_t> from, std::vector<std::int32_t>& to) {
    std::copy(from.begin(), from.end(), to.begin() + static_cast<Index>(begin));
  };
  ids_.insert(ids_.end(), sequence.ids.begin(), sequence.ids.end());
  if (has_types_) {
    types_.resize(end, 0);
    copy(sequence.types, types_);
  }
  if (has_positions_) {
    positions_.resize(end);
    copy(sequence.positions, positions_);
    if (sequence.positions.empty()) {
      fill_positions(*program_->tokens(), sequence.ids, std::span(positions_).subspan(begin));
    }
  }
  if (has_columns_) {
    columns_.resize(end);
    copy(sequence.columns, columns_);
    if (sequence.columns.empty()) {
      std::iota(columns_.begin() + static_cast<Index>(begin), columns_.end(), 0);
    }
  }
  if (has_query_only_) query_only_.push_back(sequence.query_only);
  if (has_pool_from_) pool_from_.push_back(sequence.pool_from);
  offsets_.push_back(static_cast<std::int32_t>(end));
}

void BatchRunner::run(Session& session, const Sequences& sequences,
                      std::span<const std::size_t> chosen, const Sink& sink,
                      const RunControl& control) {
  clear();
  const bool takes_types = require_tokens(*program_).type_vocab_size > 0;
  has_types_ = has_positions_ = has_columns_ = has_query_only_ = has_pool_from_ = false;
  for (const std::size_t s : chosen) {
    const SequenceView sequence = sequences[s];
    has_types_ |= takes_types && !sequence.types.empty();
    has_positions_ |= !sequence.positions.empty();
    has_columns_ |= !sequence.columns.empty();
    has_query_only_ |= sequence.query_only != 0;
    has_pool_from_ |= sequence.pool_from != 0;
  }
  for (const std::size_t s : chosen) append(sequences[s]);
  session.run({.ids = ids_,
               .types = types_,
               .offsets = offsets_,
               .positions = positions_,
               .columns = columns_,
               .query_only = query_only_,
               .pool_from = pool_from_},
              control);
  emit(session, chosen, sink);
}

void BatchRunner::run(Session& session, std::span<const Image> images, bool interpolate_positions,
                      std::span<const std::size_t> chosen, const Sink& sink,
                      const RunControl& control) {
  clear();
  for (const std::size_t s : chosen) {
    const Index rows = image_rows(require_images(*program_), images[s].height, images[s].width,
                                  interpolate_positions);
    images_.push_back(images[s]);
    offsets_.push_back(offsets_.back() + static_cast<std::int32_t>(rows));
  }
  session.run({.images = images_, .interpolate_positions = interpolate_positions}, control);
  emit(session, chosen, sink);
}

void BatchRunner::emit(const Session& session, std::span<const std::size_t> chosen,
                       const Sink& sink) {
  for (std::size_t i = 0; i < outputs_.size(); ++i) whole_[i] = session.output(outputs_[i].name);
  for (Wanted& output : outputs_) output.end = 0;
  for (std::size_t s = 0; s < chosen.size(); ++s) {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const Index first = outputs_[i].end, rows = rows_of(outputs_[i].space, s);
      outputs_[i].end += rows;
      part_[i] = {.data = whole_[i].data + first * whole_[i].stride,
                  .rows = rows,
                  .cols = whole_[i].cols,
                  .stride = whole_[i].stride};
    }
    sink(chosen[s], part_);
  }
}

Index BatchRunner::rows_of(SpaceId space, std::size_t s) const {
  if (space == kTokens) return offsets_[s + 1] - offsets_[s];
  if (space == kSequences) return 1;
  const Grid tokens = program_->images()->grid_of(images_[s].height, images_[s].width);
  return extents_of_image(program_->spaces, tokens)[at(space)].rows;
}

}  // namespace tessera
