// SPDX-License-Identifier: Apache-2.0
// What a worker calls for each task.
#pragma once

#include <type_traits>

#include "kernels/types.hpp"

namespace tessera {

/// A reference to a callable body(task, worker); no allocation, no ownership. The callable must not
/// throw.
class TaskBody {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, TaskBody>) TaskBody(F&& f)
  noexcept  // NOLINT(google-explicit-constructor): it is a parameter type
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, Index task, int worker) {
          (*static_cast<std::remove_reference_t<F>*>(object))(task, worker);
        }) {}

  void operator()(Index task, int worker) const { call_(object_, task, worker); }

 private:
  void* object_;
  void (*call_)(void*, Index, int);
};

}  // namespace tessera
