// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/uncore.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <system_error>

#include "kernels/types.hpp"

namespace tessera::meters {
namespace {

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Decimal, or hexadecimal after 0x.
std::optional<std::uint64_t> to_number(std::string_view text) {
  const bool is_hex = text.starts_with("0x");
  if (is_hex) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, is_hex ? 16 : 10);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Puts `value` where "config:8-15" says; false if that is no such text.
bool place(PerfEncoding& encoding, std::string_view where, std::uint64_t value) {
  const std::size_t colon = where.find(':');
  if (colon == where.npos) return false;
  const std::string_view field = where.substr(0, colon), bits = where.substr(colon + 1);
  const auto low = to_number(bits.substr(0, bits.find('-')));
  if (!low || *low > 63 || bits.find(',') != bits.npos) return false;
  std::uint64_t* const word = field == "config"    ? &encoding.config
                              : field == "config1" ? &encoding.config1
                              : field == "config2" ? &encoding.config2
                                                   : nullptr;
  if (word == nullptr) return false;
  *word |= value << *low;
  return true;
}

/// "0,32", "0-1": the CPUs named first and after each comma.
std::vector<int> cpus_of(const std::string& mask) {
  std::vector<int> cpus;
  for (std::size_t begin = 0; begin < mask.size();) {
    const std::size_t end = std::min(mask.find(',', begin), mask.size());
    const std::string_view range = std::string_view(mask).substr(begin, end - begin);
    if (const auto cpu = to_number(range.substr(0, range.find('-')))) {
      cpus.push_back(static_cast<int>(*cpu));
    }
    begin = end + 1;
  }
  return cpus;
}

/// Bytes per count of `events/NAME`: its scale and unit, else a line.
double bytes_of(const std::filesystem::path& events, const std::string& name) {
  double scale = 0;
  std::ifstream(events / (name + ".scale")) >> scale;
  const bool is_mib = first_line(events / (name + ".unit")) == "MiB";
  return is_mib && scale > 0 ? scale * 1024 * 1024 : 64;
}

}  // namespace

std::optional<PerfEncoding> encode_sysfs_event(std::uint32_t type, const std::string& terms,
                                               const std::filesystem::path& format) {
  PerfEncoding encoding{.type = type};
  for (std::size_t begin = 0; begin < terms.size();) {
    const std::size_t end = std::min(terms.find(',', begin), terms.size());
    const std::string term = terms.substr(begin, end - begin);
    const std::size_t equals = term.find('=');
    const auto value = equals == term.npos ? std::optional<std::uint64_t>(1)
                                           : to_number(std::string_view(term).substr(equals + 1));
    if (!value || !place(encoding, first_line(format / term.substr(0, equals)), *value)) {
      return std::nullopt;
    }
    begin = end + 1;
  }
  if (terms.empty()) return std::nullopt;
  return encoding;
}

std::vector<MemoryController> find_memory_controllers(const std::filesystem::path& devices) {
  std::vector<MemoryController> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(devices, error), end; !error && at != end;
       at.increment(error)) {
    const std::filesystem::path& folder = at->path();
    const std::string name = folder.filename().string();
    // "free running" controllers cannot be opened with the others' encodings
    if (!name.starts_with("uncore_imc") || name.find("free_running") != name.npos) continue;
    const auto type = to_number(first_line(folder / "type"));
    if (!type) continue;
    const auto event = [&](const char* which) {
      return encode_sysfs_event(static_cast<std::uint32_t>(*type),
                                first_line(folder / "events" / which), folder / "format");
    };
    const auto reads = event("cas_count_read"), writes = event("cas_count_write");
    if (!reads || !writes) continue;
    for (const int cpu : cpus_of(first_line(folder / "cpumask"))) {
      found.push_back({.name = name,
                       .cpu = cpu,
                       .reads = *reads,
                       .writes = *writes,
                       .bytes = bytes_of(folder / "events", "cas_count_read")});
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.name != b.name ? a.name < b.name : a.cpu < b.cpu;
  });
  return found;
}

}  // namespace tessera::meters
