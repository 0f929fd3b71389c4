// SPDX-License-Identifier: Apache-2.0
// The wall between exceptions and C: every function of tessera.h goes through guard().
#pragma once

#include <exception>
#include <new>
#include <string>

#include "runtime/base/error.hpp"
#include "tessera/tessera.h"

namespace tessera::c_api {

tessera_status status_of(ErrorCode code) noexcept;

/// Keeps `message` for tessera_last_error() of this thread and returns `status`.
tessera_status remember(tessera_status status, const char* message) noexcept;

/// Runs `body`, mapping every exception to a status. The only try-block of the C ABI.
template <class Body>
tessera_status guard(Body&& body) noexcept {
  try {
    body();
    return TESSERA_OK;
  } catch (const Error& e) {
    return remember(status_of(e.code()), e.what());
  } catch (const std::bad_alloc&) {
    return remember(TESSERA_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& e) {
    return remember(TESSERA_INTERNAL, e.what());
  } catch (...) {
    return remember(TESSERA_INTERNAL, "unknown exception");
  }
}

}  // namespace tessera::c_api
