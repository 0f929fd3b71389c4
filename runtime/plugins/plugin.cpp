// SPDX-License-Identifier: Apache-2.0
#include "runtime/plugins/plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

namespace tessera::plugins {
namespace {

constexpr const char* kDirectory = "TESSERA_PLUGIN_DIR";

/// The folder of the file that holds this code; empty: unknown.
std::filesystem::path own_folder() {
  Dl_info found{};
  link_map* object = nullptr;
  if (::dladdr1(reinterpret_cast<const void*>(&own_folder), &found,
                reinterpret_cast<void**>(&object), RTLD_DL_LINKMAP) == 0) {
    return {};
  }
  std::filesystem::path file = object == nullptr ? "" : object->l_name;
  std::error_code unknown;
  if (file.empty()) file = std::filesystem::read_symlink("/proc/self/exe", unknown);  // the program
  return file.is_absolute() ? file.parent_path() : std::filesystem::path{};
}

/// Where an installation has its plugins, seen from a library, from a program, and as it was built.
std::vector<std::filesystem::path> usual_places() {
  std::vector<std::filesystem::path> places;
  if (const std::filesystem::path own = own_folder(); !own.empty()) {
    places.push_back(own / "tessera");
    places.push_back((own / TESSERA_PLUGINS_FROM_BIN).lexically_normal());
  }
  places.emplace_back(TESSERA_PLUGINS_INSTALLED);
  return places;
}

void* open_file(const std::string& file, std::string& why) {
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const words = ::dlerror();
    why = words == nullptr ? file + " cannot be loaded" : words;
  }
  return handle;
}

/// Opens tessera_<name>.so where it is found first; `file` becomes its path or name.
void* find_and_open(std::string& file, std::string& why) {
  // Not of a program that has more rights than who started it, as LD_LIBRARY_PATH.
  const char* const asked = ::secure_getenv(kDirectory);
  if (asked != nullptr && *asked != '\0') {
    file = (std::filesystem::path(asked) / file).string();
    void* const handle = open_file(file, why);
    if (handle == nullptr) why += fmt::format(" ({} is \"{}\")", kDirectory, asked);
    return handle;
  }
  if (void* const handle = open_file(file, why)) return handle;
  const std::vector<std::filesystem::path> places = usual_places();
  for (const std::filesystem::path& place : places) {
    std::error_code unknown;
    if (!std::filesystem::exists(place / file, unknown)) continue;
    file = (place / file).string();
    return open_file(file, why);  // what is wrong with the one that is there
  }
  why += "; nor is it in ";
  for (const std::filesystem::path& place : places) why += place.string() + ", ";
  why += fmt::format("and {} is not set", kDirectory);
  return nullptr;
}

/// The table of tessera_<name>.so; it is never closed again.
const void* load(const char* name, std::string& why) {
  std::string file = fmt::format("tessera_{}.so", name);
  void* const handle = find_and_open(file, why);
  if (handle == nullptr) return nullptr;
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
