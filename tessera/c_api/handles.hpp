// SPDX-License-Identifier: Apache-2.0
//
// Handles of the C ABI. What a caller holds is no address but the key of a table: kind, slot, and
// the generation of the slot. It is looked up, never dereferenced, so that a handle that was
// closed, or a number that never was one, is an error in every build, and closing while another
// thread is inside is safe: the last user frees.
//
//   63           24 23        3 2  1 0
//   [ generation  ][   slot    ][kind][1]      odd: never the address of anything
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace tessera::c_api {

enum class HandleKind : std::uintptr_t { model = 0, session = 1, cancel = 2, index = 3 };

/// The name of `kind` in messages.
const char* to_string(HandleKind kind) noexcept;

/// Throws Error{invalid_argument}: `handle` is not open.
[[noreturn]] void refuse_handle(HandleKind kind, const void* handle);
/// Throws Error{out_of_memory}: more than 2²¹ handles of a kind.
[[noreturn]] void refuse_more_handles(HandleKind kind);

/// All open objects of one kind. Thread-safe.
template <class Object, class Handle, HandleKind kKind>
class HandleTable {
 public:
  constexpr HandleTable() = default;

  Handle* add(std::shared_ptr<Object> object) {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      if (slots_.size() >= kMaxSlots) refuse_more_handles(kKind);
      slots_.emplace_back();
      free_.reserve(slots_.size());  // so that remove() cannot fail
      free_.push_back(slots_.size() - 1);
    }
    const std::size_t slot = free_.back();
    free_.pop_back();
    slots_[slot].object = std::move(object);
    const std::uintptr_t bits = (slots_[slot].generation << kGenerationShift) |
                                (slot << kSlotShift) | (static_cast<std::uintptr_t>(kKind) << 1) |
                                1U;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a key, never dereferenced
    return reinterpret_cast<Handle*>(bits);
  }

  /// Throws Error{invalid_argument} unless `handle` is open.
  std::shared_ptr<Object> get(const Handle* handle) {
    const std::lock_guard lock(mutex_);
    return slots_[find(handle)].object;
  }

  /// Closes `handle`; the object lives as long as somebody uses it. Errors: as get().
  std::shared_ptr<Object> remove(const Handle* handle) {
    const std::lock_guard lock(mutex_);
    const std::size_t slot = find(handle);
    ++slots_[slot].generation;
    free_.push_back(slot);
    return std::move(slots_[slot].object);
  }

  /// For HeldOverFork.
  std::mutex& mutex() noexcept { return mutex_; }

 private:
  static constexpr unsigned kSlotShift = 3, kGenerationShift = 24;
  static constexpr std::size_t kMaxSlots = std::size_t{1} << (kGenerationShift - kSlotShift);
  struct Slot {
    std::uintptr_t generation = 1;
    std::shared_ptr<Object> object = {};
  };

  std::size_t find(const Handle* handle) const {
    const auto bits = reinterpret_cast<std::uintptr_t>(handle);
    const std::size_t slot = (bits >> kSlotShift) & (kMaxSlots - 1);
    const bool is_open = (bits & 7U) == ((static_cast<std::uintptr_t>(kKind) << 1) | 1U) &&
                         slot < slots_.size() && slots_[slot].object != nullptr &&
                         slots_[slot].generation == bits >> kGenerationShift;
    if (!is_open) refuse_handle(kKind, handle);
    return slot;
  }

  std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;
};

}  // namespace tessera::c_api
