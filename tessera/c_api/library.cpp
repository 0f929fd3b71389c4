// SPDX-License-Identifier: Apache-2.0
// Status, last error, versions, log, cancellation: what belongs to no model.
#include <fmt/format.h>

#include <atomic>
#include <string>
#include <utility>

#include "kernels/isa.hpp"
#include "runtime/base/fork_locks.hpp"
#include "runtime/base/log.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {
namespace {

// What a thread failed with last. The objects of the main thread are destroyed before the statics of
// the host, which may fail too: a message of theirs is made anew and lives as long as the process.
constinit thread_local std::string* last_error = nullptr;
constinit thread_local const char* last_error_text = "";
struct AtThreadEnd {
  ~AtThreadEnd() {
    last_error_text = "";
    delete std::exchange(last_error, nullptr);
  }
};
thread_local const AtThreadEnd kAtThreadEnd;

std::string build_info() {
  const DefaultIsa chosen = default_isa();
  return fmt::format(
      "version: {}\n"
      "compiler: GCC {}.{}.{}\n"
      "isa: {}\n"
      "isa of this CPU: {}\n"
      "openmp: {}\n"
      "onednn: {}\n",
      TESSERA_VERSION_STRING, __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__,
      chosen.isa ? std::string(to_string(*chosen.isa))
                 : fmt::format("none, TESSERA_ISA={} is {}", chosen.value, chosen.problem),
      to_string(best_isa()), TESSERA_BUILT_WITH_OPENMP ? "yes" : "no",
      TESSERA_BUILT_WITH_ONEDNN ? "yes" : "no");
}

LogCallback log_function(tessera_log_callback callback, void* context) {
  if (callback == nullptr) return {};
  return [callback, context](LogLevel level, std::string_view message) {
    try {
      callback(context, static_cast<tessera_log_level>(level), std::string(message).c_str());
    } catch (...) {  // a C++ host's callback: its exception is none of ours
    }
  };
}

}  // namespace

tessera_status remember(tessera_status status, const char* message) noexcept {
  try {
    static_cast<void>(&kAtThreadEnd);  // made on the first use
    if (last_error == nullptr) last_error = new std::string;
    *last_error = message;
    last_error_text = last_error->c_str();
  } catch (...) {
    last_error_text = "out of memory, also for the message";
  }
  return status;
}

tessera_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return TESSERA_INVALID_ARGUMENT;
    case ErrorCode::not_found:
      return TESSERA_NOT_FOUND;
    case ErrorCode::corrupt_file:
      return TESSERA_CORRUPT_FILE;
    case ErrorCode::unsupported_model:
      return TESSERA_UNSUPPORTED_MODEL;
    case ErrorCode::out_of_memory:
      return TESSERA_OUT_OF_MEMORY;
    case ErrorCode::io_error:
      return TESSERA_IO_ERROR;
    case ErrorCode::cancelled:
      return TESSERA_CANCELLED;
    case ErrorCode::internal:
      return TESSERA_INTERNAL;
  }
  return TESSERA_INTERNAL;
}

const char* to_string(HandleKind kind) noexcept {
  switch (kind) {
    case HandleKind::model:
      return "model";
    case HandleKind::session:
      return "session";
    case HandleKind::cancel:
      return "cancel";
    case HandleKind::index:
      return "index";
  }
  return "handle";
}

void refuse_handle(HandleKind kind, const void* handle) {
  throw Error(
      ErrorCode::invalid_argument,
      handle == nullptr
          ? fmt::format("{}: the handle is NULL, expected an open one", to_string(kind))
          : fmt::format("{}: the handle {} is closed or never was one, expected an open one",
                        to_string(kind), handle));
}

void refuse_more_handles(HandleKind kind) {
  throw Error(
      ErrorCode::out_of_memory,
      fmt::format("{}: 2097152 handles are open, expected that some are closed", to_string(kind)));
}

}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

const char* tessera_status_name(tessera_status status) {
  switch (status) {
    case TESSERA_OK:
      return "TESSERA_OK";
    case TESSERA_INVALID_ARGUMENT:
      return "TESSERA_INVALID_ARGUMENT";
    case TESSERA_NOT_FOUND:
      return "TESSERA_NOT_FOUND";
    case TESSERA_CORRUPT_FILE:
      return "TESSERA_CORRUPT_FILE";
    case TESSERA_UNSUPPORTED_MODEL:
      return "TESSERA_UNSUPPORTED_MODEL";
    case TESSERA_OUT_OF_MEMORY:
      return "TESSERA_OUT_OF_MEMORY";
    case TESSERA_IO_ERROR:
      return "TESSERA_IO_ERROR";
    case TESSERA_CANCELLED:
      return "TESSERA_CANCELLED";
    case TESSERA_INTERNAL:
      return "TESSERA_INTERNAL";
    case TESSERA_STATUS_MAX:
      break;
  }
  return "unknown status";
}

const char* tessera_last_error() {
  return last_error_text;
}

const char* tessera_version() {
  return TESSERA_VERSION_STRING;
}

const char* tessera_build_info() {
  const char* text = "";
  guard([&] {
    static constinit std::atomic<const std::string*> info{nullptr};
    text = made_once(info, build_info).c_str();
  });
  return text;
}

tessera_status tessera_set_log_callback(tessera_log_callback callback, void* context) {
  return guard([&] { set_log_callback(log_function(callback, context)); });
}

tessera_status tessera_set_fallback_log_callback(tessera_log_callback callback, void* context) {
  return guard([&] { set_fallback_log_callback(context, log_function(callback, context)); });
}

tessera_status tessera_cancel_create(tessera_cancel** cancel) {
  return guard([&] {
    checked(cancel, "cancel");
    *cancel = cancel_table().add(std::make_shared<CancelObject>());
  });
}

tessera_status tessera_cancel_request(tessera_cancel* cancel) {
  return guard([&] { cancel_table().get(cancel)->requested.store(true); });
}

tessera_status tessera_cancel_reset(tessera_cancel* cancel) {
  return guard([&] { cancel_table().get(cancel)->requested.store(false); });
}

tessera_status tessera_cancel_close(tessera_cancel* cancel) {
  return guard([&] {
    if (cancel != nullptr) cancel_table().remove(cancel);
  });
}
