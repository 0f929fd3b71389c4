// SPDX-License-Identifier: Apache-2.0
// Checkpoints in the safetensors format: a strict reader over a mapped file, shards, and a writer.
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
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/types.hpp"
#include "runtime/weights/mapped_file.hpp"

namespace tessera {

/// Every dtype of the format. Only f32, f16 and bf16 are usable as weights (see weight_dtype()).
enum class StoredType : std::uint8_t {
  boolean,
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  u64,
  i64,
  f16,
  bf16,
  f32,
  f64,
  c64,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  f6_e2m3,
  f6_e3m2,
  f4,
};

/// The format's spelling: "F32", "BF16", "F8_E4M3", …
const char* to_string(StoredType type) noexcept;

/// The type with the format's spelling `name`; empty for an unknown one.
std::optional<StoredType> stored_type_from_string(std::string_view name) noexcept;

/// Bits of one element: 32 for f32; 6 and 4 for the packed types.
int bits_of(StoredType type) noexcept;

/// The element type of a weight stored as `type`; empty where it cannot be a weight.
std::optional<DType> weight_dtype(StoredType type) noexcept;

/// "(2, 3)"; "()" for a scalar.
std::string shape_to_string(std::span<const std::int64_t> shape);

/// One tensor of a file, row-major, as stored.
struct StoredTensor {
  std::string name;
  StoredType type;
  std::vector<std::int64_t> shape;  ///< extents ≥ 0, product below 2^63; empty for a scalar
  const std::byte* data;  ///< `bytes` bytes, little-endian, ANY alignment (use memcpy or unaligned
                          ///< loads); valid as long as the file object; not null even if bytes == 0
  std::size_t bytes;      ///< product(shape) · bits_of(type) / 8

  /// Product of the shape: 1 for a scalar.
  std::int64_t elements() const noexcept;
};

/// The element of a tensor of one, as f32; empty where it has several or a dtype that no weight
/// has.
std::optional<float> scalar_value(const StoredTensor& tensor) noexcept;

/// One safetensors file, mapped. Moves keep every StoredTensor where it is.
///
/// Threads   all const members may be called concurrently.
/// Errors    open(): not_found; io_error; invalid_argument (a directory); corrupt_file with the
///           path, the tensor, what was found and what was expected.
class SafetensorsFile {
 public:
  static SafetensorsFile open(const std::filesystem::path& path);

  /// Null if there is no tensor of that name.
  const StoredTensor* find(std::string_view name) const noexcept;

  /// All tensors, in the order of their data.
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }

  /// The header's `__metadata__`; empty if absent.
  const std::map<std::string, std::string, std::less<>>& metadata() const noexcept {
    return metadata_;
  }
  const std::filesystem::path& path() const noexcept { return path_; }
  const MappedFile& file() const noexcept { return file_; }

 private:
  SafetensorsFile(std::filesystem::path path, MappedFile file)
      : path_(std::move(path)), file_(std::move(file)) {}

  std::filesystem::path path_;
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::uint32_t> by_name_;  // indices into tensors_, sorted by name
  std::map<std::string, std::string, std::less<>> metadata_;
};

/// The tensors of a checkpoint: one file, or shards with an index.
///
/// open() takes a directory, in which it looks for `model.safetensors`, then for
/// `model.safetensors.index.json`; or one of these two kinds of file by any name. With an index,
/// every shard that it names must exist beside it and hold every tensor that the index places
/// there; tensors of a shard that the index does not list are visible too; a name in two shards is
/// an error.
class Checkpoint {
 public:
  static Checkpoint open(const std::filesystem::path& path);

  /// Adds the tensors of another checkpoint (given as to open()), each under `prefix` + its name.
  /// Errors: as open(); corrupt_file if a name is taken. The checkpoint is unchanged then.
  void merge(const std::string& prefix, const std::filesystem::path& path);

  /// Null if no shard has a tensor of that name.
  const StoredTensor* find(std::string_view name) const noexcept;

  /// As find(), but throws not_found naming the checkpoint and the tensor.
  const StoredTensor& at(std::string_view name) const;

  /// Lets go of the mapped pages of a tensor; its data are read again from the file when touched.
  void release(std::string_view name) const noexcept;
  /// Throws Error{corrupt_file} if a shard has changed since it was opened.
  void check_unchanged() const;

  /// All tensors, sorted by name.
  const std::vector<const StoredTensor*>& tensors() const noexcept { return tensors_; }

  /// The shards, one at least, in the order of their names; then those of merge().
  const std::vector<SafetensorsFile>& files() const noexcept { return files_; }

  /// What was opened: the safetensors file or the index.
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::deque<StoredTensor> renamed_;          // what merge() added; elements never move
  std::vector<const StoredTensor*> tensors_;  // sorted by name
};

/// What write_safetensors() stores: `data` holds the elements, row-major, little-endian.
struct TensorToWrite {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
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
