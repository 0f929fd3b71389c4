// SPDX-License-Identifier: Apache-2.0
// What the programs of this folder share. Each is a host: it sees an installed Tessera only, and
// ends with status 0 if what its first lines say happened.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <tessera/tessera.hpp>
#include <vector>

namespace host {

inline const char* const kText = "A tiny text editor for small screens";

inline tessera::SessionOptions with_threads(int threads) {
  tessera::SessionOptions options;
  options.threads = threads;
  return options;
}

inline std::vector<float> embed(const std::string& model, int threads = 1) {
  const tessera::Model opened(model);
  tessera::Session session(opened, with_threads(threads));
  return session.embed(kText);
}

/// Makes the library warn: a folder for packed weights that cannot be there.
inline void provoke_warning(const std::string& model) {
  tessera::ModelOptions options;
  options.packed_cache = "/proc/none/at/all";
  tessera::Model(model, options).prepare();
}

/// Ends the program at once, with a line that says why.
[[noreturn]] inline void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}
inline void expect(bool holds, const std::string& what) {
  if (!holds) fail("expected: " + what);
}

/// The model's directory, the first argument.
inline std::string model(int argc, char** argv) {
  if (argc < 2) fail(std::string("usage: ") + argv[0] + " MODEL ...");
  return argv[1];
}
inline std::string argument(int argc, char** argv, int n) {
  if (argc <= n) fail(std::string(argv[0]) + ": an argument is missing");
  return argv[n];
}

}  // namespace host
