// SPDX-License-Identifier: Apache-2.0
// A pickle's dict -> tensors: which dict, then each tensor's storage, offset, size and stride.
#include "runtime/weights/torch_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/torch_storages.hpp"

namespace tessera {
namespace {

using detail::in_quotes;
using Kind = Pickle::Kind;
using Value = Pickle::Value;

constexpr std::array<std::string_view, 3> kWrappers{"state_dict", "model", "model_state_dict"};

/// Where a tensor's elements lie in its storage; extents of 1 are left out.
struct View {
  const std::byte* storage = nullptr;
  std::uint64_t element_bytes = 0, offset = 0;
  std::vector<std::uint64_t> size, stride;

  bool is_row_major() const {
    std::uint64_t expected = 1;
    for (std::size_t k = size.size(); k-- > 0;) {
      if (stride[k] != expected) return false;
      expected *= size[k];
    }
    return true;
  }
  // NOLINTNEXTLINE(modernize-use-nullptr): false, there is no 0 but the compiler's
  friend auto operator<=>(const View&, const View&) = default;
};

/// y = the elements of `view`, row by row, read from `file`. No extent is 0.
void copy_rows(const View& view, const MappedFile& file, std::span<std::byte> y) {
  const std::size_t e = view.element_bytes;
  std::uint64_t reach = 1;  // elements from the first to the last
  for (std::size_t k = 0; k < view.size.size(); ++k) reach += (view.size[k] - 1) * view.stride[k];
  const std::byte* const first = view.storage + view.offset * e;
  // All at once, but where a few elements lie so far apart that many such would take for ever.
  const bool is_sparse = reach > 64 * (y.size() / e);
  std::vector<std::byte> stored(is_sparse ? 0 : reach * e);
  file.read({first, stored.size()}, stored.data());
  std::vector<std::uint64_t> index(view.size.size());
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < y.size(); i += e) {
    if (is_sparse) {
      file.read({first + at * e, e}, y.data() + i);
    } else {
      std::memcpy(y.data() + i, stored.data() + at * e, e);
    }
    for (std::size_t k = index.size(); k-- > 0;) {  // the next index, counted from the right
      at += view.stride[k];
      if (++index[k] < view.size[k]) break;
      at -= view.stride[k] * view.size[k];
      index[k] = 0;
    }
  }
}

class TensorReader {
 public:
  TensorReader(const TorchContent& content, const std::string& where)
      : content_(content), pickle_(content.pickle), where_(where) {}

  /// The dict whose values are tensors.
  std::span<const Value> state_dict() const;
  bool is_tensor(const Value& value) const;
  StoredTensor tensor(std::string_view name, const Value& value, View& view) const;
  [[noreturn]] void fail(std::string_view problem, ErrorCode code = ErrorCode::corrupt_file) const {
    throw Error(code, fmt::format("{}: {}", where_, problem));
  }
  [[noreturn]] void fail(std::string_view tensor, std::string_view problem,
                         ErrorCode code = ErrorCode::corrupt_file) const {
    fail(fmt::format("tensor {}: {}", in_quotes(tensor), problem), code);
  }

 private:
  bool has_tensor(std::span<const Value> dict) const;
  Pickle::Object rebuild(std::string_view name, const Value& value) const;
  std::vector<std::int64_t> extents(std::string_view name, const char* what,
                                    const Value& value) const;

  const TorchContent& content_;
  const Pickle& pickle_;
  const std::string& where_;
};

bool TensorReader::is_tensor(const Value& value) const {
  if (value.kind != Kind::object) return false;
  const std::string_view callable = pickle_.object(value).callable;
  return callable == kRebuildTensor || callable == kRebuildParameter;
}

bool TensorReader::has_tensor(std::span<const Value> dict) const {
  for (std::size_t i = 1; i < dict.size(); i += 2) {
    if (is_tensor(dict[i])) return true;
  }
  return false;
}

std::span<const Value> TensorReader::state_dict() const {
  const Value& root = pickle_.root();
  if (root.kind != Kind::dict) {
    fail(fmt::format("it holds {}, expected a dict of tensors by name", pickle_.describe(root)));
  }
  const std::span<const Value> top = pickle_.dict(root);
  if (has_tensor(top)) return top;

  std::vector<std::size_t> wrapped;
  for (std::size_t i = 0; i < top.size(); i += 2) {
    const bool is_wrapper =
        top[i].kind == Kind::text && top[i + 1].kind == Kind::dict &&
        std::find(kWrappers.begin(), kWrappers.end(), pickle_.text(top[i])) != kWrappers.end();
    if (is_wrapper) wrapped.push_back(i + 1);
  }
  if (wrapped.size() != 1 || !has_tensor(pickle_.dict(top[wrapped[0]]))) {
    fail(
        fmt::format("its dict of {} entries holds no tensor, and {} dicts called {}, expected "
                    "tensors, or one such dict of tensors",
                    top.size() / 2, wrapped.size(), fmt::join(kWrappers, ", ")));
  }
  return pickle_.dict(top[wrapped[0]]);
}

/// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]), by itself or
/// as the first argument of _rebuild_parameter(data, requires_grad, hooks).
Pickle::Object TensorReader::rebuild(std::string_view name, const Value& value) const {
  Pickle::Object made = pickle_.object(value);
  if (made.callable == kRebuildParameter) {
    if (made.arguments.size() != 3 || made.arguments[0].kind != Kind::object) {
      fail(name, fmt::format("{} has {} arguments, expected a tensor, requires_grad and hooks",
                             made.callable, made.arguments.size()));
    }
    made = pickle_.object(made.arguments[0]);
  }
  const auto& a = made.arguments;
  if (made.callable != kRebuildTensor || a.size() < 6 || a.size() > 7 ||
      a[0].kind != Kind::persistent || a[1].kind != Kind::integer) {
    fail(name, fmt::format("it is made by {} of {} arguments, expected {} of a storage, an offset, "
                           "sizes, strides, requires_grad and hooks",
                           made.callable, a.size(), kRebuildTensor));
  }
  const bool has_metadata = a.size() == 7 && a[6].kind != Kind::none &&
                            !(a[6].kind == Kind::dict && pickle_.dict(a[6]).empty());
  if (has_metadata) {  // a conjugate or negative view
    fail(name, fmt::format("its metadata are {}, expected none", pickle_.describe(a[6])),
         ErrorCode::unsupported_model);
  }
  return made;
}

std::vector<std::int64_t> TensorReader::extents(std::string_view name, const char* what,
                                                const Value& value) const {
  constexpr std::size_t kMaxDimensions = 64;  // of PyTorch
  if (value.kind != Kind::tuple || value.size > kMaxDimensions) {
    fail(name, fmt::format("its {} is {}, expected a tuple of at most {}", what,
                           pickle_.describe(value), kMaxDimensions));
  }
  std::vector<std::int64_t> result;
  for (const Value& extent : pickle_.tuple(value)) {
    if (extent.kind != Kind::integer || pickle_.integer(extent) < 0) {
      fail(name, fmt::format("its {} has {}, expected integers from 0 to 2^63-1", what,
                             pickle_.describe(extent)));
    }
    result.push_back(pickle_.integer(extent));
  }
  return result;
}

/// The tensor with its place in the storage as data; `view` says whether it lies there row-major.
StoredTensor TensorReader::tensor(std::string_view name, const Value& value, View& view) const {
  const Pickle::Object made = rebuild(name, value);
  const TorchStorage& storage = content_.storage(made.arguments[0]);
  const std::int64_t offset = pickle_.integer(made.arguments[1]);
  StoredTensor result{.name = std::string(name),
                      .type = storage.type,
                      .shape = extents(name, "size", made.arguments[2]),
                      .data = nullptr,
                      .bytes = 0};
  const std::vector<std::int64_t> strides = extents(name, "stride", made.arguments[3]);
  const auto outside = [&] {
    fail(name, fmt::format("size {}, stride {} and offset {} lead out of its storage, expected {} "
                           "elements at most",
                           shape_to_string(result.shape), shape_to_string(strides), offset,
                           storage.elements));
  };
  if (strides.size() != result.shape.size()) {
    fail(name, fmt::format("size {} and stride {} differ in length, expected a stride for each "
                           "extent",
                           shape_to_string(result.shape), shape_to_string(strides)));
  }
  if (offset < 0 || static_cast<std::uint64_t>(offset) > storage.elements) outside();
  const auto bits = bits_without_zeros(result.type, result.shape);
  if (!bits) {
    fail(name, fmt::format("size {} of {} is larger than any memory, expected a product below 2^63 "
                           "bits",
                           shape_to_string(result.shape), to_string(result.type)));
  }
  view = {.storage = storage.data.data(),
          .element_bytes = static_cast<std::uint64_t>(bits_of(result.type)) / 8,
          .offset = static_cast<std::uint64_t>(offset),
          .size = {},
          .stride = {}};
  result.data = view.storage + view.offset * view.element_bytes;
  if (std::find(result.shape.begin(), result.shape.end(), 0) != result.shape.end()) return result;

  std::uint64_t room = storage.elements - view.offset;  // elements from the first one on
  if (room-- == 0) outside();
  for (std::size_t k = 0; k < strides.size(); ++k) {  // room -= (size - 1) * stride
    const auto size = static_cast<std::uint64_t>(result.shape[k]),
               stride = static_cast<std::uint64_t>(strides[k]);
    if (size == 1) continue;
    if (stride > room / (size - 1)) outside();
    room -= (size - 1) * stride;
    view.size.push_back(size);
    view.stride.push_back(stride);
  }
  result.bytes = static_cast<std::size_t>(*bits / 8);
  return result;
}

}  // namespace

TorchFile TorchFile::open(const std::filesystem::path& path) {
  TorchFile result(path, MappedFile::open(path));
  const std::string where = path.string();
  const TorchContent content = read_torch_content(result.file(), where);
  const TensorReader reader(content, where);
  const std::span<const Value> dict = reader.state_dict();

  std::vector<StoredTensor> tensors;
  std::map<View, const std::byte*> copies;  // tied weights are one copy
  std::size_t left = result.file().bytes().size();
  for (std::size_t i = 0; i < dict.size(); i += 2) {
    if (!reader.is_tensor(dict[i + 1])) continue;
    if (dict[i].kind != Kind::text) {
      reader.fail(
          fmt::format("a tensor's name is {}, expected a text", content.pickle.describe(dict[i])));
    }
    const std::string_view name = content.pickle.text(dict[i]);
    View view;
    StoredTensor tensor = reader.tensor(name, dict[i + 1], view);
    if (tensor.bytes != 0 && !view.is_row_major()) {
      const std::size_t bytes = tensor.bytes;
      auto& copy = copies[view];
      if (copy == nullptr) {
        if (bytes > left) {
          reader.fail(name,
                      fmt::format("it lies in strides, and its rows take {} bytes, expected at "
                                  "most the {} that remain of the file's size",
                                  bytes, left),
                      ErrorCode::unsupported_model);
        }
        left -= bytes;
        const std::span<std::byte> rows = result.own(bytes);
        copy_rows(view, result.file(), rows);
        copy = rows.data();
      }
      tensor.data = copy;
    }
    tensors.push_back(std::move(tensor));
  }
  if (const auto twice = result.set_tensors(std::move(tensors))) {
    reader.fail(*twice, "the name occurs twice, expected unique names");
  }
  return result;
}

}  // namespace tessera
