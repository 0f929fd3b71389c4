// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/version.hpp"

namespace tessera {

const char* library_version() noexcept {
  return TESSERA_VERSION;
}

}  // namespace tessera
