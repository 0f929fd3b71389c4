// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/line_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kHeadBytes = 1024;  // of which other_encoding() is asked

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

// An error of the decoder, under the line that it is in.
void LineReader::decode(std::string_view bytes) {
  try {
    decoder_->append(bytes, buffer_);
    if (at_end_) decoder_->finish();
  } catch (const Error& error) {
    const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto ends = static_cast<std::size_t>(std::count(begin, buffer_.end(), '\n'));
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
    bytes_ += block_.size();
    decode(block_);
    return !at_end_;
  }
  const std::size_t used = buffer_.size();
  at_end_ = !source_.read(buffer_);
  bytes_ += buffer_.size() - used;
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

bool LineReader::is_ready() {
  std::size_t searched = 0;
  while (!at_end_ && buffer_.find('\n', begin_ + searched) == std::string::npos) {
    searched = buffer_.size() - begin_;
    if (!source_.is_ready()) return false;
    fill();
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
  while ((end = buffer_.find('\n', begin_ + searched)) == std::string::npos) {
    searched = buffer_.size() - begin_;
    if (!fill()) break;
  }
  const bool has_end = end != std::string::npos;
  if (!has_end) end = buffer_.size();
  if (!has_end && begin_ == end) return false;
  line.assign(buffer_, begin_, end - begin_);
  begin_ = end + (has_end ? 1 : 0);
  ++line_number_;
  line_end_ = has_end ? "\n" : "";
  if (has_end && !line.empty() && line.back() == '\r') {
    line.pop_back();
    line_end_ = "\r\n";
  }
  if (encoding_ == TextEncoding::utf8) check(line);
  if (line_number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  return true;
}

}  // namespace tessera
