// SPDX-License-Identifier: Apache-2.0
//
// Encoding: the caller's sequences are cut into runs that the session takes, in their order, and
// the rows of each run go to the caller's buffers.
//
//   ids, offsets ─ checked as a whole ─ runs of ≤ max_rows, ≤ max_sequences ─▶ rows
#include "tessera/c_api/encode.hpp"

#include <algorithm>
#include <limits>

#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/texts.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera::c_api {
namespace {

/// A batch of the caller: S sequences, ΣT rows.
struct Sequences {
  std::span<const std::int32_t> ids;    // (ΣT)
  std::span<const std::int32_t> types;  // (ΣT) or empty
  RowOffsets offsets;                   // (S+1)
};

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

Sequences read_tokens(const tessera_tokens* tokens) {
  const tessera_tokens given = read_struct(tokens, "tessera_tokens");
  const RowOffsets offsets = check_offsets(given.offsets, given.count);
  const auto rows = static_cast<std::size_t>(offsets.back());
  return {.ids = checked_span(given.ids, rows, "tokens.ids"),
          .types = checked_span(given.types, given.types == nullptr ? 0 : rows, "tokens.types"),
          .offsets = offsets};
}

void check_tokens(const SessionObject& session, const Sequences& sequences) {
  const Program& program = session.model->package().program;
  require(program.images.channels == 0, "got tokens, expected images: the model takes images");
  for (std::size_t s = 0; s + 1 < sequences.offsets.size(); ++s) {
    const auto begin = static_cast<std::size_t>(sequences.offsets[s]);
    const auto length = static_cast<std::size_t>(sequences.offsets[s + 1]) - begin;
    const auto types =
        sequences.types.empty() ? sequences.types : sequences.types.subspan(begin, length);
    try {
      check_sequence(program.tokens, sequences.ids.subspan(begin, length), types);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("sequence {}: {}", s, error.what()));
    }
  }
}

void encode(SessionObject& session, const Sequences& sequences, const RunLimits& limits) {
  encode_in_runs(session, sequences.offsets, limits, [&](std::size_t first, std::size_t last) {
    const Index base = sequences.offsets[first], rows = sequences.offsets[last] - base;
    for (std::size_t s = first; s <= last; ++s) {
      session.offsets[s - first] = static_cast<std::int32_t>(sequences.offsets[s] - base);
    }
    const auto part = [&](std::span<const std::int32_t> values) {
      return values.empty()
                 ? values
                 : values.subspan(static_cast<std::size_t>(base), static_cast<std::size_t>(rows));
    };
    session.session->run({.ids = part(sequences.ids),
                          .types = part(sequences.types),
                          .offsets = std::span(session.offsets).first(last - first + 1)},
                         limits.control());
  });
}

}  // namespace

RunLimits read_run_options(const tessera_run_options* pointer) {
  const tessera_run_options given = read_optional_struct(pointer, "tessera_run_options");
  require(given.timeout_ns >= 0, "timeout_ns is {}, expected at least 1, or 0", given.timeout_ns);
  RunLimits limits;
  limits.interpolates = checked_flag(given.interpolate_positions, "interpolate_positions");
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
                  RowOffsets offsets) {
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
      require(other.name != output.name, "outputs[{}] is \"{}\" again, expected each name once", i,
              output.name);
    }
    const Value& value = session.model->value(output);
    const OutputTarget target{.name = *kept,
                              .data = given.data,
                              .stride = given.row_stride == 0 ? value.width : given.row_stride,
                              .width = value.width,
                              .is_per_token = value.extent == Extent::rows};
    require(target.stride >= target.width,
            "outputs[{}].row_stride is {}, expected at least {} (the width of \"{}\"), or 0", i,
            target.stride, target.width, output.name);
    const Index rows =
        target.is_per_token ? offsets.back() : static_cast<Index>(offsets.size() - 1);
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

void copy_results(const SessionObject& session, std::size_t sequence, Index row) {
  for (const OutputTarget& target : session.targets) {
    const TensorView<const float> result = session.session->output(target.name);  // (rows, width)
    const Index first = target.is_per_token ? row : static_cast<Index>(sequence);
    for (Index r = 0; r < result.rows; ++r) {
      std::copy_n(result.data + r * result.stride, target.width,
                  target.data + (first + r) * target.stride);
    }
  }
}

Turn::Turn(SessionObject& session) : session_(session) {
  require(!session_.busy.test_and_set(std::memory_order_acquire),
          "session: another thread is in a call, expected one call at a time");
}

Turn::~Turn() {
  session_.busy.clear(std::memory_order_release);
}

}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_encode_ids(tessera_session* session, const tessera_tokens* tokens,
                                  const tessera_run_options* options, const tessera_output* outputs,
                                  size_t output_count) {
  return guard([&] {
    const std::shared_ptr<SessionObject> object = session_table().get(session);
    const Turn turn(*object);
    const RunLimits limits = read_run_options(options);
    const Sequences sequences = read_tokens(tokens);
    check_limits(*object, sequences.offsets);
    check_tokens(*object, sequences);
    read_targets(*object, outputs, output_count, sequences.offsets);
    encode(*object, sequences, limits);
  });
}

tessera_status tessera_encode_texts(tessera_session* session, const tessera_texts* texts,
                                    const tessera_run_options* options,
                                    const tessera_output* outputs, size_t output_count,
                                    int64_t* row_offsets) {
  return guard([&] {
    const std::shared_ptr<SessionObject> object = session_table().get(session);
    const Turn turn(*object);
    const RunLimits limits = read_run_options(options);
    const TokenizedTexts tokens = tokenize(*object->model, texts);
    const Sequences sequences{.ids = tokens.ids, .types = tokens.types, .offsets = tokens.offsets};
    check_limits(*object, sequences.offsets);
    check_tokens(*object, sequences);
    read_targets(*object, outputs, output_count, sequences.offsets);
    if (row_offsets != nullptr) checked(row_offsets, "row_offsets");
    encode(*object, sequences, limits);
    if (row_offsets != nullptr) {
      std::copy(tokens.offsets.begin(), tokens.offsets.end(), row_offsets);
    }
  });
}
