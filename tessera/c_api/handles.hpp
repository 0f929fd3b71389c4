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

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/base/fork_locks.hpp"

namespace tessera::c_api {

enum class HandleKind : std::uintptr_t { model = 0, session = 1, cancel = 2, index = 3 };

/// The name of `kind` in messages.
const char* to_string(HandleKind kind) noexcept;

/// Throws Error{invalid_argument}: `handle` is not open.
[[noreturn]] void refuse_handle(HandleKind kind, const void* handle);
/// Throws Error{out_of_memory}: more than 2²¹ handles of a kind.
[[noreturn]] void refuse_more_handles(HandleKind kind);

/// All open objects of one kind. Thread-safe; and whole in a child of fork(), whatever a thread of its
/// parent was doing: slots never move, and one store opens a slot, closes it, or takes it out of the
/// list of free ones. What such a thread had taken and not opened is lost.
template <class Object, class Handle, HandleKind kKind>
class HandleTable {
 public:
  constexpr HandleTable() noexcept = default;

  Handle* add(std::shared_ptr<Object> object) {
    const ProcessMutex::Lock lock(mutex_);
    const std::size_t at = take_free();
    Slot& slot = slot_at(at);
    slot.object = std::move(object);
    const std::uintptr_t bits = (++slot.generation << kGenerationShift) | (at << kSlotShift) |
                                (static_cast<std::uintptr_t>(kKind) << 1) | 1U;
    slot.open = bits;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a key, never dereferenced
    return reinterpret_cast<Handle*>(bits);
  }

  /// Throws Error{invalid_argument} unless `handle` is open.
  std::shared_ptr<Object> get(const Handle* handle) {
    std::shared_ptr<Object> object =
        find(handle, [](Slot& slot, std::size_t) { return slot.object; });
    if (object == nullptr) refuse_handle(kKind, handle);
    return object;
  }

  /// Closes `handle`; the object lives as long as somebody uses it. Errors: as get().
  std::shared_ptr<Object> remove(const Handle* handle) {
    std::shared_ptr<Object> object = find(handle, [this](Slot& slot, std::size_t at) {
      slot.open = 0;
      std::shared_ptr<Object> taken = std::move(slot.object);
      slot.next_free = free_;
      free_ = at + 1;
      return taken;
    });
    if (object == nullptr) refuse_handle(kKind, handle);
    return object;
  }

 private:
  static constexpr unsigned kSlotShift = 3, kGenerationShift = 24, kChunkShift = 10;
  static constexpr std::size_t kMaxSlots = std::size_t{1} << (kGenerationShift - kSlotShift);
  static constexpr std::size_t kChunk = std::size_t{1} << kChunkShift;

  struct Slot {
    std::atomic<std::uintptr_t> open{0};  // the handle; 0: it is closed
    std::uintptr_t generation = 0;        // of the last handle
    std::shared_ptr<Object> object = {};
    std::size_t next_free = 0;
  };

  Slot& slot_at(std::size_t at) { return chunks_[at >> kChunkShift].load()[at & (kChunk - 1)]; }

  /// A slot that is closed. Chunks are kept for ever.
  std::size_t take_free() {
    if (const std::size_t first = free_; first != 0) {
      free_ = slot_at(first - 1).next_free;
      return first - 1;
    }
    const std::size_t at = used_;
    if (at >= kMaxSlots) refuse_more_handles(kKind);
    std::atomic<Slot*>& chunk = chunks_[at >> kChunkShift];
    if (chunk.load() == nullptr) chunk = new Slot[kChunk];
    used_ = at + 1;
    return at;
  }

  /// f(slot, its number) of the open `handle`; else null. Nothing is thrown while the lock is held.
  template <class F>
  std::shared_ptr<Object> find(const Handle* handle, F&& f) {
    const auto bits = reinterpret_cast<std::uintptr_t>(handle);
    const std::size_t at = (bits >> kSlotShift) & (kMaxSlots - 1);
    const ProcessMutex::Lock lock(mutex_);
    if (bits == 0 || at >= used_) return nullptr;
    Slot& slot = slot_at(at);
    return slot.open == bits ? f(slot, at) : nullptr;
  }

  ProcessMutex mutex_;
  std::array<std::atomic<Slot*>, kMaxSlots / kChunk> chunks_{};
  std::atomic<std::size_t> used_{0};  // slots that there are
  std::atomic<std::size_t> free_{0};  // the first of the list of free ones, + 1; 0: none
};

}  // namespace tessera::c_api
