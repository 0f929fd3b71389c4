// SPDX-License-Identifier: Apache-2.0
// A file of the system with the bytes of an input, for readers that open paths themselves.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {

/// In memory, by a path below /proc; gone with the object.
class InputFile {
 public:
  explicit InputFile(std::string_view bytes)
      : descriptor_(::memfd_create("fuzz-input", MFD_CLOEXEC)),
        path_("/proc/self/fd/" + std::to_string(descriptor_)) {
    require(descriptor_ >= 0 && ::write(descriptor_, bytes.data(), bytes.size()) ==
                                    static_cast<ssize_t>(bytes.size()),
            "the input is written to a file");
  }
  ~InputFile() { ::close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const noexcept { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

}  // namespace tessera::fuzz
