// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/base/fork_locks.hpp"
#include "runtime/base/host_memory.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "memory:";

// A list, whole in a child of fork() as fork_locks.hpp wants it: one store adds a directory or takes one
// out, and none is on the stack of a thread that is not there.
constinit ProcessMutex registry;
constinit std::atomic<MemoryFiles::Directory*> first_directory{nullptr};
constinit std::atomic<std::uint64_t> next_number{1};

void check_name(const std::string& name) {
  const fs::path path(name);
  const bool leads_out = path.is_absolute() || (!path.empty() && *path.begin() == "..");
  if (!name.empty() && !leads_out && name.find('\0') == std::string::npos && path.has_filename() &&
      path.lexically_normal().native() == name && name != ".") {
    return;
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("files in memory: got the name \"{}\", expected one such as "
                          "\"config.json\" or \"1_Pooling/config.json\"",
                          name));
}

/// Calls `f(files, rest)` for the directory in memory that `path` leads into; "" is the directory
/// itself.
template <class Result, class F>
Result in_memory(const fs::path& path, Result otherwise, F&& f) {
  if (!path.native().starts_with(kPrefix)) return otherwise;
  std::string name = path.lexically_normal().native();
  if (name.ends_with('/')) name.pop_back();
  const ProcessMutex::Lock lock(registry);
  for (const MemoryFiles::Directory* directory = first_directory; directory != nullptr;
       directory = directory->next) {
    const std::string& root = directory->path.native();
    if (name == root) return f(directory->files, std::string_view{});
    if (name.starts_with(root) && name[root.size()] == '/') {
      return f(directory->files, std::string_view(name).substr(root.size() + 1));
    }
  }
  return otherwise;
}

[[noreturn]] void throw_errno(const fs::path& path, std::string_view what, int error) {
  const bool is_missing = error == ENOENT || error == ENOTDIR;
  throw Error(is_missing ? ErrorCode::not_found : ErrorCode::io_error,
              fmt::format("{}: {}: {}, expected a readable file", path.string(), what,
                          std::generic_category().message(error)));
}

[[noreturn]] void refuse_link(const fs::path& link) {
  std::error_code ignored;
  throw Error(ErrorCode::io_error,
              fmt::format("{}: a link to {}, which does not exist, expected what it was meant to "
                          "lead to (an incomplete download or copy?)",
                          link.string(), fs::read_symlink(link, ignored).string()));
}

/// Whether `path` is a file in memory, or a directory that holds one.
bool is_in_memory(const fs::path& path) {
  return in_memory(path, false, [](const MemoryFiles::Map& files, std::string_view name) {
    if (name.empty() || files.contains(name)) return true;
    const std::string folder = std::string(name) + "/";
    const auto below = files.lower_bound(folder);
    return below != files.end() && below->first.starts_with(folder);
  });
}

/// Of what `path` leads to; nothing if there is nothing. A link to nothing, as the file or as a
/// directory on the way to it, is something: what it was meant to be is not known.
std::optional<struct stat> status_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return status;
  const int error = errno;
  if (error != ENOENT && error != ENOTDIR) throw_errno(path, "cannot tell what this is", error);
  if (error == ENOTDIR) return std::nullopt;
  for (fs::path part = path; !part.empty(); part = part.parent_path()) {
    if (::lstat(part.c_str(), &status) == 0) {
      if (S_ISLNK(status.st_mode) && ::stat(part.c_str(), &status) != 0) refuse_link(part);
      break;  // it exists: what lies below it does not
    }
    if (part == part.parent_path()) break;
  }
  return std::nullopt;
}

struct Descriptor {
  int number;
  explicit Descriptor(int n) noexcept : number(n) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

}  // namespace

MemoryFiles::MemoryFiles(Map files) {
  for (const auto& [name, bytes] : files) check_name(name);
  directory_ = std::make_unique<Directory>();
  directory_->path = fmt::format("{}{}", kPrefix, next_number.fetch_add(1));
  directory_->files = std::move(files);
  const ProcessMutex::Lock lock(registry);
  directory_->next = first_directory.load();
  first_directory = directory_.get();
}

MemoryFiles::~MemoryFiles() {
  const ProcessMutex::Lock lock(registry);
  std::atomic<Directory*>* link = &first_directory;
  while (link->load() != directory_.get()) link = &link->load()->next;
  link->store(directory_->next);
}

std::optional<std::span<const std::byte>> find_in_memory(const fs::path& path) {
  using Found = std::optional<std::span<const std::byte>>;
  return in_memory(path, Found{}, [](const MemoryFiles::Map& files, std::string_view name) {
    const auto found = files.find(name);
    return found == files.end() ? Found{} : Found{found->second};
  });
}

bool file_exists(const fs::path& path) {
  if (find_in_memory(path)) return true;
  const std::optional<struct stat> status = status_of(path);
  if (!status) return false;
  if (S_ISREG(status->st_mode)) return true;
  throw Error(ErrorCode::io_error,
              fmt::format("{}: is {}, expected a regular file", path.string(),
                          S_ISDIR(status->st_mode) ? "a directory" : "a pipe or a device"));
}

bool directory_exists(const fs::path& path) {
  if (is_in_memory(path)) return !find_in_memory(path);
  const std::optional<struct stat> status = status_of(path);
  return status && S_ISDIR(status->st_mode);
}

bool path_exists(const fs::path& path) {
  return is_in_memory(path) || status_of(path).has_value();
}

void read_file(const fs::path& path, const std::function<char*(std::size_t)>& allocate) {
  if (const auto bytes = find_in_memory(path)) {
    char* const to = allocate(bytes->size());
    if (!is_readable(*bytes)) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{}: the memory of this file cannot be read, expected {} bytes",
                              path.string(), bytes->size()));
    }
    std::copy_n(reinterpret_cast<const char*>(bytes->data()), bytes->size(), to);
    return;
  }
  // O_NONBLOCK: a FIFO without a writer would otherwise block here for ever.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) throw_errno(path, "cannot open", errno);
  struct stat status {};
  if (::fstat(file.number, &status) != 0) throw_errno(path, "cannot ask about", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: cannot be read: it is a {}, expected a regular file",
                            path.string(), S_ISDIR(status.st_mode) ? "directory" : "special file"));
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  char* to = allocate(size);
  for (std::size_t left = size; left > 0;) {
    const ssize_t count = ::read(file.number, to, left);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(path, "cannot read", errno);
    if (count == 0) {
      throw Error(ErrorCode::io_error,
                  fmt::format("{}: got {} bytes, expected {}: the file was cut while it was read",
                              path.string(), size - left, size));
    }
    to += count;
    left -= static_cast<std::size_t>(count);
  }
}

std::string read_file(const fs::path& path) {
  std::string content;
  read_file(path, [&](std::size_t bytes) {
    content.resize(bytes);
    return content.data();
  });
  return content;
}

std::string_view stand_in(std::string_view head) noexcept {
  if (head.starts_with("version https://git-lfs")) {
    return "a Git LFS pointer, not the file itself (git lfs pull fetches it)";
  }
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!head.empty() && is_blank(head.front())) head.remove_prefix(1);
  for (const std::string_view page : {"<!doctype", "<!DOCTYPE", "<html", "<HTML", "<?xml"}) {
    if (head.starts_with(page)) return "a web page, not the file itself (download it again)";
  }
  return {};
}

}  // namespace tessera
