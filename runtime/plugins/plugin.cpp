// SPDX-License-Identifier: Apache-2.0
#include "runtime/plugins/plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <string_view>

namespace tessera::plugins {
namespace {

/// The table of tessera_<name>.so; it is never closed again.
const void* load(const char* name, std::string& why) {
  const std::string file = fmt::format("tessera_{}.so", name);
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const words = ::dlerror();
    why = words == nullptr ? file + " cannot be loaded" : words;
    return nullptr;
  }
  const auto entry = reinterpret_cast<const void* (*)()>(::dlsym(handle, "tessera_plugin"));
  const void* const table = entry == nullptr ? nullptr : entry();
  const Stamp* const stamp = static_cast<const Stamp*>(table);
  if (stamp == nullptr || std::string_view(stamp->version) != TESSERA_VERSION ||
      std::string_view(stamp->name) != name) {
    why = fmt::format(
        "{} is {}, expected version " TESSERA_VERSION, file,
        stamp == nullptr ? "no plugin of Tessera" : fmt::format("of version {}", stamp->version));
    return nullptr;
  }
  return table;
}

template <class Table>
const Table* once(std::atomic<const Table*>& known, const char* name, std::string& why) {
  const Table* table = known.load(std::memory_order_acquire);
  if (table == nullptr) {
    table = static_cast<const Table*>(load(name, why));  // twice at once: the same table
    known.store(table, std::memory_order_release);
  }
  return table;
}

}  // namespace

const OpenMp* openmp(std::string& why) {
  static constinit std::atomic<const OpenMp*> known{nullptr};
  return once(known, "openmp", why);
}

const OneDnn* onednn(std::string& why) {
  static constinit std::atomic<const OneDnn*> known{nullptr};
  return once(known, "onednn", why);
}

}  // namespace tessera::plugins
