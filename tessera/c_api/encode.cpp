// SPDX-License-Identifier: Apache-2.0
//
// Encoding: the caller's sequences go through the pipeline's batches, of at most max_rows and
// max_sequences of the session, and the rows of each go to their place in the caller's buffers.
//
//   ids, offsets ─ checked as a whole ─ batches, longest first ─▶ rows, in the order of the input
#include "tessera/c_api/encode.hpp"

#include <algorithm>
#include <limits>

#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/texts.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera::c_api {
namespace {

constexpr Index kMostMaxPixels = Index{1} << 32;  // bytes of an image stay far below 2^63

RowOffsets check_offsets(const std::int64_t* pointer, std::size_t count) {
  require(count < std::numeric_limits<std::size_t>::max(), "tokens.count is {}, expected less",
          count);
  const RowOffsets offsets = checked_span(pointer, count + 1, "tokens.offsets");
  require(offsets[0] == 0, "tokens.offsets[0] is {}, expected 0", offsets[0]);
  for (std::size_t s = 0; s < count; ++s) {
    require(offsets[s + 1] > offsets[s],
            "tokens.offsets[{}] is {} after {}, expected more: a sequence has at least 1 token",
            s + 1, offsets[s + 1], offsets[s]);
  }
  return offsets;
}

}  // namespace

RunLimits read_run_options(const tessera_run_options* pointer) {
  const tessera_run_options given = read_optional_struct(pointer, "tessera_run_options");
  require(given.timeout_ns >= 0, "timeout_ns is {}, expected at least 1, or 0", given.timeout_ns);
  RunLimits limits;
  limits.interpolates = checked_flag(given.interpolate_positions, "interpolate_positions");
  limits.item_status = given.item_status;
  require(given.max_pixels >= 0 && given.max_pixels <= kMostMaxPixels,
          "max_pixels is {}, expected 1 to {}, or 0", given.max_pixels, kMostMaxPixels);
  limits.max_pixels = given.max_pixels;
  if (given.cancel != nullptr) limits.cancel = cancel_table().get(given.cancel);
  const auto now = Clock::now();
  const std::chrono::nanoseconds timeout(given.timeout_ns);
  if (given.timeout_ns > 0 && timeout < Clock::time_point::max() - now) {
    limits.deadline = now + timeout;
  }
  return limits;
}

void RunLimits::check() const {
  if (cancel != nullptr && cancel->requested.load(std::memory_order_relaxed)) {
    throw Error(ErrorCode::cancelled, "encode: cancelled by its caller");
  }
  if (Clock::now() >= deadline) {
    throw Error(ErrorCode::cancelled, "encode: timeout_ns is over before the batch is done");
  }
}

void check_limits(const SessionObject& session, RowOffsets offsets) {
  const SessionOptions& limits = session.session->options();
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    require(offsets[s + 1] - offsets[s] <= limits.max_rows,
            "sequence {} has {} rows, expected at most {} (the session's max_rows)", s,
            offsets[s + 1] - offsets[s], limits.max_rows);
  }
  if (!session.refuses) return;
  require(offsets.back() <= limits.max_rows,
          "the batch has {} rows, expected at most {} (the session's max_rows, as it refuses to "
          "split)",
          offsets.back(), limits.max_rows);
  require(std::cmp_less_equal(offsets.size() - 1, limits.max_sequences),
          "the batch has {} sequences, expected at most {} (the session's max_sequences, as it "
          "refuses to split)",
          offsets.size() - 1, limits.max_sequences);
}

void read_targets(SessionObject& session, const tessera_output* outputs, std::size_t count,
                  RowOffsets offsets, std::size_t items, std::span<const std::size_t> places) {
  session.places = places;
  require(count >= 1 && count <= session.outputs.size(),
          "output_count is {}, expected 1 to {} (the session's outputs)", count,
          session.outputs.size());
  session.targets.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const tessera_output given = read_element(outputs, i, "outputs");
    const Output& output = session.model->output(given.name);
    const auto kept = std::find(session.outputs.begin(), session.outputs.end(), output.name);
    if (kept == session.outputs.end()) {
      throw Error(ErrorCode::not_found,
                  fmt::format("outputs[{}]: the session does not compute \"{}\", expected one of "
                              "the outputs that it was created with, such as \"{}\"",
                              i, output.name, session.outputs.front()));
    }
    for (const OutputTarget& other : session.targets) {
      require(session.outputs[other.output] != output.name,
              "outputs[{}] is \"{}\" again, expected each name once", i, output.name);
    }
    const Value& value = session.model->value(output);
    const OutputTarget target{.output = static_cast<std::size_t>(kept - session.outputs.begin()),
                              .data = given.data,
                              .stride = given.row_stride == 0 ? value.width : given.row_stride,
                              .width = value.width,
                              .is_per_token = value.space != kSequences};
    require(target.stride >= target.width,
            "outputs[{}].row_stride is {}, expected at least {} (the width of \"{}\"), or 0", i,
            target.stride, target.width, output.name);
    const Index rows = target.is_per_token ? offsets.back() : static_cast<Index>(items);
    session.targets.push_back(target);
    if (rows == 0) continue;
    Index needed = 0;  // (rows − 1)·stride + width
    const bool overflows = __builtin_mul_overflow(rows - 1, target.stride, &needed) ||
                           __builtin_add_overflow(needed, target.width, &needed);
    require(!overflows && std::cmp_less_equal(needed, given.capacity),
            "outputs[{}].capacity is {}, expected at least {} (\"{}\": {} rows of {}, stride {})",
            i, given.capacity, overflows ? std::string("2^63") : std::to_string(needed),
            output.name, rows, target.width, target.stride);
    checked(given.data, "outputs[].data");
  }
}

void copy_results(const SessionObject& session, std::size_t sequence, Index row, Results results) {
  const std::size_t item = session.places.empty() ? sequence : session.places[sequence];
  for (const OutputTarget& target : session.targets) {
    const TensorView<const float>& result = results[target.output];  // (rows, width)
    const Index first = target.is_per_token ? row : static_cast<Index>(item);
    for (Index r = 0; r < result.rows; ++r) {
      std::copy_n(result.data + r * result.stride, target.width,
                  target.data + (first + r) * target.stride);
    }
  }
}

void encode_sequences(SessionObject& session, const Sequences& sequences, RowOffsets offsets,
                      const RunLimits& limits, const tessera_output* outputs,
                      std::size_t output_count, std::size_t items,
                      std::span<const std::size_t> places) {
  const Program& program = session.model->package().program;
  check_limits(session, offsets);
  require(program.tokens() != nullptr, "got tokens, expected {0}: the model takes {0}",
          name_of(program.inputs));
  check_sequences(program, sequences);
  read_targets(session, outputs, output_count, offsets, items, places);
  encode_in_batches(session, offsets, offsets, limits, [&](const auto& chosen, const Sink& sink) {
    session.runner.run(*session.session, sequences, chosen, sink, limits.control());
  });
}

}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_encode_ids(tessera_session* session, const tessera_tokens* tokens,
                                  const tessera_run_options* options, const tessera_output* outputs,
                                  size_t output_count) {
  return guard([&] {
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const RunLimits limits = read_run_options(options);
    const Turn turn(*object, limits);
    require(limits.item_status == nullptr,
            "item_status is given, expected NULL: sequences of ids are checked as a whole");
    const tessera_tokens given = read_struct(tokens, "tessera_tokens");
    const RowOffsets offsets = check_offsets(given.offsets, given.count);
    const auto rows = static_cast<std::size_t>(offsets.back());
    const Sequences sequences(
        checked_span(given.ids, rows, "tokens.ids"),
        checked_span(given.types, given.types == nullptr ? 0 : rows, "tokens.types"), offsets);
    encode_sequences(turn.lane(), sequences, offsets, limits, outputs, output_count, given.count,
                     {});
  });
}

tessera_status tessera_encode_texts(tessera_session* session, const tessera_texts* texts,
                                    const tessera_run_options* options,
                                    const tessera_output* outputs, size_t output_count,
                                    int64_t* row_offsets) {
  return guard([&] {
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const RunLimits limits = read_run_options(options);
    if (row_offsets != nullptr) checked(row_offsets, "row_offsets");
    ItemStatuses items(limits.item_status, "text");
    const ModelObject& model = *object->any().model;
    const GivenTexts given(texts, "texts");
    const TextInputs inputs(model.package(), given.options());
    const TokenizedTexts tokens =
        tokenize(model, inputs, given, items, object->any().session->options().max_rows, limits);
    const std::vector<std::int64_t> offsets = items.kept_offsets(tokens.offsets);
    const Turn turn(*object, limits);  // others may use the session while texts are tokenised
    encode_sequences(turn.lane(), Sequences(tokens.ids, tokens.types, offsets, tokens.pool_from),
                     offsets, limits, outputs, output_count, given.size(), items.kept());
    items.write();
    given.write_cuts(tokens.cuts);
    if (row_offsets != nullptr) {
      std::copy(tokens.offsets.begin(), tokens.offsets.end(), row_offsets);
    }
  });
}
