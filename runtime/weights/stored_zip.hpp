// SPDX-License-Identifier: Apache-2.0
// Zip files as torch.save writes them since PyTorch 1.6: members that are stored, never compressed,
// so that they are used where they are mapped, and no small file can become a large one. What the
// reader itself looks at it copies (FileBytes): a file may be cut meanwhile.
//
//   file    = (local header · name · extra · data [· descriptor])* · central directory
//             [· zip64 end record · its locator] · end record
//   central = (header · name · extra · comment)*, one a member: sizes, and where its local header is
//
// The reader refuses what contradicts itself: the end record is the file's last 22 bytes, central
// directory and end records lie against each other, local headers agree with the central directory,
// members do not overlap, names are unique. Nothing is ever unpacked to a path, so names are only names.
// Format: PKWARE, APPNOTE.TXT 6.3.9; PyTorch, caffe2/serialize/inline_container.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/weights/mapped_file.hpp"

namespace tessera {

struct ZipMember {
  std::string name;
  std::span<const std::byte> data;  ///< in the file; begin not null
  std::uint32_t crc = 0;            ///< as the central directory has it, unchecked
};

/// The members of the zip file `file`, sorted by name. `where` opens the messages.
/// Errors  corrupt_file; unsupported_model for compression and encryption; those of FileBytes.
std::vector<ZipMember> read_stored_zip(const FileBytes& file, const std::string& where);

/// CRC-32 of zip files.
std::uint32_t zip_crc(std::span<const std::byte> bytes) noexcept;

}  // namespace tessera
