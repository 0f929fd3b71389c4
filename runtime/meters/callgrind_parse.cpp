// SPDX-License-Identifier: Apache-2.0
// Callgrind's dump, as its manual describes the format (cl-format.html): header lines "key: value",
// one "events:" and one "summary:" per part, trailing zeros left out.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "runtime/base/error.hpp"
#include "runtime/meters/callgrind.hpp"

namespace tessera::meters {
namespace {

/// What is read of a part, in the order of kNames, which are Callgrind's.
enum Event : std::size_t { ir, d1mr, d1mw, ilmr, dlmr, dlmw, ildmr, dldmr, dldmw };
constexpr auto kNames = std::to_array<std::string_view>(
    {"Ir", "D1mr", "D1mw", "ILmr", "DLmr", "DLmw", "ILdmr", "DLdmr", "DLdmw"});
constexpr std::size_t kEvents = kNames.size();

[[noreturn]] void refuse(std::size_t line, const std::string& what) {
  throw Error(ErrorCode::corrupt_file, fmt::format("callgrind dump: line {}: {}", line, what));
}

/// Takes the next word off `text`; empty at the end.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

template <class Integer>
std::optional<Integer> to_integer(std::string_view word) {
  Integer value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

/// If `line` begins with `key`, what follows it.
std::optional<std::string_view> after(std::string_view line, std::string_view key) {
  if (!line.starts_with(key)) return std::nullopt;
  return line.substr(key.size());
}

class Parser {
 public:
  explicit Parser(LastLevel last_level) : last_level_(last_level) {}

  Measurement parse(std::string_view dump) {
    result_.meter = "callgrind";
    for (std::size_t begin = 0; begin < dump.size();) {
      const std::size_t end = std::min(dump.find('\n', begin), dump.size());
      ++line_;
      read(dump.substr(begin, end - begin));
      begin = end + 1;
    }
    if (result_.ops.empty()) refuse(line_, "got no part called \"op ...\", expected one per op");
    if (part_) refuse(line_, fmt::format("ends inside the part of op {}", part_->op));
    result_.source = fmt::format("{}; {}; {}", creator_, d1_, ll_);
    return std::move(result_);
  }

 private:
  void read(std::string_view line) {
    if (const auto creator = after(line, "creator: ")) creator_ = *creator;
    if (const auto cache = after(line, "desc: D1 cache: ")) {
      d1_ = fmt::format("D1 {}", *cache);
      read_line_bytes(*cache);
    }
    if (const auto cache = after(line, "desc: LL cache: ")) ll_ = fmt::format("LL {}", *cache);
    if (const auto name = after(line, "desc: Trigger: Client Request: op "))
      begin_part(*name, false);
    if (const auto name = after(line, "desc: Trigger: Client Request: rest "))
      begin_part(*name, true);
    if (const auto events = after(line, "events:")) read_events(*events);
    if (const auto summary = after(line, "summary:")) end_part(*summary);
  }

  /// "49152 B, 64 B, 12-way associative"
  void read_line_bytes(std::string_view cache) {
    const std::size_t comma = cache.find(", ");
    if (comma == cache.npos) refuse(line_, "got a cache without a line size");
    cache.remove_prefix(comma + 2);
    const auto bytes = to_integer<std::uint32_t>(take_word(cache));
    if (!bytes || *bytes == 0) refuse(line_, "got a cache without a line size");
    line_bytes_ = *bytes;
  }

  void begin_part(std::string_view name, bool is_rest) {
    const auto op = to_integer<std::size_t>(take_word(name));
    const auto count = to_integer<std::size_t>(take_word(name));
    if (!op || !count || *count == 0) refuse(line_, "expected the part's name to be \"op I N\"");
    if (is_rest && (result_.ops.empty() || result_.ops.back().op != *op)) {
      refuse(line_, fmt::format("got the rest of op {}, expected it right after the op", *op));
    }
    part_ = OpMeasurement{.op = *op, .count = *count};
    is_rest_ = is_rest;
  }

  void read_events(std::string_view events) {
    columns_.fill(SIZE_MAX);
    std::size_t column = 0;
    for (auto word = take_word(events); !word.empty(); word = take_word(events), ++column) {
      for (std::size_t e = 0; e < kEvents; ++e) {
        if (word == kNames[e]) columns_[e] = column;
      }
    }
    for (std::size_t e = 0; e < kEvents; ++e) {
      if (columns_[e] != SIZE_MAX) continue;
      refuse(line_, fmt::format("got no event {}, expected it from --cache-sim=yes "
                                "--simulate-wb=yes",
                                kNames[e]));
    }
  }

  void end_part(std::string_view summary) {
    if (!part_) return;  // of no op
    if (columns_[ir] == SIZE_MAX) refuse(line_, "got a summary before the events");
    std::vector<std::uint64_t> values;
    for (auto word = take_word(summary); !word.empty(); word = take_word(summary)) {
      const auto value = to_integer<std::uint64_t>(word);
      if (!value) refuse(line_, fmt::format("got \"{}\", expected a count", word));
      values.push_back(*value);
    }
    const auto count = [&](Event e) {
      return columns_[e] < values.size() ? static_cast<double>(values[columns_[e]]) : 0.0;
    };
    const double line = line_bytes_;
    const EdgeBytes ll{.fills = line * (count(ilmr) + count(dlmr) + count(dlmw)),
                       .written_back = line * (count(ildmr) + count(dldmr) + count(dldmw))};
    if (is_rest_) {
      OpMeasurement& op = result_.ops[last_];
      (last_level_ == LastLevel::l2 ? op.l2 : op.l3)->written_back += ll.written_back;
      part_.reset();
      return;
    }
    part_->instructions = count(ir);
    part_->l1 = EdgeBytes{.fills = line * (count(d1mr) + count(d1mw))};
    (last_level_ == LastLevel::l2 ? part_->l2 : part_->l3) = ll;
    add(*part_);
    part_.reset();
  }

  /// Ops of a chain come once for every block.
  void add(const OpMeasurement& part) {
    const auto before = std::find_if(result_.ops.begin(), result_.ops.end(), [&](const auto& op) {
      return op.op == part.op && op.count == part.count;
    });
    last_ = static_cast<std::size_t>(before - result_.ops.begin());
    if (before == result_.ops.end()) {
      result_.ops.push_back(part);
      return;
    }
    *before->instructions += *part.instructions;
    const auto sum = [](std::optional<EdgeBytes>& a, const std::optional<EdgeBytes>& b) {
      if (!b) return;
      a->fills += b->fills;
      a->written_back += b->written_back;
    };
    sum(before->l1, part.l1);
    sum(before->l2, part.l2);
    sum(before->l3, part.l3);
  }

  LastLevel last_level_;
  Measurement result_;
  std::size_t last_ = 0;  // of result_.ops: what the last part was added to
  std::size_t line_ = 0;
  std::uint32_t line_bytes_ = 64;
  std::string creator_ = "callgrind", d1_, ll_;
  std::array<std::size_t, kEvents> columns_ = [] {
    std::array<std::size_t, kEvents> none{};
    none.fill(SIZE_MAX);
    return none;
  }();
  std::optional<OpMeasurement> part_;
  bool is_rest_ = false;
};

}  // namespace

Measurement parse_callgrind(std::string_view dump, LastLevel last_level) {
  Measurement result = Parser(last_level).parse(dump);
  result.notes.emplace_back(
      "L1: callgrind's L1 writes through, so this counts fills and no write-backs");
  result.notes.emplace_back(
      last_level == LastLevel::l2
          ? "L3: one run simulates two levels, L1 and L2; --callgrind-ll l3 takes L1 and L3"
          : "L2: one run simulates two levels, L1 and L3; --callgrind-ll l2 takes L1 and L2");
  return result;
}

}  // namespace tessera::meters
