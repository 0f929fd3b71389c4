// SPDX-License-Identifier: Apache-2.0
// Sessions: what they will take, making and closing them.
#include <algorithm>
#include <utility>

#include "runtime/session/memory_bytes.hpp"
#include "runtime/threads/threads.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {
namespace {

constexpr Index kDefaultRows = 512, kDefaultSequences = 32;
constexpr Index kRowsOfAnyLength =
    8192;                        // where max_rows says nothing and no length is the longest
constexpr Index kWindow = 1024;  // sequences that are put in order together

constexpr std::size_t kMostCalls = 1024;

struct Wanted {
  SessionOptions options;
  bool refuses = false;
  std::size_t calls = 1;  ///< at the same time
  bool waits = false;
};

/// MemoryBytes of a session of one call, before anything is packed: shapes are read, nothing else.
MemoryBytes promise(const ModelObject& model, const SessionOptions& options) {
  const models::Package& package = model.package();
  return memory_bytes(package.program, *package.checkpoint, model.options(), options);
}

/// The cap that leaves each of `calls` its part: (cap − weights) / calls, and the weights.
std::uint64_t cap_of_one(const ModelObject& model, SessionOptions options, std::size_t calls) {
  const std::uint64_t cap = std::exchange(options.memory_cap_bytes, 0);
  if (cap == 0 || calls == 1) return cap;
  const MemoryBytes bytes = promise(model, options);
  const std::uint64_t weights = bytes.total() - bytes.arena;
  return cap <= weights ? cap : weights + (cap - weights) / calls;
}

/// Calls body(), whose message about memory speaks of one call's part of the cap.
template <class Body>
auto name_calls(const tessera_session_options& given, std::size_t calls, Body body) {
  try {
    return body();
  } catch (const Error& error) {
    if (calls == 1 || error.code() != ErrorCode::out_of_memory) throw;
    throw Error(
        error.code(),
        fmt::format("each of {} concurrent_calls, memory_cap_bytes {} divided among them: {}",
                    calls, given.memory_cap_bytes, error.what()));
  }
}

/// Most rows of one sequence.
Index longest_sequence(const models::Package& package) {
  const TokenSpec* tokens = package.program.tokens();
  if (tokens == nullptr) return package.max_tokens;
  if (tokens->max_tokens != kAnyLength) return tokens->max_tokens;
  return std::min(package.max_tokens, kRowsOfAnyLength);  // what texts are cut at
}

Wanted read_session_options(const ModelObject& model, const tessera_session_options* pointer) {
  const auto given = read_optional_struct(pointer, "tessera_session_options");
  require(given.threads >= 0, "threads is {}, expected at least 1, or 0", given.threads);
  require(given.max_rows >= 0, "max_rows is {}, expected at least 1, or 0", given.max_rows);
  require(given.max_sequences >= 0, "max_sequences is {}, expected at least 1, or 0",
          given.max_sequences);
  Wanted wanted;
  wanted.refuses =
      checked_enum(given.policy, TESSERA_LIMIT_REFUSE, "policy") == TESSERA_LIMIT_REFUSE;
  SessionOptions& options = wanted.options;
  wanted.waits = checked_enum(given.busy, TESSERA_BUSY_WAIT, "busy") == TESSERA_BUSY_WAIT;
  require(given.concurrent_calls <= kMostCalls, "concurrent_calls is {}, expected 1 to {}, or 0",
          given.concurrent_calls, kMostCalls);
  wanted.calls = std::max<std::size_t>(given.concurrent_calls, 1);
  options.threads = given.threads;
  if (options.threads == 0 && wanted.calls > 1) {
    options.threads = std::max(1, default_thread_count() / static_cast<int>(wanted.calls));
  }
  options.max_rows = given.max_rows > 0 ? given.max_rows
                                        : std::max(kDefaultRows, longest_sequence(model.package()));
  options.max_sequences =
      given.max_sequences > 0 ? given.max_sequences : std::min(kDefaultSequences, options.max_rows);
  options.memory_cap_bytes = given.memory_cap_bytes;
  options.parallel_for = {.run = given.parallel_for, .context = given.parallel_for_context};
  options.outputs = read_names(given.outputs, given.output_count, "outputs");
  if (options.outputs.empty()) options.outputs.push_back(model.main_output());
  for (std::size_t i = 0; i < options.outputs.size(); ++i) {
    model.output(options.outputs[i].c_str());
    const auto end = options.outputs.begin() + static_cast<Index>(i);
    require(std::find(options.outputs.begin(), end, options.outputs[i]) == end,
            "outputs[{}] is \"{}\" again, expected each name once", i, options.outputs[i]);
  }
  options.memory_cap_bytes = cap_of_one(model, options, wanted.calls);
  if (!wanted.refuses) {
    const models::Package& package = model.package();
    options = name_calls(given, wanted.calls, [&] {
      return fit_to_cap(package.program, *package.checkpoint, model.options(), options);
    });
  }
  return wanted;
}

tessera_memory describe(const MemoryBytes& bytes, const SessionOptions& options) {
  return {.struct_size = sizeof(tessera_memory),
          .threads = static_cast<std::uint32_t>(options.threads > 0 ? options.threads
                                                                    : default_thread_count()),
          .weights_packed = bytes.weights_packed,
          .weights_mapped = bytes.weights_mapped,
          .arena = bytes.arena,
          .total = bytes.total(),
          .max_rows = options.max_rows,
          .max_sequences = options.max_sequences};
}

}  // namespace

SessionObject::SessionObject(std::shared_ptr<ModelObject> of, SessionOptions options,
                             bool refuses_to_split)
    : model(std::move(of)),
      refuses(refuses_to_split),
      session(Session::create(model->weights(), options)),
      runner(model->package().program, options.outputs),
      windows(static_cast<std::size_t>(std::max(kWindow, session->options().max_sequences))) {
  outputs = std::move(options.outputs);
  runner.reserve(session->options().max_rows, session->options().max_sequences);
  targets.reserve(outputs.size());
}

}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_memory_bytes(const tessera_model* model,
                                    const tessera_session_options* options,
                                    tessera_memory* memory) {
  return guard([&] {
    const std::size_t size = checked_struct_size(memory, "tessera_memory");
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    const Wanted wanted = read_session_options(*object, options);
    MemoryBytes bytes = promise(*object, wanted.options);
    bytes.arena *= wanted.calls;
    write_struct(memory, size, describe(bytes, wanted.options));
  });
}

tessera_status tessera_session_create(tessera_model* model, const tessera_session_options* options,
                                      tessera_session** session) {
  return guard([&] {
    checked(session, "session");
    const std::shared_ptr<ModelObject> of = model_table().get(model);
    const Wanted wanted = read_session_options(*of, options);
    const auto given = read_optional_struct(options, "tessera_session_options");
    std::vector<std::unique_ptr<SessionObject>> lanes;
    while (lanes.size() < wanted.calls) {
      lanes.push_back(name_calls(given, wanted.calls, [&] {
        return std::make_unique<SessionObject>(of, wanted.options, wanted.refuses);
      }));
    }
    *session = session_table().add(std::make_shared<SharedSession>(std::move(lanes), wanted.waits));
  });
}

tessera_status tessera_session_close(tessera_session* session) {
  return guard([&] {
    if (session != nullptr) session_table().remove(session);
  });
}

tessera_status tessera_session_get_memory(const tessera_session* session, tessera_memory* memory) {
  return guard([&] {
    const std::size_t size = checked_struct_size(memory, "tessera_memory");
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const std::shared_ptr<const Model> weights = object->any().model->weights();
    const MemoryBytes bytes{.weights_packed = weights->packed_bytes(),
                            .weights_mapped = weights->mapped_bytes(),
                            .arena = object->arena_bytes()};
    write_struct(memory, size, describe(bytes, object->any().session->options()));
  });
}

tessera_status tessera_session_trim(tessera_session* session) {
  return guard([&] { session_table().get(session)->trim(); });
}
