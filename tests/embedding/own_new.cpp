// SPDX-License-Identifier: Apache-2.0
// A host with an allocator of its own: operator new marks its blocks and operator delete checks the
// mark, so that memory of one allocator in the other ends the process.
#include <cstdint>
#include <cstdlib>
#include <new>

#include "tests/embedding/host.hpp"

namespace {

constexpr std::uint64_t kMark = 0x7465737365726121U;
constexpr std::size_t kHead = 64;

void* take(std::size_t bytes, std::size_t align) {
  const std::size_t head = align > kHead ? align : kHead;
  auto* const block =
      static_cast<char*>(std::aligned_alloc(head, (bytes + head + head - 1) / head * head));
  if (block == nullptr) throw std::bad_alloc();
  reinterpret_cast<std::uint64_t*>(block + head)[-1] = kMark;
  reinterpret_cast<std::uint64_t*>(block + head)[-2] = head;
  return block + head;
}
void give(void* memory) {
  if (memory == nullptr) return;
  auto* const words = static_cast<std::uint64_t*>(memory);
  if (words[-1] != kMark) host::fail("memory of another allocator was given back");
  words[-1] = 0;
  std::free(static_cast<char*>(memory) - words[-2]);
}

}  // namespace

void* operator new(std::size_t bytes) {
  return take(bytes, kHead);
}
void* operator new[](std::size_t bytes) {
  return take(bytes, kHead);
}
void* operator new(std::size_t bytes, std::align_val_t align) {
  return take(bytes, std::size_t(align));
}
void* operator new[](std::size_t bytes, std::align_val_t align) {
  return take(bytes, std::size_t(align));
}
// Those that throw nothing are a sanitizer's else.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return take(bytes, kHead);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return take(bytes, kHead);
}
void* operator new(std::size_t bytes, std::align_val_t align, const std::nothrow_t&) noexcept {
  return take(bytes, std::size_t(align));
}
void* operator new[](std::size_t bytes, std::align_val_t align, const std::nothrow_t&) noexcept {
  return take(bytes, std::size_t(align));
}
void operator delete(void* memory) noexcept {
  give(memory);
}
void operator delete[](void* memory) noexcept {
  give(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  give(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  give(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  give(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  give(memory);
}

int main(int argc, char** argv) {
  host::embed(host::model(argc, argv), 2);
}
