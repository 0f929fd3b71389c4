// SPDX-License-Identifier: Apache-2.0
//
// Memory whose neighbours cannot be touched: n elements that end (Guard::above) or begin
// (Guard::below) exactly at an unmapped page, so that one element read or written beyond is a crash
// in the test that did it.
//
//   Guard::above   [ page | slack data ][ no access ]     the usual one: catches running past the
//   end Guard::below   [ no access ][ data slack | page ]     catches reads before the beginning
//
// Both sides are always unmapped; the choice is which of them has no slack. Floats start as NaN
// (all bits set), so that a read of an element nobody wrote shows up in the result.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "kernels/types.hpp"

namespace tessera::test {

enum class Guard { above, below };

template <class T>
class GuardedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit GuardedBuffer(Index n, Guard guard = Guard::above) : n_(static_cast<std::size_t>(n)) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = n_ * sizeof(T);
    const std::size_t inner = (bytes + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    void* p = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc{};
    base_ = static_cast<std::byte*>(p);
    if (inner > 0 && mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) != 0)
      throw std::bad_alloc{};
    std::byte* first = base_ + page + (guard == Guard::above ? inner - bytes : 0);
    data_ = reinterpret_cast<T*>(first);
    if (bytes > 0) std::memset(base_ + page, 0xFF, inner);
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept
      : n_{std::exchange(other.n_, 0)},
        mapped_{std::exchange(other.mapped_, 0)},
        base_{std::exchange(other.base_, nullptr)},
        data_{std::exchange(other.data_, nullptr)} {}
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept {
    std::swap(n_, other.n_);
    std::swap(mapped_, other.mapped_);
    std::swap(base_, other.base_);
    std::swap(data_, other.data_);
    return *this;
  }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;
  ~GuardedBuffer() {
    if (base_ != nullptr) munmap(base_, mapped_);
  }

  /// A copy in fresh guarded memory.
  [[nodiscard]] GuardedBuffer clone(Guard guard = Guard::above) const {
    GuardedBuffer copy(size(), guard);
    if (n_ > 0) std::memcpy(copy.data_, data_, n_ * sizeof(T));
    return copy;
  }

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  [[nodiscard]] Index size() const noexcept { return static_cast<Index>(n_); }
  T& operator[](Index i) noexcept { return data_[i]; }
  const T& operator[](Index i) const noexcept { return data_[i]; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + n_; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + n_; }

 private:
  std::size_t n_ = 0;
  std::size_t mapped_ = 0;
  std::byte* base_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace tessera::test
