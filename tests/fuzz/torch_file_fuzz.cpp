// SPDX-License-Identifier: Apache-2.0
// The reader of PyTorch's checkpoints: any bytes give tensors or an Error. The first byte says
// whether the rest is a file, or the pickle of a zip file whose checks all hold.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "runtime/base/files.hpp"
#include "runtime/weights/torch_file.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera::fuzz {
namespace {

void read(std::string_view file) {
  const MemoryFiles files({{"x.bin", std::as_bytes(std::span(file))}});
  const TorchFile opened = TorchFile::open(files.directory() / "x.bin");
  volatile std::uint64_t sum = 0;
  for (const StoredTensor& tensor : opened.tensors()) {
    for (std::size_t i = 0; i < tensor.bytes; ++i) {
      sum = sum + std::to_integer<std::uint64_t>(tensor.data[i]);
    }
  }
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const std::string_view rest = input.substr(1);
  if (input[0] % 2 == 0) {
    read(rest);
  } else {
    test::ZipBuilder zip;
    zip.add("x/data.pkl", rest);
    for (const char* key : {"x/data/0", "x/data/1"}) zip.add(key, std::string(24, 'd'));
    read(zip.str());
  }
}

Seeds seeds() {
  using namespace test;
  Seeds out;
  add_files("data/torch", 4096, std::string(1, '\0'), out);
  out.emplace_back(
      "pickle", "\x01" + pickle_of(p_dict(
                             {{"a", p_tensor(p_storage("0", 6), 0, p_ints({2, 3}), p_ints({1, 2}))},
                              {"b", p_tensor(p_storage("1", 6), 1, p_ints({5}), p_ints({1}))}})));
  out.emplace_back("any-global",
                   "\x01" + pickle_of(p_global("os", "system") + p_tuple({p_text("true")}) + "R"));
  return out;
}

}  // namespace tessera::fuzz
