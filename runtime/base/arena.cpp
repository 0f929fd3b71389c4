// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/arena.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

Arena::Arena(std::size_t bytes, const char* what) : bytes_(bytes) {
  if (bytes == 0) return;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  // A block of at least one huge page starts on a huge-page boundary, so that all of it can be
  // backed by them.
  const std::size_t align = bytes >= kHugePage ? kHugePage : page;
  mapped_ = (bytes + page - 1) / page * page;
  const std::size_t reserved = mapped_ + (align - page);
  void* block = reserved < bytes ? MAP_FAILED
                                 : mmap(nullptr, reserved, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) {
    throw Error(ErrorCode::out_of_memory,
                fmt::format("{}: the system refused {} bytes of memory", what, bytes));
  }
  const auto begin = reinterpret_cast<std::uintptr_t>(block);
  const std::size_t head = (align - begin % align) % align;
  if (head > 0) munmap(block, head);
  if (reserved - head > mapped_)
    munmap(static_cast<std::byte*>(block) + head + mapped_, reserved - head - mapped_);
  data_ = static_cast<std::byte*>(block) + head;
  if (bytes >= kHugePage)
    madvise(data_, mapped_, MADV_HUGEPAGE);  // advice: a refusal changes speed only
}

Arena::~Arena() {
  if (data_ != nullptr) munmap(data_, mapped_);
}

void Arena::release() noexcept {
  if (data_ != nullptr) madvise(data_, mapped_, MADV_DONTNEED);
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

}  // namespace tessera
