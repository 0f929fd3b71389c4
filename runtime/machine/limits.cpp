// SPDX-License-Identifier: Apache-2.0
// A cgroup's folder is found as the kernel documents it: /proc/self/cgroup gives the path inside a
// hierarchy, /proc/self/mountinfo where (a part of) that hierarchy is mounted. A limit of any
// ancestor binds, so the walk goes up to the mount point.
#include "runtime/machine/limits.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> parse_integer(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int> cpus_of(std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  const std::int64_t cpus = (*quota - 1) / *period + 1;  // rounded up without overflow
  return static_cast<int>(std::min<std::int64_t>(cpus, std::numeric_limits<int>::max()));
}

/// The first line of a file; empty if it cannot be read.
std::optional<std::string> read_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

bool has_word(std::string_view comma_list, std::string_view word) {
  while (!comma_list.empty()) {
    const std::size_t comma = std::min(comma_list.find(','), comma_list.size());
    if (comma_list.substr(0, comma) == word) return true;
    comma_list.remove_prefix(std::min(comma + 1, comma_list.size()));
  }
  return false;
}

/// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescaped(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      const int code = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      result += static_cast<char>(code & 0xFF);
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

/// The process's path in the v2 hierarchy, or in the v1 hierarchy of `controller`; "" if none.
std::string own_cgroup(const SystemRoots& roots, std::string_view controller, bool is_v2) {
  std::ifstream in(roots.proc / "self/cgroup");
  std::string line;
  while (std::getline(in, line)) {  // hierarchy:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : has_word(controllers, controller)) {
      return line.substr(second + 1);
    }
  }
  return {};
}

struct Mount {
  std::string root;   // the folder of the hierarchy that is mounted
  std::string point;  // where
};

std::optional<Mount> find_mount(const SystemRoots& roots, std::string_view controller, bool is_v2) {
  std::ifstream in(roots.proc / "self/mountinfo");
  std::string line;
  while (std::getline(in, line)) {  // id parent dev root point options [tags] - type source super
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash));
    std::istringstream tail(line.substr(dash + 3));
    std::string skipped;
    std::string type;
    std::string super_options;
    Mount mount;
    head >> skipped >> skipped >> skipped >> mount.root >> mount.point;
    tail >> type >> skipped >> super_options;
    if (is_v2 ? type == "cgroup2" : type == "cgroup" && has_word(super_options, controller)) {
      return Mount{unescaped(mount.root), unescaped(mount.point)};
    }
  }
  return std::nullopt;
}

/// The folders of the process's cgroup and its ancestors, up to the mount point.
std::vector<fs::path> cgroup_folders(const SystemRoots& roots, std::string_view controller,
                                     bool is_v2) {
  const std::string own = own_cgroup(roots, controller, is_v2);
  const std::optional<Mount> mount = find_mount(roots, controller, is_v2);
  if (own.empty() || !mount) return {};
  const fs::path point = mount->point;
  fs::path relative = fs::path(own).lexically_relative(mount->root);
  // Another namespace's view: the path is not below what is mounted, the mount is our own cgroup.
  const bool is_outside =
      relative.empty() ||
      std::any_of(relative.begin(), relative.end(), [](const fs::path& p) { return p == ".."; });
  if (is_outside || relative == ".") relative.clear();
  std::vector<fs::path> folders;
  for (; !relative.empty(); relative = relative.parent_path()) folders.push_back(point / relative);
  folders.push_back(point);
  return folders;
}

template <class T>
void keep_smaller(std::optional<T>& best, std::optional<T> value) {
  if (value && (!best || *value < *best)) best = value;
}

}  // namespace

std::optional<int> parse_cpu_max(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return cpus_of(parse_integer(text.substr(0, space)), parse_integer(text.substr(space + 1)));
}

int count_cpu_list(std::string_view text) {
  constexpr std::int64_t kMaxCpu = 1 << 20;
  std::int64_t count = 0;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    const std::size_t dash = item.find('-');
    const auto first = parse_integer(item.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_integer(item.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last > kMaxCpu) return 0;
    count += *last - *first + 1;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return static_cast<int>(std::min(count, kMaxCpu));
}

std::optional<int> cgroup_cpu_quota(const SystemRoots& roots) {
  std::optional<int> best;
  for (const fs::path& folder : cgroup_folders(roots, "cpu", true)) {
    keep_smaller(best, parse_cpu_max(read_line(folder / "cpu.max").value_or("")));
  }
  for (const fs::path& folder : cgroup_folders(roots, "cpu", false)) {
    keep_smaller(best,
                 cpus_of(parse_integer(read_line(folder / "cpu.cfs_quota_us").value_or("")),
                         parse_integer(read_line(folder / "cpu.cfs_period_us").value_or(""))));
  }
  return best;
}

std::optional<std::size_t> cgroup_memory_limit(const SystemRoots& roots) {
  constexpr std::int64_t kNoLimit = std::int64_t{1} << 62;  // v1 writes 2^63 less a page
  std::optional<std::size_t> best;
  const auto take = [&](const fs::path& file) {
    const auto bytes = parse_integer(read_line(file).value_or(""));
    if (bytes && *bytes > 0 && *bytes < kNoLimit) {
      keep_smaller(best, std::optional(static_cast<std::size_t>(*bytes)));
    }
  };
  for (const fs::path& folder : cgroup_folders(roots, "memory", true)) take(folder / "memory.max");
  for (const fs::path& folder : cgroup_folders(roots, "memory", false)) {
    take(folder / "memory.limit_in_bytes");
  }
  return best;
}

std::string cpu_name_of(const SystemRoots& roots) {
  std::ifstream in(roots.proc / "cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

}  // namespace tessera
