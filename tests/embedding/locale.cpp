// SPDX-License-Identifier: Apache-2.0
// A host in a locale with "," for the point and "." between thousands, for C++ streams and for C where
// it is installed. Numbers in files and messages stay what they are.
#include <clocale>
#include <locale>

#include "tests/embedding/host.hpp"

namespace {
struct Commas : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\1"; }
};
}  // namespace

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const std::vector<float> expected = host::embed(path);
  std::setlocale(LC_ALL, "de_DE.UTF-8");
  std::locale::global(std::locale(std::locale(), new Commas));
  host::expect(host::embed(path, 2) == expected, "the same vector");
  try {
    const tessera::Model model(path);
    tessera::SessionOptions options;
    options.memory_cap_bytes = 100000;
    tessera::Session session(model, options);
    host::fail("expected: an error");
  } catch (const tessera::Error& e) {
    host::expect(std::string(e.what()).find("100000") != std::string::npos, e.what());
  }
}
