// SPDX-License-Identifier: Apache-2.0
// Files of packed weights. The first byte says what the rest is: a whole file, or changes to a file that
// fits (where, of 16 bits; what, of 64), with the checksums of its header and of its block as they are
// or as the changed bytes want them. What is opened has the size and the key of the file that fits.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "kernels/kernel_table.hpp"
#include "runtime/weights/content_hash.hpp"
#include "runtime/weights/packed_cache.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/runtime/op_model.hpp"

namespace tessera::fuzz {
namespace {

// Places of the header, as packed_cache.cpp has them.
constexpr std::size_t kHeaderHash = 8, kBlockOffset = 32, kBlockHash = 48, kCheckpointHash = 56,
                      kHeaderEnd = 64;
constexpr std::size_t kBlockBytes = 320;
enum Change : unsigned { kMendsHeader = 1, kMendsBlock = 2, kIsWhole = 4 };

struct Fixture {
  test::OpModel model;
  std::shared_ptr<const Checkpoint> checkpoint = [this] {
    model.parameter("weight", ParameterKind::matrix, 3, 5);
    return model.checkpoint();
  }();
  std::string key =
      packing_key(model.program(), Isa::baseline, kernels::kernels_at(Isa::baseline), false);
  test::TemporaryDirectory directory;
  PackedCache cache{directory.path(), key, *checkpoint, kBlockBytes};
  std::string file = [this] {
    const std::string block(kBlockBytes, 'w');
    cache.store(std::as_bytes(std::span(block)));
    std::ifstream in(cache.file(), std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }();
};

Fixture& fixture() {
  static Fixture it;
  return it;
}

void put(std::string& file, std::size_t at, std::uint64_t value) {
  if (at + sizeof value <= file.size()) std::memcpy(file.data() + at, &value, sizeof value);
}

std::uint64_t hash_of(std::string_view bytes) {
  return content_hash(std::as_bytes(std::span(bytes)));
}

std::string changed(std::string file, unsigned what, std::string_view changes) {
  constexpr std::size_t kOne = sizeof(std::uint16_t) + sizeof(std::uint64_t);
  for (; changes.size() >= kOne; changes.remove_prefix(kOne)) {
    std::uint16_t at = 0;
    std::uint64_t value = 0;
    std::memcpy(&at, changes.data(), sizeof at);
    std::memcpy(&value, changes.data() + sizeof at, sizeof value);
    put(file, at % file.size(), value);
  }
  if (!changes.empty()) file.resize(file.size() - static_cast<unsigned char>(changes[0]));
  const std::size_t head = fixture().file.size() - kBlockBytes;  // as it is in the file that fits
  if ((what & kMendsBlock) != 0)
    put(file, kBlockHash, hash_of(std::string_view(file).substr(head)));
  if ((what & kMendsHeader) != 0) {
    put(file, kHeaderHash, 0);
    put(file, kHeaderHash, hash_of(std::string_view(file).substr(0, head)));
  }
  return file;
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  Fixture& with = fixture();
  const auto what = static_cast<unsigned char>(input[0]);
  const std::string file = (what & kIsWhole) != 0 ? std::string(input.substr(1))
                                                  : changed(with.file, what, input.substr(1));
  std::ofstream(with.cache.file(), std::ios::binary | std::ios::trunc) << file;
  const std::optional<MappedFile> opened = with.cache.open();
  if (!opened) return;
  const std::size_t offset = PackedCache::block_offset(*opened);
  require(offset + kBlockBytes == file.size() && file.size() == with.file.size(),
          "the block is the end of the file");
  require(std::string_view(file).substr(kHeaderEnd, with.key.size()) == with.key,
          "what is opened has the key");
  const bool has_block = file.substr(offset) == with.file.substr(offset);
  require(has_block || (what & kMendsBlock) != 0 ||
              file.substr(kBlockHash, 8) != with.file.substr(kBlockHash, 8),
          "a block has its checksum");
}

Seeds seeds() {
  const Fixture& with = fixture();
  const auto change = [](char what, std::uint16_t at, std::uint64_t value) {
    std::string out(1 + sizeof at + sizeof value, what);
    std::memcpy(out.data() + 1, &at, sizeof at);
    std::memcpy(out.data() + 1 + sizeof at, &value, sizeof value);
    return out;
  };
  const auto block = static_cast<std::uint16_t>(with.file.size() - kBlockBytes);
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 62;
  return {{"whole", "4" + with.file.substr(0, 8000)},
          {"same", "1"},
          {"offset", change('1', kBlockOffset, kHuge)},
          {"bytes", change('1', kBlockOffset + 8, kHuge)},
          {"key", change('1', 16, kHuge)},
          {"files", change('1', 24, kHuge)},
          {"key-text", change('1', kHeaderEnd + 3, 0)},
          {"stamp", change('1', static_cast<std::uint16_t>(kHeaderEnd + with.key.size()), 1)},
          {"checkpoint", change('1', kCheckpointHash, 1)},
          {"block", change('3', block, 7)},
          {"block-hash", change('1', block, 7)}};
}

}  // namespace tessera::fuzz
