// SPDX-License-Identifier: Apache-2.0
// The one writer of PyTorch's checkpoints for tests: pickles piece by piece, and zip files of them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/weights/stored_tensor.hpp"
#include "runtime/weights/stored_zip.hpp"

namespace tessera::test {

template <class T>
std::string bytes_of(T value) {
  std::string result(sizeof value, '\0');
  std::memcpy(result.data(), &value, sizeof value);
  return result;
}

/// A zip file of stored members, in their order.
struct ZipBuilder {
  std::uint16_t flags = 0, method = 0;
  std::string file, directory;
  std::uint16_t members = 0;

  void add(std::string_view name, std::string_view data) {
    const std::uint32_t crc = zip_crc(std::as_bytes(std::span(data)));
    const std::string common = bytes_of(flags) + bytes_of(method) + bytes_of(0) + bytes_of(crc) +
                               bytes_of(static_cast<std::uint32_t>(data.size())) +
                               bytes_of(static_cast<std::uint32_t>(data.size())) +
                               bytes_of(static_cast<std::uint16_t>(name.size())) +
                               bytes_of(std::uint16_t{0});
    directory += std::string("PK\x01\x02") + bytes_of(std::uint32_t{0x00140014}) + common +
                 std::string(10, '\0') + bytes_of(static_cast<std::uint32_t>(file.size())) +
                 std::string(name);
    file += std::string("PK\x03\x04") + bytes_of(std::uint16_t{20}) + common + std::string(name);
    file += data;
    ++members;
  }
  std::string str() const {
    return file + directory + "PK\x05\x06" + std::string(4, '\0') + bytes_of(members) +
           bytes_of(members) + bytes_of(static_cast<std::uint32_t>(directory.size())) +
           bytes_of(static_cast<std::uint32_t>(file.size())) + std::string(2, '\0');
  }
};

// Pieces of a pickle of protocol 2.
inline std::string p_text(std::string_view text) {
  return std::string("X") + bytes_of(static_cast<std::uint32_t>(text.size())) + std::string(text);
}
inline std::string p_int(std::int64_t value) {
  return std::string("\x8A\x08") + bytes_of(value);
}
inline std::string p_global(const std::string& module, const std::string& name) {
  return std::string("c") + module + "\n" + name + "\n";
}
inline std::string p_tuple(std::initializer_list<std::string> items) {
  std::string text = "(";
  for (const std::string& item : items) text += item;
  return text + "t";
}
inline std::string p_ints(std::span<const std::int64_t> values) {
  std::string text = "(";
  for (const std::int64_t value : values) text += p_int(value);
  return text + "t";
}
inline std::string p_ints(std::initializer_list<std::int64_t> values) {
  return p_ints(std::span(values.begin(), values.size()));
}
inline std::string p_dict(std::initializer_list<std::pair<std::string, std::string>> entries) {
  std::string text = "}(";
  for (const auto& [name, value] : entries) text += p_text(name) + value;
  return text + "u";
}
inline std::string p_storage(const std::string& key, std::int64_t elements,
                             const std::string& type = "Float") {
  return p_tuple({p_text("storage"), p_global("torch", type + "Storage"), p_text(key),
                  p_text("cpu"), p_int(elements)}) +
         "Q";
}
inline std::string p_tensor(const std::string& storage, std::int64_t offset,
                            const std::string& sizes, const std::string& strides) {
  return p_global("torch._utils", "_rebuild_tensor_v2") +
         p_tuple({storage, p_int(offset), sizes, strides, "\x89", "}"}) + "R";
}
inline std::string pickle_of(const std::string& value) {
  return std::string("\x80\x02") + value + ".";
}

/// "archive/data.pkl" of `value`, and the storages "0", "1", …
inline std::string torch_zip(const std::string& value, const std::vector<std::string>& storages) {
  ZipBuilder zip;
  zip.add("archive/data.pkl", pickle_of(value));
  for (std::size_t i = 0; i < storages.size(); ++i) {
    zip.add(fmt::format("archive/data/{}", i), storages[i]);
  }
  zip.add("archive/version", "3\n");
  return zip.str();
}

/// The tensors as torch.save writes a state dict of them. With `transposed`, those of two dimensions
/// are stored column by column and saved as a view.
inline void write_torch(const std::filesystem::path& file,
                        std::span<const StoredTensor* const> tensors, bool transposed = false) {
  const auto storage_class = [](StoredType type) {
    switch (type) {
      case StoredType::f16:
        return "Half";
      case StoredType::bf16:
        return "BFloat16";
      case StoredType::i64:
        return "Long";
      default:
        return "Float";
    }
  };
  std::string dict = "}";
  std::vector<std::string> storages;
  for (const StoredTensor* t : tensors) {
    std::string data(reinterpret_cast<const char*>(t->data), t->bytes);
    std::vector<std::int64_t> strides(t->shape.size(), 1);
    for (std::size_t k = strides.size(); k-- > 1;) strides[k - 1] = strides[k] * t->shape[k];
    if (transposed && t->shape.size() == 2) {
      const auto rows = static_cast<std::size_t>(t->shape[0]),
                 cols = static_cast<std::size_t>(t->shape[1]), e = t->bytes / rows / cols;
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < cols; ++j) {
          std::memcpy(data.data() + (j * rows + i) * e, t->data + (i * cols + j) * e, e);
        }
      }
      strides = {1, t->shape[0]};
    }
    dict +=
        p_text(t->name) +
        p_tensor(p_storage(std::to_string(storages.size()), t->elements(), storage_class(t->type)),
                 0, p_ints(t->shape), p_ints(strides)) +
        "s";
    storages.push_back(std::move(data));
  }
  const std::string text = torch_zip(dict, storages);
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary)
      .write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace tessera::test
