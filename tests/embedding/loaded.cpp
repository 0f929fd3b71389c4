// SPDX-License-Identifier: Apache-2.0
// What is in the process after a model was used: of others, libc, libm, libstdc++ and libgcc; neither
// oneDNN nor an OpenMP, which are plugins that nobody asked for.
#include <fstream>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  host::embed(host::model(argc, argv), 2);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t at = line.rfind('/');
    if (at == std::string::npos || line.find(".so") == std::string::npos) continue;
    const std::string name = line.substr(at + 1);
    bool is_known = false;
    for (const char* known : {"libtessera.so", "libc.so", "libm.so", "libstdc++.so", "libgcc_s.so",
                              "ld-linux", "libdl.so"}) {
      is_known = is_known || name.starts_with(known);
    }
    host::expect(is_known, "no library " + name);
  }
}
