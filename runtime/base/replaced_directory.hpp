// SPDX-License-Identifier: Apache-2.0
// Writes a directory so that a reader sees the old one or the new one and never half of it: a directory
// beside the target, then one rename.
#pragma once

#include <filesystem>

namespace tessera {

/// That ReplacedDirectory could be made, before the work is done that it is for. Errors: as there
void require_replaceable(const std::filesystem::path& target, bool replaces);

/// A new directory beside `target` that is removed again, with what is in it, unless commit() put it in the
/// target's place. A target that is a link is followed.
class ReplacedDirectory {
 public:
  /// Errors    invalid_argument: the target is there, is no empty directory, and is not to be replaced;
  ///           io_error naming the target with the system's words
  ReplacedDirectory(std::filesystem::path target, bool replaces);
  ~ReplacedDirectory();
  ReplacedDirectory(const ReplacedDirectory&) = delete;
  ReplacedDirectory& operator=(const ReplacedDirectory&) = delete;

  /// Where to write until commit().
  const std::filesystem::path& path() const noexcept { return path_; }
  const std::filesystem::path& target() const noexcept { return target_; }
  void commit();

 private:
  [[noreturn]] void fail(const char* what, int error) const;

  std::filesystem::path target_, path_;
  bool committed_ = false;
};

}  // namespace tessera
