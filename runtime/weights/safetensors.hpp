// SPDX-License-Identifier: Apache-2.0
// Files in the safetensors format: a strict reader over a mapped file, and a writer.
//
//   file = N (u64, little-endian) · header (N bytes of JSON) · buffer
//   header = {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …,
//             "__metadata__": {"key": "value", …}}
//
// The reader refuses what contradicts itself instead of repairing it: every byte of the buffer
// belongs to exactly one tensor, names are unique, sizes follow from dtype and shape, the header is
// one JSON object of at most 100 MB.
// Format: https://github.com/huggingface/safetensors (README, "Format").
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/weights/stored_tensor.hpp"

namespace tessera {

/// One safetensors file, mapped.
///
/// Errors    open(): not_found; io_error; invalid_argument (a directory); corrupt_file with the
///           path, the tensor, what was found and what was expected.
class SafetensorsFile : public TensorFile {  // nothing of its own: may be moved into a TensorFile
 public:
  static SafetensorsFile open(const std::filesystem::path& path);

 private:
  SafetensorsFile(std::filesystem::path path, MappedFile file)
      : TensorFile(std::move(path), std::move(file)) {}
};

/// What write_safetensors() stores: `data` holds the elements, row-major, little-endian; or `make`, where
/// it is given, returns them when their turn comes, so that not all of them need be held.
struct TensorToWrite {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data{};
  std::function<std::vector<std::byte>()> make{};
};

/// Writes a safetensors file, replacing `path` in one step: readers see the old or the new file.
///
/// The bytes go to a new file in the same directory, which is renamed once all of them were
/// accepted. On an error that file is removed and `path` is as it was. The order in the file is by
/// falling element size, then by name, so that every tensor of whole-byte elements is aligned to
/// its element. Nothing is fsync'ed.
///
/// Errors    invalid_argument (a duplicate or reserved name, text that is not UTF-8, a size that
///           contradicts the shape); io_error naming the path with the system's words.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string, std::less<>>& metadata = {});

}  // namespace tessera
