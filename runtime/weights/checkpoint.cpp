// SPDX-License-Identifier: Apache-2.0
// A checkpoint of one file or of shards named by an index:
//   {"metadata": {…}, "weight_map": {"tensor name": "shard file name", …}}
#include "runtime/weights/checkpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/json.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/looks_like.hpp"
#include "runtime/weights/other_weights.hpp"
#include "runtime/weights/safetensors.hpp"
#include "runtime/weights/scaled_rows.hpp"
#include "runtime/weights/ternary_rows.hpp"
#include "runtime/weights/torch_file.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using detail::in_quotes;

using WeightMap = std::map<std::string, std::string, std::less<>>;  // tensor -> shard

/// transformers' order.   transformers v4.57 modeling_utils.py _get_resolved_checkpoint_files
constexpr std::array kSources{"model.safetensors", "model.safetensors.index.json",
                              "pytorch_model.bin", "pytorch_model.bin.index.json"};
/// What the reference takes where it is asked to (`variant=`) or given the file (a state dict as
/// torch.save() calls it): taken where it is the only one.
constexpr std::array kOtherSources{"model.fp32.safetensors",
                                   "model.fp16.safetensors",
                                   "model.bf16.safetensors",
                                   "model.safetensors.index.fp32.json",
                                   "model.safetensors.index.fp16.json",
                                   "model.safetensors.index.bf16.json",
                                   "pytorch_model.fp32.bin",
                                   "pytorch_model.fp16.bin",
                                   "pytorch_model.bf16.bin",
                                   "pytorch_model.pt",
                                   "model.pt"};

/// The file to open for `path`: itself, or the one that a directory holds.
fs::path locate(const fs::path& path) {
  if (!path_exists(path)) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no such file or directory, expected a checkpoint", path.string()));
  }
  if (!directory_exists(path)) return path;
  for (const char* name : kSources) {
    if (path_exists(path / name)) return path / name;
  }
  std::vector<std::string> others;
  for (const char* name : kOtherSources) {
    if (path_exists(path / name)) others.emplace_back(name);
  }
  if (others.size() == 1) return path / others.front();
  if (others.size() > 1) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: the directory has {}, expected {}, or one of these alone",
                            path.string(), fmt::join(others, " and "), kSources[0]));
  }
  throw Error(
      ErrorCode::not_found,
      fmt::format("{}: the directory has no weights that can be read, expected {} or {} ({} "
                  "or {}){}",
                  path.string(), kSources[0], kSources[2], kSources[1], kSources[3],
                  other_weights(path)));
}

TensorFile open_file(const fs::path& path) {
  for (const char* ending : {".bin", ".pt", ".pth", ".ckpt"}) {
    if (path.extension() == ending) return TorchFile::open(path);
  }
  return SafetensorsFile::open(path);
}

/// A shard stands beside its index; a name that leads elsewhere is not followed.
bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

WeightMap read_index(const fs::path& path) {
  const auto fail = [&](std::string_view problem) {
    throw Error(ErrorCode::corrupt_file, fmt::format("{}: {}", path.string(), problem));
  };
  const std::string text = read_file(path);
  if (text.empty()) fail("the index is malformed (0 bytes), expected one JSON object in UTF-8");
  const json::Tree tree = json::Tree::parse(text);
  json::Object root;
  json::Object map;
  if (!tree.root().get(root)) {
    fail(fmt::format("the index is malformed ({}), expected one JSON object in UTF-8{}",
                     tree ? "another JSON value" : tree.message(),
                     looks_like(std::as_bytes(std::span(text)))));
  }
  if (!root.get("weight_map", map)) {
    fail("weight_map is missing or no object, expected {\"tensor\": \"shard file\", ...}");
  }
  WeightMap result;
  for (const auto [tensor, value] : map) {
    std::string_view shard;
    if (!value.get(shard) || !is_plain_file_name(shard)) {
      fail(fmt::format("weight_map gives tensor {} the shard {}, expected a plain file name",
                       in_quotes(tensor), detail::shortened(value)));
    }
    if (!result.emplace(tensor, shard).second) {
      fail(fmt::format("weight_map lists tensor {} twice, expected once", in_quotes(tensor)));
    }
  }
  if (result.empty()) fail("weight_map is empty, expected at least one tensor");
  return result;
}

/// The shards that `map` names, sorted, each opened.
std::vector<TensorFile> open_shards(const fs::path& index, const WeightMap& map) {
  std::vector<std::string_view> names;
  for (const auto& [tensor, shard] : map) names.push_back(shard);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());

  std::vector<TensorFile> files;
  for (const std::string_view name : names) {
    const fs::path path = index.parent_path() / name;
    if (!path_exists(path)) {
      throw Error(ErrorCode::not_found,
                  fmt::format("{}: shard {} does not exist, expected all {} shards of weight_map "
                              "beside the index",
                              index.string(), in_quotes(name), names.size()));
    }
    files.push_back(open_file(path));
  }
  return files;
}

void check_placement(const fs::path& index, const WeightMap& map,
                     std::span<const TensorFile> files) {
  for (const auto& [tensor, shard] : map) {
    const auto file = std::lower_bound(
        files.begin(), files.end(), shard,
        [](const TensorFile& f, const std::string& n) { return f.path().filename() < n; });
    if (file->find(tensor) != nullptr) continue;
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: tensor {} is not in shard {}, expected it there from weight_map",
                            index.string(), in_quotes(tensor), in_quotes(shard)));
  }
}

bool name_is_less(const StoredTensor* tensor, std::string_view name) {
  return tensor->name < name;
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& path) {
  Checkpoint result;
  result.path_ = locate(path);
  if (result.path_.extension() == ".json") {
    const WeightMap map = read_index(result.path_);
    result.files_ = open_shards(result.path_, map);
    check_placement(result.path_, map, result.files_);
  } else {
    result.files_.push_back(open_file(result.path_));
  }

  for (const TensorFile& file : result.files_) {
    for (const StoredTensor& tensor : file.tensors()) result.tensors_.push_back(&tensor);
  }
  std::sort(result.tensors_.begin(), result.tensors_.end(),
            [](const StoredTensor* a, const StoredTensor* b) { return a->name < b->name; });
  const auto twice = std::adjacent_find(
      result.tensors_.begin(), result.tensors_.end(),
      [](const StoredTensor* a, const StoredTensor* b) { return a->name == b->name; });
  if (twice != result.tensors_.end()) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: tensor {} is in two shards, expected it in one",
                            result.path_.string(), in_quotes((*twice)->name)));
  }
  return result;
}

void Checkpoint::merge(const std::string& prefix, const fs::path& path) {
  Checkpoint other = open(path);
  for (const StoredTensor* tensor : other.tensors_) {
    if (find(prefix + tensor->name) == nullptr) continue;
    throw Error(
        ErrorCode::corrupt_file,
        fmt::format("{}: tensor {} is already in {}, expected a new name", other.path_.string(),
                    in_quotes(prefix + tensor->name), path_.string()));
  }
  for (const StoredTensor* tensor : other.tensors_) {
    renamed_.push_back(*tensor);
    renamed_.back().name = prefix + tensor->name;
    tensors_.push_back(&renamed_.back());
  }
  for (TensorFile& file : other.files_) files_.push_back(std::move(file));
  std::sort(tensors_.begin(), tensors_.end(),
            [](const StoredTensor* a, const StoredTensor* b) { return a->name < b->name; });
}

const StoredTensor* Checkpoint::find(std::string_view name) const noexcept {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name, name_is_less);
  return at != tensors_.end() && (*at)->name == name ? *at : nullptr;
}

const fs::path& Checkpoint::path_of(std::string_view tensor) const noexcept {
  const StoredTensor* const found = find(tensor);
  if (found == nullptr) return path_;
  for (const TensorFile& file : files_) {
    for (const StoredTensor& each : file.tensors()) {
      if (each.data == found->data) return file.path();
    }
  }
  return path_;
}

const StoredTensor& Checkpoint::at(std::string_view name) const {
  const StoredTensor* tensor = find(name);
  if (tensor == nullptr) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no tensor {} among the {} of the checkpoint, expected it",
                            path_.string(), in_quotes(name), tensors_.size()));
  }
  return *tensor;
}

void Checkpoint::read(std::span<const std::byte> part, std::byte* to) const {
  const std::less<const std::byte*> is_before;
  const auto holds = [&](const TensorFile& file) {
    const std::span<const std::byte> bytes = file.file().bytes();
    return !is_before(part.data(), bytes.data()) &&
           is_before(part.data(), bytes.data() + bytes.size());
  };
  const auto own = std::find_if(own_.begin(), own_.end(), [&](const std::vector<std::byte>& all) {
    return !is_before(part.data(), all.data()) && is_before(part.data(), all.data() + all.size());
  });
  if (own != own_.end()) {
    std::copy(part.begin(), part.end(), to);
    return;
  }
  const auto file = std::find_if(files_.begin(), files_.end(), holds);
  (file != files_.end() ? *file : files_.front()).file().read(part, to);
}

std::vector<float> Checkpoint::values(const StoredTensor& tensor) const {
  const std::optional<DType> type = weight_type(tensor);
  if (!type) return {};
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  // Where the file has it, any alignment.
  std::vector<std::byte> stored(
      std::max(tensor.bytes, tensor.type == StoredType::ternary ? values.size() : 0));
  if (tensor.type == StoredType::ternary) {
    read_ternary(*this, tensor, 0, std::ssize(values),
                 reinterpret_cast<std::int8_t*>(stored.data()));
  } else {
    read({tensor.data, tensor.bytes}, stored.data());
  }
  if (*type == DType::s8) {
    const std::span<const float> scales = this->scales(tensor.name);
    const auto n = static_cast<Index>(values.size());
    widen_scaled(reinterpret_cast<const std::int8_t*>(stored.data()), scales,
                 n / std::ssize(scales), 0, n, values.data());
    multiply_columns(factors(tensor.name), 0, values);
    return values;
  }
  kernels::kernels_at(Isa::baseline)
      .widen(stored.data(), *type, values.data(), static_cast<Index>(values.size()));
  return values;
}

void Checkpoint::set_scales(const std::string& tensor, std::vector<float> scales) {
  scales_[tensor] = std::move(scales);
}

void Checkpoint::set_ternary(const std::string& tensor, std::vector<float> scales) {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), tensor, name_is_less);
  renamed_.push_back(**at);
  renamed_.back().type = StoredType::ternary;
  renamed_.back().shape.front() *= kTernaryRows;
  *at = &renamed_.back();
  set_scales(tensor, std::move(scales));
}

void Checkpoint::set_whole(const std::string& tensor, std::vector<std::byte> numbers,
                           std::vector<float> scales) {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), tensor, name_is_less);
  own_.push_back(std::move(numbers));
  renamed_.push_back(**at);
  renamed_.back().type = StoredType::i8;
  renamed_.back().data = own_.back().data();
  renamed_.back().bytes = own_.back().size();
  *at = &renamed_.back();
  set_scales(tensor, std::move(scales));
}

std::span<const float> Checkpoint::scales(std::string_view tensor) const noexcept {
  const auto found = scales_.find(tensor);
  if (found == scales_.end()) return {};
  return found->second;
}

void Checkpoint::set_factors(const std::string& tensor, std::vector<float> factors) {
  factors_[tensor] = std::move(factors);
}

std::span<const float> Checkpoint::factors(std::string_view tensor) const noexcept {
  const auto found = factors_.find(tensor);
  if (found == factors_.end()) return {};
  return found->second;
}

std::optional<DType> Checkpoint::weight_type(const StoredTensor& tensor) const noexcept {
  const bool is_whole = tensor.type == StoredType::i8 || tensor.type == StoredType::ternary;
  if (is_whole && !scales(tensor.name).empty()) return DType::s8;
  return weight_dtype(tensor.type);
}

void Checkpoint::check_unchanged() const {
  for (const TensorFile& file : files_) file.file().check_unchanged();
}

}  // namespace tessera
