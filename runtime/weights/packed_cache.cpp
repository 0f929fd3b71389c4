// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/packed_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/base/replaced_file.hpp"
#include "runtime/base/version.hpp"
#include "runtime/weights/content_hash.hpp"

namespace tessera {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::array<char, 8> kMagic{'T', 'S', 'R', 'P', 'A', 'C', 'K', '1'};

/// Little-endian, as x86 has it.
struct PackedHeader {
  std::array<char, 8> magic = kMagic;
  std::uint64_t header_hash = 0;  ///< of [0, block_offset) with this field 0
  std::uint64_t key_bytes = 0, files = 0;
  std::uint64_t block_offset = 0, block_bytes = 0, block_hash = 0;
  std::uint64_t checkpoint_hash = 0;
};

/// A FileStamp, and whether it proves anything.
struct StoredStamp {
  FileStamp stamp;
  std::uint64_t is_proof = 0;
};

static_assert(sizeof(PackedHeader) == 64 && sizeof(StoredStamp) == 48);

std::int64_t now_ns() {
  return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class T>
T load(std::span<const std::byte> bytes, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text));
}

std::size_t whole_pages(std::size_t bytes) noexcept {
  return (bytes + kPage - 1) / kPage * kPage;
}

/// Of `part` of a file, which is read, not touched (MappedFile::read()).
std::uint64_t hash_of(const MappedFile& file, std::span<const std::byte> part) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  std::vector<std::byte> piece(std::min(part.size(), kPiece));
  ContentHash hash;
  while (!part.empty()) {
    const std::size_t bytes = std::min(part.size(), kPiece);
    file.read(part.first(bytes), piece.data());
    hash.update({piece.data(), bytes});
    part = part.subspan(bytes);
  }
  return hash.value();
}

/// 64 bytes at 256 places of each file: what tells checkpoints of one shape apart in names.
std::uint64_t sample_hash(const Checkpoint& checkpoint) {
  constexpr std::size_t kPlaces = 256, kBytes = 64;
  ContentHash hash;
  for (const TensorFile& file : checkpoint.files()) {
    const std::span<const std::byte> bytes = file.file().bytes();
    std::vector<std::byte> samples(kPlaces * kBytes);
    if (bytes.size() < samples.size()) {
      samples.resize(bytes.size() / kBytes * kBytes);
      file.file().read(bytes.first(samples.size()), samples.data());
    } else {
      for (std::size_t i = 0; i < kPlaces; ++i) {
        file.file().read(bytes.subspan((bytes.size() - kBytes) / (kPlaces - 1) * i, kBytes),
                         samples.data() + i * kBytes);
      }
    }
    hash.update(samples);
  }
  return hash.value();
}

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(ErrorCode::corrupt_file, problem);
}

}  // namespace

std::string packing_key(const Program& program, Isa isa, const kernels::KernelTable& kernels,
                        bool copy_tables) {
  std::string key = fmt::format("tessera {}\nisa {}\ntables {}\n", library_version(),
                                to_string(isa), copy_tables ? "copied" : "mapped");
  for (const Precision precision : kPrecisions) {
    const kernels::Gemm& gemm = kernels.gemm[precision];
    key += fmt::format("{} NR {} KR {}\n", to_string(precision), gemm.NR, gemm.KR);
  }
  for (const Parameter& p : program.parameters) {
    key += fmt::format("{} kind {} {}x{} {} scale {} gather {:016x}\n", p.name,
                       static_cast<int>(p.kind), p.rows, p.cols, to_string(p.precision),
                       p.row_scale, content_hash(std::as_bytes(std::span(p.gather))));
    if (p.offset != 0.0F) key += fmt::format("  plus {}\n", p.offset);
    if (p.transposed) key += "  transposed\n";
    if (p.repeats > 0) key += fmt::format("  exp of each, {} times\n", p.repeats);
    if (const WindowBias& w = p.window; w.n > 0) {
      key += fmt::format("  window {} shift {} {} {} hidden {} trained {}\n", w.n, w.shift,
                         w.weight, w.bias, w.hidden, w.trained);
    }
    const auto name_of = [&](std::int32_t id) { return program.parameters[at(id)].name; };
    if (p.input_factors >= 0) key += fmt::format("  divided by {}\n", name_of(p.input_factors));
    for (const InputFactors::Norm& norm : p.made_of.norms) {
      key += fmt::format("  of norm {} {}\n", name_of(norm.gamma), name_of(norm.beta));
    }
    for (const std::int32_t id : p.made_of.matrices) key += fmt::format("  of {}\n", name_of(id));
    if (p.clips) key += "  clipped\n";
    if (p.taps != 1) key += fmt::format("  {} taps\n", p.taps);
    if (p.adds_input) key += "  adds its input\n";
    if (const BatchNorm& norm = p.batch_norm; !norm.gamma.empty()) {
      key += fmt::format("  batch norm {} {} {} {} {} {} {}\n", norm.gamma, norm.beta, norm.mean,
                         norm.variance, norm.eps, norm.comes_first, norm.weight);
    }
    if (p.kind == ParameterKind::distances) {
      const Projection& by = p.projection;
      key += fmt::format("  {} {} {} {} eps {:a} width {} heads {}\n", by.weight, by.bias, by.gamma,
                         by.beta, by.eps, by.width, by.heads);
    }
    const auto add = [&key](const char* sign, const Source& s) {
      key += fmt::format("  {}{} rows {} from {} of {}\n", sign, s.tensor, s.rows, s.first_row,
                         s.tensor_rows);
    };
    for (const Source& s : p.sources) add("", s);
    if (p.minus.rows > 0) add("minus ", p.minus);
  }
  return key;
}

PackedCache::PackedCache(std::filesystem::path directory, std::string key,
                         const Checkpoint& checkpoint, std::size_t block_bytes)
    : key_(std::move(key)),
      checkpoint_(checkpoint),
      block_bytes_(block_bytes),
      opened_ns_(now_ns()),
      directory_(std::move(directory)) {
  std::string name = key_;
  for (const TensorFile& file : checkpoint.files()) {
    stamps_.push_back(file.file().stamp());
    name += fmt::format("{} bytes\n", file.file().bytes().size());
  }
  file_ = directory_ / fmt::format("{:016x}-{:016x}.packed", content_hash(as_bytes(name)),
                                   sample_hash(checkpoint));
}

std::uint64_t PackedCache::checkpoint_hash() const {
  ContentHash all;
  for (const TensorFile& file : checkpoint_.files()) {
    std::array<std::byte, 64> padded{};
    const std::uint64_t value = hash_of(file.file(), file.file().bytes());
    std::memcpy(padded.data(), &value, sizeof value);
    all.update(padded);
  }
  return all.value();
}

std::size_t PackedCache::block_offset(const MappedFile& file) noexcept {
  return load<PackedHeader>(file.bytes(), 0).block_offset;
}

/// Throws Error with what does not hold, cheapest first.
void PackedCache::check(const MappedFile& file) const {
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() < sizeof(PackedHeader)) refuse(fmt::format("it has {} bytes", bytes.size()));
  PackedHeader header;
  file.read(bytes.first(sizeof header), reinterpret_cast<std::byte*>(&header));
  if (header.magic != kMagic) refuse("it is no file of packed weights of this format");
  const std::size_t head =
      whole_pages(sizeof header + key_.size() + stamps_.size() * sizeof(StoredStamp));
  if (header.key_bytes != key_.size() || header.files != stamps_.size() ||
      header.block_bytes != block_bytes_ || header.block_offset != head) {
    refuse("it was made for another model, ISA level or version");
  }
  if (bytes.size() != head + block_bytes_) {
    refuse(fmt::format("it has {} bytes, expected {}", bytes.size(), head + block_bytes_));
  }
  std::vector<std::byte> copy(head);
  file.read(bytes.first(head), copy.data());
  const std::uint64_t stored = std::exchange(header.header_hash, 0);
  std::memcpy(copy.data(), &header, sizeof header);
  if (content_hash(copy) != stored) refuse("its header does not have its checksum");
  if (std::memcmp(copy.data() + sizeof header, key_.data(), key_.size()) != 0) {
    refuse("it was made for another model, ISA level or version");
  }
  bool is_proven = true;
  for (std::size_t i = 0; i < stamps_.size(); ++i) {
    const auto was = load<StoredStamp>(copy, sizeof header + key_.size() + i * sizeof(StoredStamp));
    is_proven = is_proven && was.is_proof == 1 && was.stamp == stamps_[i];
  }
  if (!is_proven && checkpoint_hash() != header.checkpoint_hash) {
    refuse("the checkpoint has changed since it was made");
  }
  if (hash_of(file, bytes.subspan(head)) != header.block_hash) {
    refuse("its weights do not have their checksum");
  }
}

std::optional<MappedFile> PackedCache::open() const {
  std::error_code ignored;
  if (!std::filesystem::exists(file_, ignored)) return std::nullopt;
  try {
    MappedFile file = MappedFile::open(file_);
    check(file);
    log(LogLevel::info, fmt::format("{}: packed weights mapped", file_.string()));
    return file;
  } catch (const Error& e) {
    log(LogLevel::warning,
        fmt::format("{}: {}; the weights are packed anew", file_.string(), e.what()));
  }
  return std::nullopt;
}

void PackedCache::store(std::span<const std::byte> block) const {
  try {
    PackedHeader header{.key_bytes = key_.size(),
                        .files = stamps_.size(),
                        .block_bytes = block.size(),
                        .block_hash = content_hash(block),
                        .checkpoint_hash = checkpoint_hash()};
    checkpoint_.check_unchanged();  // what was packed is what was hashed
    std::vector<std::byte> head(
        whole_pages(sizeof header + key_.size() + stamps_.size() * sizeof(StoredStamp)));
    header.block_offset = head.size();
    std::byte* to = head.data() + sizeof header;
    std::memcpy(to, key_.data(), key_.size());
    to += key_.size();
    for (const FileStamp& stamp : stamps_) {
      const StoredStamp stored{stamp, opened_ns_ - stamp.changed_ns > 1'000'000'000 ? 1U : 0U};
      std::memcpy(to, &stored, sizeof stored);
      to += sizeof stored;
    }
    std::memcpy(head.data(), &header, sizeof header);
    header.header_hash = content_hash(head);
    std::memcpy(head.data(), &header, sizeof header);

    std::error_code refused;  // shows when the file is made
    std::filesystem::create_directories(directory_, refused);
    ReplacedFile file(file_);
    file.write(head);
    file.write(block);
    file.commit();
    log(LogLevel::info, fmt::format("{}: packed weights stored", file_.string()));
  } catch (const Error& e) {
    log(LogLevel::warning,
        fmt::format("{}: packed weights are not stored: {}", file_.string(), e.what()));
  }
}

}  // namespace tessera
