// SPDX-License-Identifier: Apache-2.0
// The writer: header, then the bytes, in one replacement of the target.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/base/replaced_file.hpp"
#include "runtime/base/utf8.hpp"
#include "runtime/weights/safetensors.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using detail::in_quotes;
using detail::json_string;
using Metadata = std::map<std::string, std::string, std::less<>>;

constexpr std::size_t kAlignment =
    8;  // of the buffer in the file: the header is padded with spaces
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // what readers accept

[[noreturn]] void fail_argument(const fs::path& path, std::string_view problem) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: cannot write: {}", path.string(), problem));
}

/// Of a shape that check_tensor() has seen.
std::uint64_t bytes_of(const TensorToWrite& tensor) {
  auto bits = static_cast<std::uint64_t>(bits_of(tensor.type));
  for (const std::int64_t extent : tensor.shape) bits *= static_cast<std::uint64_t>(extent);
  return bits / 8;
}

void check_tensor(const fs::path& path, const TensorToWrite& tensor) {
  if (!is_utf8(tensor.name)) {
    fail_argument(path, fmt::format("tensor name {} is not UTF-8", in_quotes(tensor.name)));
  }
  if (tensor.name == "__metadata__") {
    fail_argument(path, "a tensor is named __metadata__, which the format reserves");
  }
  std::uint64_t bits = static_cast<std::uint64_t>(bits_of(tensor.type));
  for (const std::int64_t extent : tensor.shape) {
    const auto unsigned_extent = static_cast<std::uint64_t>(extent);
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (extent < 0 || (extent > 0 && bits > kMax / unsigned_extent)) {
      fail_argument(path, fmt::format("tensor {} has shape {}, expected extents >= 0 with a "
                                      "product below 2^63 bits",
                                      in_quotes(tensor.name), shape_to_string(tensor.shape)));
    }
    bits *= unsigned_extent;
  }
  const std::uint64_t given = tensor.make ? bits / 8 : tensor.data.size();
  if (bits % 8 != 0 || bits / 8 != given) {
    fail_argument(path, fmt::format("tensor {} has {} bytes of data, expected {} bits from {} {}",
                                    in_quotes(tensor.name), given, bits, to_string(tensor.type),
                                    shape_to_string(tensor.shape)));
  }
}

/// By falling element size, then by name; no name twice.
std::vector<const TensorToWrite*> in_file_order(const fs::path& path,
                                                std::span<const TensorToWrite> tensors) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) {
    check_tensor(path, tensor);
    order.push_back(&tensor);
  }
  const auto by_name = [](const TensorToWrite* a, const TensorToWrite* b) {
    return a->name < b->name;
  };
  std::sort(order.begin(), order.end(), by_name);
  const auto twice = std::adjacent_find(
      order.begin(), order.end(),
      [](const TensorToWrite* a, const TensorToWrite* b) { return a->name == b->name; });
  if (twice != order.end()) {
    fail_argument(path, fmt::format("two tensors are named {}", in_quotes((*twice)->name)));
  }
  std::stable_sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return bits_of(a->type) > bits_of(b->type);
  });
  return order;
}

/// Length and JSON, padded with spaces so that the buffer starts aligned.
std::string header_of(const fs::path& path, std::span<const TensorToWrite* const> order,
                      const Metadata& metadata) {
  std::vector<std::string> items;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata) {
      if (!is_utf8(key) || !is_utf8(value)) {
        fail_argument(path, fmt::format("metadata {} is not UTF-8", in_quotes(key)));
      }
      pairs.push_back(fmt::format("{}:{}", json_string(key), json_string(value)));
    }
    items.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
  }
  std::uint64_t begin = 0;
  for (const TensorToWrite* tensor : order) {
    const std::uint64_t end = begin + bytes_of(*tensor);
    items.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                json_string(tensor->name), to_string(tensor->type),
                                fmt::join(tensor->shape, ","), begin, end));
    begin = end;
  }
  std::string json = fmt::format("{{{}}}", fmt::join(items, ","));
  json.append((kAlignment - json.size() % kAlignment) % kAlignment, ' ');
  if (json.size() > kMaxHeaderBytes) {
    fail_argument(path, fmt::format("the header has {} bytes, expected at most {}", json.size(),
                                    kMaxHeaderBytes));
  }
  const auto length = static_cast<std::uint64_t>(json.size());
  std::string result(sizeof length, '\0');
  std::memcpy(result.data(), &length, sizeof length);  // little-endian, as x86
  return result + json;
}

}  // namespace

void write_safetensors(const fs::path& path, std::span<const TensorToWrite> tensors,
                       const Metadata& metadata) {
  const std::vector<const TensorToWrite*> order = in_file_order(path, tensors);
  const std::string header = header_of(path, order, metadata);
  ReplacedFile file(path);
  file.write(std::as_bytes(std::span(header)));
  for (const TensorToWrite* tensor : order) {
    if (!tensor->make) {
      file.write(tensor->data);
      continue;
    }
    const std::vector<std::byte> made = tensor->make();
    if (made.size() != bytes_of(*tensor)) {
      fail_argument(path, fmt::format("tensor {} was made of {} bytes, expected {}",
                                      in_quotes(tensor->name), made.size(), bytes_of(*tensor)));
    }
    file.write(made);
  }
  file.commit();
}

}  // namespace tessera
