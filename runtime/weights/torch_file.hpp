// SPDX-License-Identifier: Apache-2.0
// Checkpoints of PyTorch (pytorch_model.bin, *.pt, *.pth), read as data: no code of a file is ever run.
//
//   since 1.6   a zip file of stored members (stored_zip.hpp):
//                 P/data.pkl   the pickle of a dict: name -> tensor
//                 P/data/KEY   the bytes of a storage, little-endian
//                 P/byteorder  "little", where it is there
//   before      four pickles, one after another: a magic number, the protocol's version (1001), facts
//               of the machine, the dict; then a pickle of the list of the storages' keys; then for
//               each key the number of elements (i64) and the elements, little-endian
//
//   tensor    = _rebuild_tensor_v2(storage, offset, size, stride, …), perhaps in _rebuild_parameter()
//   storage   = persistent id ("storage", torch.FloatStorage, KEY, "cpu", elements[, None])
//   element i₀ … iₙ of a tensor is element offset + Σ iₖ·strideₖ of its storage
//
// Tensors that lie row-major in their storage are read in place; two may be the same bytes (tied
// weights). Those with other strides (a transposed view) are copied row by row when the file is
// opened; copies of one file take no more bytes than the file has, so that a few bytes that are
// expanded by a stride of 0 cannot become a memory of any size.
//
// Of a file that wraps its weights ({"state_dict": {…}, "epoch": 3}), the dict called state_dict,
// model or model_state_dict is read; values that are no tensors are left out.
// Format: torch/serialization.py, torch/_utils.py.
#pragma once

#include <filesystem>
#include <utility>

#include "runtime/weights/stored_tensor.hpp"

namespace tessera {

/// One checkpoint file of PyTorch, mapped.
///
/// Errors    open(): not_found; io_error; invalid_argument (a directory); corrupt_file;
///           unsupported_model for what is refused by its name: globals and operations of the pickle
///           that no state dict needs, TorchScript, compressed zip files, big-endian files.
class TorchFile : public TensorFile {  // nothing of its own: may be moved into a TensorFile
 public:
  static TorchFile open(const std::filesystem::path& path);

 private:
  TorchFile(std::filesystem::path path, MappedFile file)
      : TensorFile(std::move(path), std::move(file)) {}
};

}  // namespace tessera
