// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/stored_zip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"

namespace tessera {
namespace {

using detail::in_quotes;

constexpr std::uint32_t kLocal = 0x04034B50, kCentral = 0x02014B50, kEnd = 0x06054B50,
                        kEnd64 = 0x06064B50, kLocator64 = 0x07064B50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                      kLocator64Bytes = 20;
constexpr std::uint64_t kMaxMembers = 1'000'000;
constexpr std::uint16_t kIn64 = 0xFFFF;
constexpr std::uint32_t kIn64Wide = 0xFFFFFFFF;
constexpr unsigned kEncrypted = 0x1, kDescriptor = 0x8, kStrongEncryption = 0x40, kMasked = 0x2000;

/// A member with what its local header must agree with.
struct Entry {
  ZipMember member;
  unsigned flags = 0, method = 0;
  std::uint64_t size = 0, header_at = 0, end = 0;
};

/// A copy of a part of the file, which follows what is asked for.
class Window {
 public:
  Window(const FileBytes& file, std::size_t bytes) : file_(file), bytes_(bytes) {}

  /// Precondition: at + count is in the file. Until the next call.
  const std::byte* at(std::uint64_t at, std::size_t count) {
    if (at < begin_ || at - begin_ > held_.size() || count > held_.size() - (at - begin_)) {
      held_ = file_.copy(at, std::min(file_.size() - at, std::max(bytes_, count)));
      begin_ = at;
    }
    return held_.data() + (at - begin_);
  }

 private:
  const FileBytes& file_;
  std::size_t bytes_;
  std::uint64_t begin_ = 0;
  std::vector<std::byte> held_;
};

class ZipReader {
 public:
  ZipReader(const FileBytes& file, const std::string& where) : file_(file), where_(where) {}

  std::vector<ZipMember> members();

 private:
  struct Directory {
    std::uint64_t at = 0, bytes = 0, count = 0;
  };

  [[noreturn]] void fail(std::string_view problem, ErrorCode code = ErrorCode::corrupt_file) const {
    throw Error(code, fmt::format("{}: the zip file {}", where_, problem));
  }
  [[noreturn]] void fail(const Entry& entry, std::string_view problem,
                         ErrorCode code = ErrorCode::corrupt_file) const {
    throw Error(code, fmt::format("{}: member {} of the zip file {}", where_,
                                  in_quotes(entry.member.name), problem));
  }
  /// The caller has checked that `at` + sizeof(T) is in the file.
  template <class T>
  static T number(Window& window, std::uint64_t at) {
    static_assert(std::endian::native == std::endian::little);
    T value;
    std::memcpy(&value, window.at(at, sizeof value), sizeof value);
    return value;
  }
  template <class T>
  T number(std::uint64_t at) {
    return number<T>(directory_, at);
  }
  Directory directory();
  void end64(std::uint64_t locator, Directory& directory);
  Entry central(std::uint64_t& at, std::uint64_t end);
  void zip64(Entry& entry, std::uint64_t at, std::size_t bytes);
  void local(Entry& entry, std::uint64_t end);
  void check_overlaps(std::vector<Entry>& entries) const;
  static std::string text(Window& window, std::uint64_t at, std::size_t bytes) {
    return {reinterpret_cast<const char*>(window.at(at, bytes)), bytes};
  }

  const FileBytes& file_;
  const std::string& where_;
  Window directory_{file_, std::size_t{64} << 10};
  Window local_{file_, 256};  // a header and its name
};

/// Fields that are too small for their number are all ones, and the zip64 record has the number.
ZipReader::Directory ZipReader::directory() {
  if (file_.size() < kEndBytes) {
    fail(fmt::format("has {} bytes, expected at least {}", file_.size(), kEndBytes));
  }
  const std::uint64_t end = file_.size() - kEndBytes;
  if (number<std::uint32_t>(end) != kEnd || number<std::uint16_t>(end + 20) != 0) {
    fail("has no end record in its last 22 bytes, expected one (a file cut short?)");
  }
  if (number<std::uint16_t>(end + 4) != 0 || number<std::uint16_t>(end + 6) != 0 ||
      number<std::uint16_t>(end + 8) != number<std::uint16_t>(end + 10)) {
    fail("is one of several disks, expected one file");
  }
  Directory result{.at = number<std::uint32_t>(end + 16),
                   .bytes = number<std::uint32_t>(end + 12),
                   .count = number<std::uint16_t>(end + 10)};
  std::uint64_t limit = end;
  if (end >= kLocator64Bytes && number<std::uint32_t>(end - kLocator64Bytes) == kLocator64) {
    const std::uint64_t locator = end - kLocator64Bytes;
    end64(locator, result);
    limit = number<std::uint64_t>(locator + 8);
  }
  if (result.bytes > limit || result.at != limit - result.bytes) {
    fail(fmt::format("has a central directory of {} bytes at {}, expected it to end at {}",
                     result.bytes, result.at, limit));
  }
  if (result.count > kMaxMembers || result.count > result.bytes / kCentralBytes) {
    fail(fmt::format("has {} members in a directory of {} bytes, expected at most {}", result.count,
                     result.bytes, std::min(kMaxMembers, result.bytes / kCentralBytes)));
  }
  return result;
}

void ZipReader::end64(std::uint64_t locator, Directory& directory) {
  const auto at = number<std::uint64_t>(locator + 8);
  if (locator < kEnd64Bytes || at != locator - kEnd64Bytes || number<std::uint32_t>(at) != kEnd64 ||
      number<std::uint64_t>(at + 4) != kEnd64Bytes - 12 ||
      number<std::uint32_t>(locator + 4) != 0 || number<std::uint32_t>(locator + 16) != 1) {
    fail(fmt::format("has no zip64 end record in the {} bytes before its locator, expected one",
                     kEnd64Bytes));
  }
  const Directory wide{.at = number<std::uint64_t>(at + 48),
                       .bytes = number<std::uint64_t>(at + 40),
                       .count = number<std::uint64_t>(at + 32)};
  const auto agrees = [](std::uint64_t narrow, std::uint64_t all_ones, std::uint64_t number64) {
    return narrow == all_ones || narrow == number64;
  };
  if (number<std::uint32_t>(at + 16) != 0 || number<std::uint32_t>(at + 20) != 0 ||
      number<std::uint64_t>(at + 24) != wide.count || !agrees(directory.at, kIn64Wide, wide.at) ||
      !agrees(directory.bytes, kIn64Wide, wide.bytes) ||
      !agrees(directory.count, kIn64, wide.count)) {
    fail("has two end records that contradict each other, expected them to agree");
  }
  directory = wide;
}

/// One header of the central directory; `at` goes to the next.
Entry ZipReader::central(std::uint64_t& at, std::uint64_t end) {
  if (end - at < kCentralBytes || number<std::uint32_t>(at) != kCentral) {
    fail(fmt::format("has no header at {} of its central directory, expected one a member", at));
  }
  const std::size_t name = number<std::uint16_t>(at + 28), extra = number<std::uint16_t>(at + 30),
                    comment = number<std::uint16_t>(at + 32);
  if (end - at - kCentralBytes < name + extra + comment) {
    fail(fmt::format("has a header at {} that leaves its central directory, expected it inside",
                     at));
  }
  Entry entry;
  entry.member.name = text(directory_, at + kCentralBytes, name);
  entry.member.crc = number<std::uint32_t>(at + 16);
  entry.flags = number<std::uint16_t>(at + 8);
  entry.method = number<std::uint16_t>(at + 10);
  entry.size = number<std::uint32_t>(at + 24);
  entry.header_at = number<std::uint32_t>(at + 42);
  if ((entry.flags & (kEncrypted | kStrongEncryption | kMasked)) != 0) {
    fail(entry, "is encrypted, expected plain data", ErrorCode::unsupported_model);
  }
  if (entry.method != 0) {
    const bool is_code = entry.member.name.find("/code/") != std::string_view::npos;
    fail(entry,
         fmt::format("is compressed (method {}), expected method 0, stored, as torch.save writes "
                     "state dicts{}",
                     entry.method,
                     is_code ? " (it is a TorchScript archive, which holds code)" : ""),
         ErrorCode::unsupported_model);
  }
  const std::uint64_t packed = number<std::uint32_t>(at + 20);
  if (packed != entry.size) {
    fail(entry, fmt::format("has {} bytes stored and {} in all, expected the same number", packed,
                            entry.size));
  }
  if (number<std::uint16_t>(at + 34) != 0) fail(entry, "is on another disk, expected one file");
  zip64(entry, at + kCentralBytes + name, extra);
  at += kCentralBytes + name + extra + comment;
  return entry;
}

/// The extra fields: of zip64's, those numbers that the header has no room for, in this order.
void ZipReader::zip64(Entry& entry, std::uint64_t at, std::size_t bytes) {
  constexpr std::uint16_t kZip64 = 1;
  const bool wants_size = entry.size == kIn64Wide, wants_place = entry.header_at == kIn64Wide;
  if (!wants_size && !wants_place) return;
  const std::uint64_t end = at + bytes;
  while (end - at >= 4) {
    const auto id = number<std::uint16_t>(at), length = number<std::uint16_t>(at + 2);
    at += 4;
    if (length > end - at) break;
    if (id != kZip64) {
      at += length;
      continue;
    }
    const std::size_t wanted = (wants_size ? 16U : 0U) + (wants_place ? 8U : 0U);
    if (length < wanted) break;
    if (wants_size) {
      entry.size = number<std::uint64_t>(at);
      if (number<std::uint64_t>(at + 8) != entry.size) break;
      at += 16;
    }
    if (wants_place) entry.header_at = number<std::uint64_t>(at);
    return;
  }
  fail(entry, "has no zip64 field with its size and place, expected one");
}

/// The local header's name, flags and method are the central ones; sizes that it has, too. Where
/// a descriptor follows the data, the header's own are 0.
void ZipReader::local(Entry& entry, std::uint64_t end) {
  const std::uint64_t at = entry.header_at;
  if (at > end || end - at < kLocalBytes || number<std::uint32_t>(local_, at) != kLocal) {
    fail(entry, fmt::format("has no header at {}, expected one before the central directory at {}",
                            at, end));
  }
  const std::size_t name = number<std::uint16_t>(local_, at + 26),
                    extra = number<std::uint16_t>(local_, at + 28);
  const std::uint64_t room = end - at - kLocalBytes;
  if (room < name + extra || room - name - extra < entry.size) {
    fail(entry, fmt::format("has {} bytes after its header at {}, expected at most {} up to the "
                            "central directory",
                            entry.size, at, room));
  }
  const std::uint64_t size = number<std::uint32_t>(local_, at + 22),
                      packed = number<std::uint32_t>(local_, at + 18);
  const bool has_descriptor = (entry.flags & kDescriptor) != 0;
  const auto agrees = [&](std::uint64_t said) {
    return said == entry.size || said == kIn64Wide || (has_descriptor && said == 0);
  };
  const auto crc = number<std::uint32_t>(local_, at + 14);
  if (text(local_, at + kLocalBytes, name) != entry.member.name ||
      number<std::uint16_t>(local_, at + 6) != entry.flags ||
      number<std::uint16_t>(local_, at + 8) != 0 || !agrees(size) || !agrees(packed) ||
      (crc != entry.member.crc && !(has_descriptor && crc == 0))) {
    fail(entry,
         fmt::format("has another name, flags, method, size or checksum in its header at {}, "
                     "expected those of the central directory",
                     at));
  }
  const std::uint64_t begin = at + kLocalBytes + name + extra;
  entry.member.data = file_.where().subspan(begin, entry.size);
  entry.end = begin + entry.size;
}

void ZipReader::check_overlaps(std::vector<Entry>& entries) const {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.header_at < b.header_at; });
  std::uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.header_at < end) {
      fail(entry, fmt::format("begins at {}, expected {} or later: members overlap",
                              entry.header_at, end));
    }
    end = entry.end;
  }
}

std::vector<ZipMember> ZipReader::members() {
  const Directory directory = this->directory();
  std::uint64_t at = directory.at;
  const std::uint64_t end = directory.at + directory.bytes;
  std::vector<Entry> entries;
  entries.reserve(directory.count);
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    entries.push_back(central(at, end));
    local(entries.back(), directory.at);
  }
  if (at != end) {
    fail(fmt::format("has {} bytes behind the {} members of its central directory, expected none",
                     end - at, directory.count));
  }
  check_overlaps(entries);

  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.member.name < b.member.name; });
  const auto twice = std::adjacent_find(
      entries.begin(), entries.end(),
      [](const Entry& a, const Entry& b) { return a.member.name == b.member.name; });
  if (twice != entries.end()) fail(*twice, "is there twice, expected unique names");
  std::vector<ZipMember> result;
  for (Entry& entry : entries) result.push_back(std::move(entry.member));
  return result;
}

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0xEDB88320U : 0U);
    table[i] = c;
  }
  return table;
}

}  // namespace

std::vector<ZipMember> read_stored_zip(const FileBytes& file, const std::string& where) {
  return ZipReader(file, where).members();
}

std::uint32_t zip_crc(std::span<const std::byte> bytes) noexcept {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t c = ~0U;
  for (const std::byte b : bytes) {
    c = kTable[(c ^ std::to_integer<std::uint32_t>(b)) & 0xFFU] ^ (c >> 8);
  }
  return ~c;
}

}  // namespace tessera
