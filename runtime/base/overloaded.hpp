// SPDX-License-Identifier: Apache-2.0
// The usual helper for std::visit: one lambda per alternative.
#pragma once

namespace tessera {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace tessera
