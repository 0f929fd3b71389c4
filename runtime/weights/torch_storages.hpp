// SPDX-License-Identifier: Apache-2.0
// The two containers of PyTorch's checkpoints: the pickle of the dict, and the bytes of its storages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights/pickle.hpp"
#include "runtime/weights/stored_tensor.hpp"

namespace tessera {

struct TorchStorage {
  StoredType type = StoredType::u8;
  std::uint64_t elements = 0;
  std::span<const std::byte> data;  ///< in the file, unread, of elements · bits_of(type) / 8 bytes
};

struct TorchContent {
  Pickle pickle;                                      // of bytes in `copies`
  std::map<std::string_view, TorchStorage> storages;  // by key
  std::vector<std::vector<std::byte>> copies;         // of the file's parts that are no tensors

  /// The storage of a persistent value of `pickle`.
  const TorchStorage& storage(const Pickle::Value& persistent) const;
};

/// Both forms. `where` opens the messages; `file` must stay where it is.
/// Errors  corrupt_file, unsupported_model; those of FileBytes.
TorchContent read_torch_content(const FileBytes& file, const std::string& where);

/// Names of the functions that make tensors.
inline constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2",
                                  kRebuildParameter = "torch._utils._rebuild_parameter";

}  // namespace tessera
