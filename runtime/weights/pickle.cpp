// SPDX-License-Identifier: Apache-2.0
// What was read, by place.
#include "runtime/weights/pickle.hpp"

#include <fmt/format.h>

#include "runtime/base/json_text.hpp"

namespace tessera {

using detail::in_quotes;

std::vector<Pickle::Value> Pickle::persistent_values() const {
  std::vector<Value> values;
  for (const std::uint64_t at : persistent_at_) values.push_back({Kind::persistent, 0, at});
  return values;
}

std::string_view Pickle::text(const Value& v) const noexcept {
  return {reinterpret_cast<const char*>(bytes_.data()) + v.at, v.size};
}

std::span<const Pickle::Value> Pickle::tuple(const Value& v) const noexcept {
  return std::span(pool_).subspan(v.at, v.size);
}

Pickle::Object Pickle::object(const Value& v) const noexcept {
  return {.callable = global(pool_[v.at]), .arguments = tuple(pool_[v.at + 1])};
}

std::string Pickle::describe(const Value& v) const {
  switch (v.kind) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return boolean(v) ? "True" : "False";
    case Kind::integer:
      return fmt::format("the integer {}", integer(v));
    case Kind::large_integer:
      return "an integer of more than 64 bits";
    case Kind::real:
      return "a float";
    case Kind::text:
      return fmt::format("the text {}", in_quotes(text(v)));
    case Kind::tuple:
      return fmt::format("a tuple of {}", v.size);
    case Kind::list:
      return fmt::format("a list of {}", list(v).size());
    case Kind::dict:
      return fmt::format("a dict of {}", dict(v).size() / 2);
    case Kind::global:
      return fmt::format("the global {}", global(v));
    case Kind::object:
      return fmt::format("an object of {}", object(v).callable);
    case Kind::persistent:
      return "a storage";
    case Kind::missing:
      break;
  }
  return "nothing";
}

}  // namespace tessera
