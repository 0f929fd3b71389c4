// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/line_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kHeadBytes = 1024;  // of which other_encoding() is asked
constexpr std::size_t kLongestWithoutEnd = std::size_t{1} << 20;  // then ends of lines may be CR

}  // namespace

LineReader::LineReader(const std::string& path, TextEncoding encoding)
    : source_(path), encoding_(encoding) {
  if (!is_utf8(encoding)) decoder_ = std::make_unique<TextDecoder>(encoding);
}

std::string LineReader::where(std::size_t line_number) const {
  if (path().empty()) return fmt::format("line {}", line_number);
  return fmt::format("{}: line {}", path(), line_number);
}

std::uint64_t LineReader::bytes_read() const noexcept {
  const std::uint64_t waiting = buffer_.size() - begin_;
  return bytes_ - std::min(bytes_, waiting);  // exact for UTF-8
}

// What Git leaves in place of a large file is no text of anybody.
void LineReader::check_is_itself() const {
  constexpr std::string_view kPointer = "version https://git-lfs.github.com/spec/";
  if (!std::string_view(buffer_).starts_with(kPointer)) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: got {}, expected texts", source_.name(), stand_in(kPointer)));
}

void LineReader::refuse_utf32(std::string_view head) const {
  const auto other = other_encoding(head);
  if (!other || !other->is_utf32) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: {}, expected {} (--encoding)", source_.name(), other->what,
                          to_string(encoding_)));
}

// An error of the decoder, under the line that it is in.
void LineReader::decode(std::string_view bytes) {
  try {
    decoder_->append(bytes, buffer_);
    if (at_end_) decoder_->finish();
  } catch (const Error& error) {
    const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto ends = static_cast<std::size_t>(std::count(begin, buffer_.end(), separator_));
    throw Error(error.code(), fmt::format("{}: {}", where(line_number_ + ends + 1), error.what()));
  }
}

// Reads one more block behind what is left; false at the end.
bool LineReader::fill() {
  if (at_end_) return false;
  buffer_.erase(0, begin_);
  begin_ = 0;
  if (decoder_) {
    block_.clear();
    at_end_ = !source_.read(block_);
    if (bytes_ == 0) refuse_utf32(block_);
    bytes_ += block_.size();
    decode(block_);
    return !at_end_;
  }
  const std::size_t used = buffer_.size();
  at_end_ = !source_.read(buffer_);
  bytes_ += buffer_.size() - used;
  if (bytes_ == buffer_.size() && used < kHeadBytes) check_is_itself();
  if (encoding_ == TextEncoding::utf8 && bytes_ == buffer_.size() && used < kHeadBytes) {
    if (const auto other = other_encoding(buffer_)) {
      const std::string way =
          other->likely ? fmt::format(" (--encoding {} reads it)", to_string(*other->likely)) : "";
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{}: {}, expected UTF-8{}", source_.name(), other->what, way));
    }
  }
  return !at_end_;
}

// Whether lines end in CR, now that what was read has no LF. Old Macintosh files do, and tables that
// Excel saves for it.
bool LineReader::turns_to_cr() {
  if (is_separator_known_ || (!at_end_ && buffer_.size() < kLongestWithoutEnd)) return false;
  is_separator_known_ = true;
  const std::size_t cr = buffer_.find('\r', begin_);
  if (cr == std::string::npos || (!at_end_ && cr + 1 == buffer_.size())) return false;
  separator_ = '\r';
  return true;
}

bool LineReader::is_ready() {
  std::size_t searched = 0;
  while (!at_end_ && buffer_.find(separator_, begin_ + searched) == std::string::npos) {
    searched = buffer_.size() - begin_;
    if (!source_.is_ready()) return false;
    fill();
    if (turns_to_cr()) searched = 0;
  }
  return true;
}

void LineReader::check(std::string_view line) const {
  const std::size_t at = utf8_prefix(line);
  if (at == line.size()) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("{}: at byte {}: got 0x{:02X}, expected UTF-8 (--encoding latin-1, cp1252, ... "
                  "reads others; utf-8-replace reads U+FFFD)",
                  where(), at, static_cast<unsigned>(static_cast<unsigned char>(line[at]))));
}

bool LineReader::next(std::string& line) {
  std::size_t searched = 0;
  std::size_t end = std::string::npos;
  while ((end = buffer_.find(separator_, begin_ + searched)) == std::string::npos) {
    searched = buffer_.size() - begin_;
    const bool has_more = fill();
    if (turns_to_cr()) {
      searched = 0;
    } else if (!has_more) {
      break;
    }
  }
  is_separator_known_ = true;
  const bool has_end = end != std::string::npos;
  if (!has_end) end = buffer_.size();
  if (!has_end && begin_ == end) return false;
  line.assign(buffer_, begin_, end - begin_);
  begin_ = end + (has_end ? 1 : 0);
  ++line_number_;
  line_end_ = !has_end ? "" : separator_ == '\r' ? "\r" : "\n";
  if (has_end && separator_ == '\n' && !line.empty() && line.back() == '\r') {
    line.pop_back();
    line_end_ = "\r\n";
  }
  if (encoding_ == TextEncoding::utf8) check(line);
  if (line_number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  return true;
}

}  // namespace tessera
