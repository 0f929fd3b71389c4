// SPDX-License-Identifier: Apache-2.0
// A value that is dear to make, and is made when so much was done that it pays. What is done with it
// must give the same results without it.
#pragma once

#include <atomic>
#include <cstddef>

namespace tessera {

/// For any number of threads: nobody waits for anybody. While one caller makes the value, the others
/// go on without.
template <class Value>
class Late {
 public:
  explicit Late(std::size_t worthwhile) noexcept : worthwhile_(worthwhile) {}

  /// The value, if it is there; nullptr before. Counts `amount`; of all calls the one that reaches
  /// `worthwhile` calls make(), which returns a Value and may throw: then it is never there.
  template <class Make>
  const Value* get(std::size_t amount, const Make& make) noexcept {
    if (const Value* ready = ready_.load(std::memory_order_acquire)) return ready;
    const std::size_t before = done_.fetch_add(amount, std::memory_order_relaxed);
    if (before >= worthwhile_ || before + amount < worthwhile_) return nullptr;
    try {
      value_ = make();
    } catch (...) {
      return nullptr;  // no memory, say
    }
    ready_.store(&value_, std::memory_order_release);
    return &value_;
  }

 private:
  const std::size_t worthwhile_;
  std::atomic<std::size_t> done_{0};
  std::atomic<const Value*> ready_{nullptr};
  Value value_{};  // written once, before ready_
};

}  // namespace tessera
