// SPDX-License-Identifier: Apache-2.0
// What a flag's value may be: checks that say what was got and what is expected.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <string_view>

#include "tessera/cli/options.hpp"

namespace tessera::cli {
namespace {

// A check of one_of() has its values in its name, which --help does not show.
constexpr std::string_view kOneOf = "one of ";

}  // namespace

CLI::Validator integer_between(std::int64_t least, std::int64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        std::int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto parsed = std::from_chars(text.data(), end, value);
        const bool is_good =
            parsed.ec == std::errc{} && parsed.ptr == end && value >= least && value <= most;
        if (is_good) return std::string();
        return fmt::format("got '{}', expected an integer from {} to {}", text, least, most);
      },
      "");
}

CLI::Validator positive_number() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        const bool is_good = CLI::detail::lexical_cast(text, value) && value > 0 && value < 1e30;
        return is_good ? std::string()
                       : fmt::format("got '{}', expected a number above 0, such as 2.5", text);
      },
      "");
}

CLI::Validator not_empty() {
  return CLI::Validator(
      [](const std::string& text) {
        return text.empty() ? std::string("got an empty text, expected a file") : std::string();
      },
      "");
}

CLI::Validator one_of(std::vector<std::string> values) {
  std::string name = fmt::format("{}{}", kOneOf, fmt::join(values, " "));
  return CLI::Validator(
      [values = std::move(values)](std::string& text) {
        if (std::find(values.begin(), values.end(), text) != values.end()) return std::string();
        return fmt::format("got '{}', expected one of {}", text, fmt::join(values, ", "));
      },
      "", std::move(name));
}

std::vector<std::string> choices_of(CLI::Option& option) {
  for (int i = 0;; ++i) {
    try {
      const std::string& name = option.get_validator(i)->get_name();
      if (name.starts_with(kOneOf)) return CLI::detail::split(name.substr(kOneOf.size()), ' ');
    } catch (const CLI::OptionNotFound&) {  // there are no more
      return {};
    }
  }
}

}  // namespace tessera::cli
