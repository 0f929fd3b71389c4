// SPDX-License-Identifier: Apache-2.0
// A plugin of another version is found first: a session that needs it is refused with both versions,
// one that needs none works.
#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  host::embed(path, 1);
  try {
    host::embed(path, 2);
    host::fail("expected: an error");
  } catch (const tessera::Error& e) {
    const std::string error = e.what();
    for (const char* part : {"tessera_openmp.so", "0.0.1", "expected version"}) {
      host::expect(error.find(part) != std::string::npos, std::string(part) + ", got: " + error);
    }
  }
}
