// SPDX-License-Identifier: Apache-2.0
//
// Files as the readers of checkpoints see them: those of the system, and those that a caller holds
// in memory.
//
// While a MemoryFiles lives, its files stand in a directory "memory:<n>" that nothing else can
// name. The readers ask here instead of std::filesystem; nothing else knows the difference.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>

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

  const std::filesystem::path& directory() const noexcept { return directory_; }
  const Map& files() const noexcept { return files_; }

 private:
  Map files_;
  std::filesystem::path directory_;
};

/// As std::filesystem's, of both kinds of files; an error counts as "no".
bool path_exists(const std::filesystem::path& path);
bool file_exists(const std::filesystem::path& path);
bool directory_exists(const std::filesystem::path& path);

/// The bytes of a file in memory; empty if `path` names none.
std::optional<std::span<const std::byte>> find_in_memory(const std::filesystem::path& path);

}  // namespace tessera
