// SPDX-License-Identifier: Apache-2.0
// Packed weights in a file, so that a second start maps them instead of packing, and processes on
// one machine share their pages.
//
//   file = PackedHeader · key (text) · stamps (one per checkpoint file) · zeros to a whole page ·
//          block
//
// A file is used only if all of this holds; else it is replaced, with a line in the log that says
// why:
//   its size, offsets and counts agree, and its header and its block have their checksums
//   its key is the same text: library version, ISA level, tile, every parameter and its sources
//   its checkpoint is the same: either every file of it has the stamp (device, inode, size, mtime,
//     ctime) that it had when it was packed, or the hash of all its bytes is the same
// A stamp taken within a second of the file's last change proves nothing and is not used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/program/program.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {

/// Everything that decides the bytes of the block but the checkpoint's data.
std::string packing_key(const Program& program, Isa isa, const kernels::KernelTable& kernels,
                        bool copy_tables);

class PackedCache {
 public:
  /// The file's name is a hash of the key, of the checkpoint's sizes, and of a sample of its bytes.
  PackedCache(std::filesystem::path directory, std::string key, const Checkpoint& checkpoint,
              std::size_t block_bytes);

  const std::filesystem::path& file() const noexcept { return file_; }

  /// The file, mapped and checked; empty where there is none that fits. Never throws for what is in
  /// the file.
  std::optional<MappedFile> open() const;
  /// Where the block begins in a file that open() returned; a multiple of 4096.
  static std::size_t block_offset(const MappedFile& file) noexcept;

  /// Writes the file in one step, making the folder. What the system refuses is a warning in the
  /// log, and no file.
  void store(std::span<const std::byte> block) const;

 private:
  void check(const MappedFile& file) const;
  std::uint64_t checkpoint_hash() const;

  std::string key_;
  const Checkpoint& checkpoint_;
  std::size_t block_bytes_;
  std::int64_t opened_ns_;  // no byte of the checkpoint was read for packing before
  std::vector<FileStamp> stamps_;
  std::filesystem::path directory_, file_;
};

}  // namespace tessera
