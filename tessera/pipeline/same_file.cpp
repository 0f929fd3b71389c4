// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/same_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

namespace tessera {
namespace {

namespace fs = std::filesystem;

bool is_standard_stream(const std::string& path) {
  return path.empty() || path == "-";
}

// Of a regular file or a directory; st_mode is 0 for what does not exist.
struct stat status_of(const std::string& path, int standard_stream) {
  struct stat status {};
  const int error =
      is_standard_stream(path) ? ::fstat(standard_stream, &status) : ::stat(path.c_str(), &status);
  if (error != 0) status.st_mode = 0;
  return status;
}

bool is_same(const struct stat& a, const struct stat& b) noexcept {
  return S_ISREG(a.st_mode) && S_ISREG(b.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

std::optional<std::string> find_same_file(const std::string& path,
                                          std::span<const std::string> inputs) {
  const struct stat output = status_of(path, STDOUT_FILENO);
  if (!S_ISREG(output.st_mode)) return std::nullopt;
  for (const std::string& input : inputs) {
    if (is_same(output, status_of(input, STDIN_FILENO))) {
      return is_standard_stream(input) ? "standard input" : input;
    }
  }
  return std::nullopt;
}

bool is_same_target(const std::string& a, const std::string& b) {
  const struct stat first = status_of(a, STDOUT_FILENO), second = status_of(b, STDOUT_FILENO);
  if (is_same(first, second)) return true;
  if (is_standard_stream(a) || is_standard_stream(b)) return false;
  std::error_code error;
  const fs::path left = fs::weakly_canonical(fs::absolute(a), error);
  const fs::path right = fs::weakly_canonical(fs::absolute(b), error);
  return !left.empty() && left == right && first.st_mode == 0;
}

}  // namespace tessera
