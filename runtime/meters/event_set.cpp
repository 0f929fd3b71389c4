// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/event_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "runtime/base/error.hpp"

namespace tessera::meters {
namespace {

constexpr const char* kTexts[] = {
#include "runtime/meters/events/intel.inc"
    ,
#include "runtime/meters/events/amd.inc"
    ,
#include "runtime/meters/events/generic.inc"
};

template <class Integer>
std::optional<Integer> to_integer(std::string_view text, int base = 10) {
  if (base == 16) {
    if (!text.starts_with("0x")) return std::nullopt;
    text.remove_prefix(2);
  }
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty()) return words;
    words.push_back(line.substr(0, line.find_first_of(" \t\r")));
    line.remove_prefix(words.back().size());
  }
}

/// `line` after its first word.
std::string rest_of(std::string_view line, std::string_view first) {
  std::string_view rest = line.substr(static_cast<std::size_t>(first.data() - line.data()));
  rest.remove_prefix(first.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  return std::string(rest);
}

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  std::vector<EventSet> read(std::string_view text) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      ++line_;
      read_line(text.substr(begin, end - begin));
      begin = end + 1;
    }
    if (sets_.empty()) refuse("got no set, expected a line \"set NAME\"");
    for (const EventSet& set : sets_) {
      if (set.events.empty()) refuse(fmt::format("set \"{}\" has no event", set.name));
    }
    return std::move(sets_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::corrupt_file, fmt::format("{}: line {}: {}", file_, line_, what));
  }

  void read_line(std::string_view line) {
    const std::vector<std::string_view> words = words_of(line);
    if (words.empty() || words[0].front() == '#') return;
    const std::string rest = rest_of(line, words[0]);
    if (words[0] == "set") {
      sets_.push_back({.name = rest});
      return;
    }
    if (sets_.empty()) refuse(fmt::format("got \"{}\" before any set", words[0]));
    EventSet& set = sets_.back();
    if (words[0] == "source") {
      set.source = rest;
    } else if (words[0] == "note") {
      set.notes.push_back(rest);
    } else if (words[0] == "cpu") {
      set.cpus.push_back(cpu_of(words));
    } else if (words[0] == "event") {
      set.events.push_back(event_of(words));
    } else {
      refuse(fmt::format("got \"{}\", expected set, cpu, source, event or note", words[0]));
    }
  }

  EventSet::Cpu cpu_of(const std::vector<std::string_view>& words) const {
    if (words.size() < 4) refuse("expected cpu VENDOR FAMILY MODEL...");
    EventSet::Cpu cpu{.vendor = std::string(words[1])};
    for (std::size_t i = 2; i < words.size(); ++i) {
      const auto number = to_integer<int>(words[i]);
      if (!number) refuse(fmt::format("got \"{}\", expected a number", words[i]));
      if (i == 2) {
        cpu.family = *number;
      } else {
        cpu.models.push_back(*number);
      }
    }
    return cpu;
  }

  CountedEvent event_of(const std::vector<std::string_view>& words) const {
    if (words.size() != 6) refuse("expected event LEVEL KIND NAME RAW BYTES");
    CountedEvent event{.name = std::string(words[3])};
    const bool is_level =
        words[1].size() == 2 && words[1][0] == 'l' && words[1][1] >= '1' && words[1][1] <= '3';
    if (!is_level) refuse(fmt::format("got level \"{}\", expected l1, l2 or l3", words[1]));
    event.level = words[1][1] - '0';
    if (words[2] != "fills" && words[2] != "written_back") {
      refuse(fmt::format("got kind \"{}\", expected fills or written_back", words[2]));
    }
    event.is_written_back = words[2] == "written_back";
    if (words[4] != "-") {
      event.raw = to_integer<std::uint64_t>(words[4], 16);
      if (!event.raw) refuse(fmt::format("got raw \"{}\", expected 0x... or -", words[4]));
    }
    const auto bytes = to_integer<int>(words[5]);
    if (!bytes || *bytes < 1) refuse(fmt::format("got bytes \"{}\", expected 1 or more", words[5]));
    event.bytes = *bytes;
    return event;
  }

  const std::string& file_;
  std::size_t line_ = 0;
  std::vector<EventSet> sets_;
};

}  // namespace

CpuModel parse_cpuinfo(std::string_view text) {
  CpuModel cpu;
  const auto value_of = [&](std::string_view key) -> std::string_view {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      const std::size_t colon = line.find(": ");
      if (colon != line.npos && line.substr(0, line.find_first_of("\t:")) == key) {
        return line.substr(colon + 2);
      }
      begin = end + 1;
    }
    return {};
  };
  if (const auto vendor = value_of("vendor_id"); !vendor.empty()) cpu.vendor = vendor;
  cpu.family = to_integer<int>(value_of("cpu family")).value_or(0);
  cpu.model = to_integer<int>(value_of("model")).value_or(0);
  return cpu;
}

CpuModel this_cpu() {
  std::ifstream file("/proc/cpuinfo");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return parse_cpuinfo(text);
}

std::vector<EventSet> parse_event_sets(std::string_view text, const std::string& file) {
  return Reader(file).read(text);
}

const std::vector<EventSet>& known_event_sets() {
  static const auto* const sets = [] {
    auto* const all = new std::vector<EventSet>;
    for (const char* text : kTexts) {
      for (EventSet& set : parse_event_sets(text, "events")) all->push_back(std::move(set));
    }
    return all;
  }();
  return *sets;
}

EventSet event_set_for(const CpuModel& cpu, const std::vector<EventSet>& sets) {
  for (const EventSet& set : sets) {
    for (const EventSet::Cpu& known : set.cpus) {
      if (known.vendor == cpu.vendor && known.family == cpu.family &&
          std::count(known.models.begin(), known.models.end(), cpu.model) > 0) {
        return set;
      }
    }
  }
  EventSet generic = sets.back();
  if (generic.cpus.empty()) {
    generic.notes.insert(generic.notes.begin(),
                         fmt::format("no event set for {} family {} model {}: generic events",
                                     cpu.vendor, cpu.family, cpu.model));
  }
  return generic;
}

}  // namespace tessera::meters
