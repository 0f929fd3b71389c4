// SPDX-License-Identifier: Apache-2.0
// Writes a file so that a reader sees the old content or the new one and never half of it: a
// temporary file beside the target, then one rename().
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace tessera {

/// A new file beside `target` that is removed again unless commit() put it in the target's place,
/// with the target's mode. A link is followed; what is no regular file is refused.
/// Throws Error{io_error} naming the target, the step and the system's reason.
class ReplacedFile {
 public:
  explicit ReplacedFile(std::filesystem::path target);
  ~ReplacedFile();
  ReplacedFile(const ReplacedFile&) = delete;
  ReplacedFile& operator=(const ReplacedFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char* what, int error) const;

  std::filesystem::path target_, path_;
  int fd_ = -1;
  bool committed_ = false;
};

/// All of it at once.
void replace_file(const std::filesystem::path& target, std::string_view content);

}  // namespace tessera
