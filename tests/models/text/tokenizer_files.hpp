// SPDX-License-Identifier: Apache-2.0
// Small tokenizer files for tests.
#pragma once

#include <string>
#include <string_view>

#include "models/text/tokenizer.hpp"
#include "runtime/base/error.hpp"
#include "tests/models/text/json_sections.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::text {

inline Tokenizer tokenizer_of(const JsonSections& sections) {
  const test::TemporaryDirectory directory;
  directory.write("tokenizer.json", sections.text());
  return Tokenizer::from_directory(directory.path());
}

/// The error that loading `directory` gives; fails the test if there is none.
inline Error error_of(const test::TemporaryDirectory& directory) {
  try {
    Tokenizer::from_directory(directory.path());
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "expected an error";
  return Error(ErrorCode::internal, "");
}

}  // namespace tessera::text
