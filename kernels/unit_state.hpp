// SPDX-License-Identifier: Apache-2.0
// Units whose state a thread sets before it uses them, and must not keep: tiles of a matrix unit.
#pragma once

#include <cstddef>

namespace tessera::kernels {

/// Room for what the calling program keeps in a unit while a task of ours uses it: shapes and contents
/// of eight tiles.
struct UnitState {
  alignas(64) std::byte bytes[64 + 8 * 16 * 64];
};

/// A family's hooks around the calls of one task on one thread: `enter` saves the unit's state and sets
/// it for the family, `leave` gives it back as it was. null: nothing to do.
using EnterUnit = void (*)(UnitState& state) noexcept;
using LeaveUnit = void (*)(UnitState& state) noexcept;

/// Encloses the calls of a task: enter now, leave at the end of the scope.
template <class Family>
class Entered {
 public:
  explicit Entered(const Family& family) noexcept : leave_(family.leave) {
    if (family.enter != nullptr) family.enter(state_);
  }
  ~Entered() {
    if (leave_ != nullptr) leave_(state_);
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  LeaveUnit leave_;
  UnitState state_;  // written by `enter` alone
};

}  // namespace tessera::kernels
