// SPDX-License-Identifier: Apache-2.0
// Tensors as files hold them, and a mapped file of them, whatever its format.
#pragma once

#include <cstddef>
#include <cstdint>
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

/// Every dtype of safetensors, and one that no file names. Only f32, f16 and bf16 are usable as weights
/// (see weight_dtype()).
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
  ternary,  ///< U8 whose bytes hold four of -1, 0 and 1 each (ternary_rows.hpp)
};

/// The spelling of safetensors: "F32", "BF16", "F8_E4M3", …
const char* to_string(StoredType type) noexcept;

/// The type with that spelling in a file; empty for an unknown one.
std::optional<StoredType> stored_type_from_string(std::string_view name) noexcept;

/// Bits of one element: 32 for f32; 6, 4 and 2 for the packed types.
int bits_of(StoredType type) noexcept;

/// The element type of a weight stored as `type`; empty where it cannot be a weight.
std::optional<DType> weight_dtype(StoredType type) noexcept;

/// "(2, 3)"; "()" for a scalar. Of more than 16 extents the first, and how many there are.
std::string shape_to_string(std::span<const std::int64_t> shape);

/// Bits of elements of `type` in a tensor of `shape`, extents of 0 left out, so that any product of
/// some extents can be formed later without a check; empty from 2^63 on.
std::optional<std::uint64_t> bits_without_zeros(StoredType type,
                                                std::span<const std::int64_t> shape) noexcept;

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

/// One file of tensors, mapped. Moves keep every StoredTensor where it is.
///
/// Threads   all const members may be called concurrently.
class TensorFile {
 public:
  /// Null if there is no tensor of that name.
  const StoredTensor* find(std::string_view name) const noexcept;

  /// All tensors: safetensors in the order of their data, PyTorch in that of its dict.
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }

  /// The `__metadata__` of safetensors; empty if absent.
  const std::map<std::string, std::string, std::less<>>& metadata() const noexcept {
    return metadata_;
  }
  const std::filesystem::path& path() const noexcept { return path_; }
  const MappedFile& file() const noexcept { return file_; }

 protected:
  TensorFile(std::filesystem::path path, MappedFile file)
      : path_(std::move(path)), file_(std::move(file)) {}

  /// Takes the tensors; the name that occurs twice, if one does.
  std::optional<std::string_view> set_tensors(std::vector<StoredTensor> tensors);
  /// Memory of `bytes` that lives as long as the file: for tensors that do not lie row-major in it.
  std::span<std::byte> own(std::size_t bytes);

  std::map<std::string, std::string, std::less<>> metadata_;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::uint32_t> by_name_;  // indices into tensors_, sorted by name
  std::vector<std::vector<std::byte>> owned_;
};

}  // namespace tessera
