// SPDX-License-Identifier: Apache-2.0
// The weights of a model: one file, or shards that an index names, of safetensors or of PyTorch.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights/stored_tensor.hpp"

namespace tessera {

/// The tensors of a checkpoint: one file, or shards with an index.
///
/// open() takes a directory, in which it looks, as transformers does, for `model.safetensors`,
/// `model.safetensors.index.json`, `pytorch_model.bin` and `pytorch_model.bin.index.json`, in this
/// order; or a file by any name: an index ends in .json, PyTorch's files in .bin, .pt, .pth or .ckpt,
/// all others are safetensors. With an index, every shard that it names must exist beside it and hold
/// every tensor that the index places there; tensors of a shard that the index does not list are
/// visible too; a name in two shards is an error.
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

  /// Copies `part` of a tensor's data to `to`, as MappedFile::read().
  void read(std::span<const std::byte> part, std::byte* to) const;

  /// The elements of a small tensor, as f32; empty where it has a dtype that no weight has.
  std::vector<float> values(const StoredTensor& tensor) const;

  /// Says that the whole numbers (I8) of a tensor count in `scales`, one for each row, its first extent.
  /// Precondition: there is such a tensor, of that type and so many rows.
  void set_scales(const std::string& tensor, std::vector<float> scales);
  /// The same of a tensor U8 (N/4,K) that holds -1, 0 and 1 (ternary_rows.hpp), with a scale for each of
  /// the N rows: from then on it is one of StoredType::ternary, (N,K).
  /// Precondition: there is such a tensor.
  void set_ternary(const std::string& tensor, std::vector<float> scales);
  /// Puts whole numbers in the place of a tensor of floats (N,K): from then on it is I8, not those of a file.
  /// Precondition: there is such a tensor, `numbers` has N·K bytes, `scales` N.
  void set_whole(const std::string& tensor, std::vector<std::byte> numbers,
                 std::vector<float> scales);
  /// One for each row; empty where nothing was said.
  std::span<const float> scales(std::string_view tensor) const noexcept;
  /// Says that the columns of such a tensor were divided by `factors`, powers of two, one for each column,
  /// before they were quantised (runtime/program/parameter.hpp, InputFactors):
  ///
  ///   w[n,k] = q[n,k] · scale[n] · factor[k]
  ///
  /// Precondition: it has scales, and so many columns.
  void set_factors(const std::string& tensor, std::vector<float> factors);
  /// One for each column; empty where nothing was said: all are 1.
  std::span<const float> factors(std::string_view tensor) const noexcept;
  /// Whether any tensor has scales.
  bool has_scales() const noexcept { return !scales_.empty(); }
  /// The element type of a weight stored as `tensor`: s8 where it has scales. Empty: it cannot be one.
  std::optional<DType> weight_type(const StoredTensor& tensor) const noexcept;

  /// Throws Error{corrupt_file} if a shard has changed since it was opened.
  void check_unchanged() const;

  /// All tensors, sorted by name.
  const std::vector<const StoredTensor*>& tensors() const noexcept { return tensors_; }

  /// The shards, one at least, in the order of their names; then those of merge().
  const std::vector<TensorFile>& files() const noexcept { return files_; }

  /// What was opened: the file or the index.
  const std::filesystem::path& path() const noexcept { return path_; }
  /// The file that has the tensor of this name: a shard, or one that was merged; path() if none has.
  const std::filesystem::path& path_of(std::string_view tensor) const noexcept;

 private:
  std::filesystem::path path_;
  std::vector<TensorFile> files_;
  std::deque<StoredTensor>
      renamed_;  // what merge() added, set_ternary() and set_whole() changed; elements never move
  std::deque<std::vector<std::byte>> own_;    // of set_whole()
  std::vector<const StoredTensor*> tensors_;  // sorted by name
  std::map<std::string, std::vector<float>, std::less<>> scales_, factors_;
};

}  // namespace tessera
