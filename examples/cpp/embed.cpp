// SPDX-License-Identifier: Apache-2.0
//
// Texts to vectors in C++20: how near each text is to the first.
//
//   embed_cpp MODEL TEXT...
#include <cstdio>
#include <string>
#include <tessera/tessera.hpp>
#include <vector>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: embed_cpp MODEL TEXT...\n");
    return 2;
  }
  const std::vector<std::string> texts(argv + 2, argv + argc);
  const tessera::Model model(argv[1]);
  tessera::Session session(model);

  const std::vector<float> vectors = session.embed(texts);  // (texts, width)
  const auto width = static_cast<std::size_t>(session.width());
  const tessera::Matrix all(vectors, session.width());
  const tessera::Matrix first({vectors.data(), width}, session.width());
  const std::vector<float> cosines = tessera::compare(first, all);  // (1, texts)

  std::printf("%zu texts, %zu numbers each\n", texts.size(), width);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::printf("%6.3f  %s\n", static_cast<double>(cosines[i]), texts[i].c_str());
  }
  return 0;
} catch (const tessera::Error& error) {  // where, what, got, expected
  std::fprintf(stderr, "%s: %s\n", tessera_status_name(error.status()), error.what());
  return 1;
}
