// SPDX-License-Identifier: Apache-2.0
// What a session will do, said before it does it; and the rates that plans are made with.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "runtime/machine/machine.hpp"
#include "runtime/machine/rates.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/objects.hpp"
#include "tessera/pipeline/batch_shape.hpp"
#include "tessera/pipeline/precision_costs.hpp"

namespace tessera::c_api {
namespace {

constexpr Index kMostSequences = Index{1} << 30;  // precondition of batch_shape()

BatchShape checked_shape(const SessionObject& lane, Index rows, Index sequences) {
  require(rows >= 1, "rows is {}, expected 1 or more", rows);
  require(sequences >= 0 && sequences <= kMostSequences, "sequences is {}, expected 1 to {}, or 0",
          sequences, kMostSequences);
  const BatchShape shape = batch_shape(lane.model->package().program, rows, sequences);
  const SessionOptions& options = lane.session->options();
  require(shape.rows <= options.max_rows && shape.sequences <= options.max_sequences,
          "the batch has {} rows in {} sequences, expected at most {} (max_rows) in {} "
          "(max_sequences of the session)",
          shape.rows, shape.sequences, options.max_rows, options.max_sequences);
  return shape;
}

void give(tessera_text_callback callback, void* context, const std::string& text) {
  try {
    callback(context, text.c_str(), text.size());
  } catch (...) {  // a C++ host's callback: its exception is none of ours
  }
}

}  // namespace
}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_session_describe_plan(const tessera_session* session, int64_t rows,
                                             int64_t sequences, tessera_plan_format format,
                                             tessera_text_callback callback, void* context) {
  return guard([&] {
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const bool is_json = checked_enum(format, TESSERA_PLAN_JSON, "format") == TESSERA_PLAN_JSON;
    require(callback != nullptr, "callback is NULL, expected a function");
    const SessionObject& lane = object->any();
    const BatchShape shape = checked_shape(lane, rows, sequences);
    const PlanReport report =
        report_with_costs(*lane.session, *lane.model->weights(), lane.model->package(),
                          lane.model->options(), shape.rows, shape.sequences);
    give(callback, context, is_json ? report.json() : report.text());
  });
}

tessera_status tessera_measure_machine(const char* isa) {
  return guard([&] {
    std::optional<Isa> level;
    if (isa != nullptr) {
      level = isa_from_string(isa);
      require(level.has_value(), "isa: got \"{}\", expected one of {}", isa, level_names());
    }
    (void)measured_rates(machine(), resolve_isa(level));
  });
}
