// SPDX-License-Identifier: Apache-2.0
// The plugin that TESSERA_THREADS asks for is missing, or one of another version is found first: a
// session that needs it is refused with every PART in the message, one that needs none works.
//
//   plugin_error MODEL PART...
#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  host::embed(path, 1);
  try {
    host::embed(path, 2);
    host::fail("expected: an error");
  } catch (const tessera::Error& e) {
    const std::string error = e.what();
    for (int i = 2; i < argc; ++i) {
      host::expect(error.find(argv[i]) != std::string::npos,
                   std::string(argv[i]) + ", got: " + error);
    }
  }
}
