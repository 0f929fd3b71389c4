// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/records.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/about.hpp"

namespace tessera {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

bool is_separator(char c) noexcept {
  return c == ' ' || c == '\t' || c == ',';
}

}  // namespace

LineReader::LineReader(const std::string& path) {
  if (path.empty() || path == "-") {
    descriptor_ = STDIN_FILENO;
  } else {
    name_ = path;
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      const int reason = errno;
      throw Error(reason == ENOENT ? ErrorCode::not_found : ErrorCode::io_error,
                  fmt::format("{}: cannot open for reading: {}", path, std::strerror(reason)));
    }
  }
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return;
  if (S_ISDIR(status.st_mode)) {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
    throw Error(ErrorCode::invalid_argument, fmt::format("{}: is a directory, expected a file",
                                                         name_.empty() ? "stdin" : name_));
  }
  if (S_ISREG(status.st_mode)) size_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

LineReader::~LineReader() {
  if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
}

std::string LineReader::where() const {
  if (name_.empty()) return fmt::format("line {}", line_number_);
  return fmt::format("{}: line {}", name_, line_number_);
}

// Reads one more block behind what is left; false at the end.
bool LineReader::fill() {
  if (at_end_) return false;
  buffer_.erase(0, begin_);
  begin_ = 0;
  const std::size_t used = buffer_.size();
  buffer_.resize(used + kReadBytes);
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, buffer_.data() + used, kReadBytes);
  } while (count < 0 && errno == EINTR);
  const int reason = errno;
  buffer_.resize(used + static_cast<std::size_t>(count < 0 ? 0 : count));
  if (count < 0) {
    throw Error(
        ErrorCode::io_error,
        fmt::format("{}: cannot read: {}", name_.empty() ? "stdin" : name_, std::strerror(reason)));
  }
  at_end_ = count == 0;
  return !at_end_;
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
  bytes_read_ += line.size() + (has_end ? 1 : 0);
  begin_ = end + (has_end ? 1 : 0);
  ++line_number_;
  if (has_end && !line.empty() && line.back() == '\r') line.pop_back();
  if (line_number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  return true;
}

std::vector<std::int32_t> parse_ids(std::string_view line) {
  std::vector<std::int32_t> ids;
  const char* at = line.data();
  const char* const end = line.data() + line.size();
  while (true) {
    while (at != end && is_separator(*at)) ++at;
    if (at == end) return ids;
    std::int32_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc{} || (next != end && !is_separator(*next))) {
      const char* word_end = at;
      while (word_end != end && !is_separator(*word_end) && word_end - at < 40) ++word_end;
      std::string quoted;
      append_json_string(quoted, {at, static_cast<std::size_t>(word_end - at)});
      refuse(fmt::format("token id {}: got {}, expected a 32-bit integer", ids.size(), quoted));
    }
    ids.push_back(id);
    at = next;
  }
}

LineFormat format_of(const std::string& path) {
  return path.ends_with(".jsonl") || path.ends_with(".ndjson") ? LineFormat::jsonl
                                                               : LineFormat::text;
}

namespace {

void read_json_text(JsonRecord json, Record& record) {
  if (!json.text) refuse("got no \"text\", expected {\"text\": ...}");
  record.text = std::move(*json.text);
  record.pair = std::move(json.pair);
}

void read_json_ids(JsonRecord json, Record& record) {
  if (!json.ids) refuse("got no \"ids\", expected {\"ids\": [...]}");
  record.ids = std::move(*json.ids);
  if (!json.type_ids) return;
  record.type_ids = std::move(*json.type_ids);
  if (record.type_ids.size() != record.ids.size()) {
    refuse(fmt::format("got {} \"type_ids\", expected {} as in \"ids\"", record.type_ids.size(),
                       record.ids.size()));
  }
}

void read_pair(const std::string& line, Record& record) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string::npos) refuse("got no tab, expected text, tab, second text");
  record.text = line.substr(0, tab);
  record.pair = line.substr(tab + 1);
}

}  // namespace

bool RecordReader::next(Record& record) {
  if (!lines_.next(line_)) return false;
  record = Record{};
  record.where = lines_.where();
  about(record.where, [&] {
    const std::size_t first = line_.find_first_not_of(" \t");
    const bool is_object = first != std::string::npos && line_[first] == '{';
    switch (format_) {
      case LineFormat::jsonl:
        return read_json_text(json_.parse(line_), record);
      case LineFormat::ids:
        if (is_object) return read_json_ids(json_.parse(line_), record);
        record.ids = parse_ids(line_);
        return;
      case LineFormat::pairs:
        return read_pair(line_, record);
      case LineFormat::text:
        record.text = line_;
    }
  });
  return true;
}

std::vector<Record> RecordReader::next_window(std::size_t count) {
  std::vector<Record> records;
  Record record;
  while (records.size() < count && next(record)) records.push_back(std::move(record));
  return records;
}

}  // namespace tessera
