// SPDX-License-Identifier: Apache-2.0
//
// Files as the readers of checkpoints see them: those of the system, and those that a caller holds
// in memory.
//
// While a MemoryFiles lives, its files stand in a directory "memory:<n>" that nothing else can
// name. The readers ask here instead of std::filesystem; nothing else knows the difference.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tessera {

/// A directory of files in memory, for as long as the object lives. The bytes are the caller's.
///
/// Threads   any number may exist at once; files in memory are read under a lock, briefly.
class MemoryFiles {
 public:
  using Map = std::map<std::string, std::span<const std::byte>, std::less<>>;

  /// `files` by their names below the directory: "config.json", "1_Pooling/config.json".
  /// Error: invalid_argument for a name that is empty, absolute, not in normal form, or leads out.
  explicit MemoryFiles(Map files);
  ~MemoryFiles();
  MemoryFiles(const MemoryFiles&) = delete;
  MemoryFiles& operator=(const MemoryFiles&) = delete;

  const std::filesystem::path& directory() const noexcept { return directory_->path; }
  const Map& files() const noexcept { return directory_->files; }

  struct Directory {
    std::filesystem::path path;
    Map files;
    std::atomic<Directory*> next{nullptr};  // in the list of all
  };

 private:
  std::unique_ptr<Directory> directory_;
};

/// Of both kinds of files. "Cannot tell" is never "is not there": a link that leads nowhere or in a
/// circle, a directory that may not be searched, an overlong name, ... are errors.
///
/// Errors    io_error naming the path with the system's words
bool path_exists(const std::filesystem::path& path);
bool file_exists(const std::filesystem::path& path);  ///< what is no regular file is an error too
bool directory_exists(const std::filesystem::path& path);

/// Reads a whole regular file: asks `allocate` once for so many bytes, and fills them.
///
/// Errors    not_found, io_error with the system's words; also for a directory or a device
void read_file(const std::filesystem::path& path,
               const std::function<char*(std::size_t bytes)>& allocate);

std::string read_file(const std::filesystem::path& path);

/// What stands in place of a file that people meant to have, told by how it begins: "a Git LFS
/// pointer, ..." or "a web page"; "" where nothing is known. `head`: the first bytes, 64 are enough.
std::string_view stand_in(std::string_view head) noexcept;

/// The bytes of a file in memory; empty if `path` names none.
std::optional<std::span<const std::byte>> find_in_memory(const std::filesystem::path& path);

}  // namespace tessera
