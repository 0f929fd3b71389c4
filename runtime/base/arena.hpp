// SPDX-License-Identifier: Apache-2.0
// One block of zeroed pages from the system, 64-byte aligned at least, with huge pages asked for
// where it is large.
#pragma once

#include <cstddef>

namespace tessera {

class Arena {
 public:
  Arena() = default;
  /// Throws Error{out_of_memory} naming `what` and the size. 0 bytes is legal.
  Arena(std::size_t bytes, const char* what);
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  /// Gives all pages back to the system (MADV_DONTNEED); they read as zeros when touched again.
  void release() noexcept;

  std::byte* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }
  float* floats(std::size_t offset_bytes) const noexcept {
    return reinterpret_cast<float*>(data_ + offset_bytes);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;   // asked for
  std::size_t mapped_ = 0;  // rounded to pages
};

}  // namespace tessera
