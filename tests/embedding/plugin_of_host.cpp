// SPDX-License-Identifier: Apache-2.0
// A shared object of the host that uses Tessera, for unload.cpp. Without host.hpp, whose inline
// variables would keep it loaded (STB_GNU_UNIQUE).
#include <tessera/tessera.hpp>

extern "C" __attribute__((visibility("default"))) int plugin_embeds(const char* directory) {
  const tessera::Model model(directory);
  tessera::Session session(model, {.threads = 1});
  return session.embed("tea").empty() ? 0 : 1;
}
