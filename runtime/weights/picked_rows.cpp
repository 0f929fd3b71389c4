// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/picked_rows.hpp"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

bool is_number(StoredType type) noexcept {
  return type == StoredType::i8 || type == StoredType::f64;
}

template <class Stored>
void convert(const std::byte* from, float* to, Index n) {
  for (Index i = 0; i < n; ++i) {
    Stored value;
    std::memcpy(&value, from + i * static_cast<Index>(sizeof value), sizeof value);
    to[i] = static_cast<float>(value);
  }
}

/// A tensor of a known number of elements, as f32.
class Numbers {
 public:
  Numbers(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
          const std::string& name, Index elements)
      : checkpoint_(checkpoint), kernels_(kernels), tensor_(checkpoint.at(name)) {
    if (!weight_dtype(tensor_.type) && !is_number(tensor_.type)) {
      throw Error(
          ErrorCode::unsupported_model,
          fmt::format("{}: tensor \"{}\" is stored as {}, expected F64, F32, F16, BF16 or I8",
                      checkpoint.path_of(name).string(), name, to_string(tensor_.type)));
    }
    if (tensor_.elements() != elements) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: tensor \"{}\" has shape {} ({} elements), expected {} elements",
                              checkpoint.path_of(name).string(), name,
                              shape_to_string(tensor_.shape), tensor_.elements(), elements));
    }
  }

  /// Elements [begin, begin + n).
  void read(Index begin, Index n, float* to) {
    const Index size = bits_of(tensor_.type) / 8;
    stored_.resize(static_cast<std::size_t>(n * size));
    checkpoint_.read({tensor_.data + begin * size, stored_.size()}, stored_.data());
    if (tensor_.type == StoredType::i8) return convert<std::int8_t>(stored_.data(), to, n);
    if (tensor_.type == StoredType::f64) return convert<double>(stored_.data(), to, n);
    kernels_.widen(stored_.data(), *weight_dtype(tensor_.type), to, n);
  }

 private:
  const Checkpoint& checkpoint_;
  const kernels::KernelTable& kernels_;
  const StoredTensor& tensor_;
  std::vector<std::byte> stored_;
};

}  // namespace

bool is_picked(const Checkpoint& checkpoint, const Parameter& parameter) {
  if (parameter.kind != ParameterKind::table || parameter.sources.size() != 1) return false;
  const StoredTensor* const tensor = checkpoint.find(parameter.sources.front().tensor);
  return !parameter.gather.empty() || !parameter.row_scale.empty() ||
         (tensor != nullptr && is_number(tensor->type) && checkpoint.scales(tensor->name).empty());
}

void pick_rows(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
               const Parameter& parameter, float* to) {
  const Source& source = parameter.sources.front();
  const Index cols = parameter.cols;
  Numbers table(checkpoint, kernels, source.tensor, source.rows * cols);
  std::vector<float> scale;
  if (!parameter.row_scale.empty()) {
    scale.resize(static_cast<std::size_t>(parameter.rows));
    Numbers(checkpoint, kernels, parameter.row_scale, parameter.rows)
        .read(0, parameter.rows, scale.data());
  }
  for (Index n = 0; n < parameter.rows; ++n, to += cols) {
    const auto i = static_cast<std::size_t>(n);
    table.read((parameter.gather.empty() ? n : parameter.gather[i]) * cols, cols, to);
    if (scale.empty()) continue;
    for (Index k = 0; k < cols; ++k) to[k] *= scale[i];
  }
}

}  // namespace tessera
