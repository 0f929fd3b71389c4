// SPDX-License-Identifier: Apache-2.0
// Where something went wrong, said by whoever knows it.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "tessera/pipeline/sequences.hpp"

namespace tessera {

/// body(), whose errors begin with `where`.
template <class Body>
decltype(auto) about(std::string_view where, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", where, error.what()));
  }
}

/// body(), in which a sequence that is refused is called where(its number).
template <class Where, class Body>
decltype(auto) about_sequences(Where where, Body&& body) {
  try {
    return body();
  } catch (const BadSequence& error) {
    throw Error(error.code(), fmt::format("{}: {}", where(error.index()), error.reason()));
  }
}

}  // namespace tessera
