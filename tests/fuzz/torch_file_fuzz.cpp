// SPDX-License-Identifier: Apache-2.0
// libFuzzer on the reader of PyTorch's checkpoints: any bytes give tensors or an Error. The first byte
// says whether the rest is a file, or the pickle of a zip file whose checks all hold.
//
//   cmake --preset fuzz && cmake --build --preset fuzz --target torch_file_fuzz
//   build/fuzz/tests/fuzz/torch_file_fuzz -max_total_time=120 CORPUS
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/weights/torch_file.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera {
namespace {

void read(std::span<const std::byte> file) {
  const MemoryFiles files({{"x.bin", file}});
  try {
    const TorchFile opened = TorchFile::open(files.directory() / "x.bin");
    volatile std::uint64_t sum = 0;
    for (const StoredTensor& tensor : opened.tensors()) {
      for (std::size_t i = 0; i < tensor.bytes; ++i) {
        sum = sum + std::to_integer<std::uint64_t>(tensor.data[i]);
      }
    }
  } catch (const Error&) {  // refused
  }
}

}  // namespace
}  // namespace tessera

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera;
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    read(std::as_bytes(std::span(text)));
  } else {
    test::ZipBuilder zip;
    zip.add("x/data.pkl", text);
    for (const char* key : {"x/data/0", "x/data/1"}) zip.add(key, std::string(24, 'd'));
    const std::string file = zip.str();
    read(std::as_bytes(std::span(file)));
  }
  return 0;
}
