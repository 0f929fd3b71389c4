// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "tessera/cli/manual.hpp"

namespace tessera::cli {
namespace {

// Characters that roff reads otherwise, or that a terminal would show as others.
std::string escaped(std::string_view text) {
  std::string roff;
  for (const char c : text) {
    switch (c) {
      case '\\':
        roff += "\\e";
        break;
      case '-':
        roff += "\\-";
        break;
      case '\'':
        roff += "\\(aq";
        break;
      case '`':
        roff += "\\(ga";
        break;
      case '^':
        roff += "\\(ha";
        break;
      case '~':
        roff += "\\(ti";
        break;
      case '"':
        roff += "\\(dq";
        break;
      default:
        roff += c;
    }
  }
  return roff;
}

// A line of text: a request begins with a point. (Quotes are escaped.)
std::string text_line(std::string_view text) {
  return (text.starts_with('.') ? "\\&" : "") + escaped(text) + "\n";
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return lines;
}

// Examples are set in, rows of a table have columns: such lines are not filled.
bool stands_alone(std::string_view line) {
  return line.starts_with(' ') || line.find("  ") != std::string_view::npos;
}

// What stands below the options or, `begins`, below a heading: paragraphs, examples, tables.
std::string paragraphs(const std::vector<std::string_view>& lines, bool begins) {
  std::string roff;
  bool is_alone = false;
  for (const std::string_view line : lines) {
    if (line.empty()) continue;
    const bool was_alone = std::exchange(is_alone, stands_alone(line));
    if (was_alone && !is_alone) roff += ".ad\n.RE\n";
    if (is_alone) {
      roff += was_alone ? ".br\n" : ".RS 2\n.na\n";
    } else if (was_alone || line.starts_with("Example") || (roff.empty() && !begins)) {
      roff += ".PP\n";
    }
    roff += text_line(line.substr(line.find_first_not_of(' ')));
  }
  return is_alone ? roff + ".ad\n.RE\n" : roff;
}

// "-o, --output FILE" in bold and italics.
std::string heading_of(const ManualOption& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) {
    names.push_back((name.starts_with('-') ? "\\fB" : "\\fI") + escaped(name) + "\\fR");
  }
  std::string line = fmt::format("{}", fmt::join(names, ", "));
  if (option.value.empty()) return line;
  const std::string value = "\\fI" + escaped(option.value) + "\\fR";
  return line + (option.is_value_optional ? " [" + value + "]" : " " + value);
}

std::string item_of(const ManualOption& option) {
  std::string help = option.help;
  if (option.is_required) help += " (required)";
  if (!option.excludes.empty()) {
    help += fmt::format(". Not with {}", fmt::join(option.excludes, ", "));
  }
  // Choices that the help does not have yet.
  if (std::any_of(option.choices.begin(), option.choices.end(), [&](const std::string& choice) {
        return help.find(choice) == std::string::npos;
      })) {
    help += fmt::format(". One of {}", fmt::join(option.choices, ", "));
  }
  return ".TP\n" + heading_of(option) + "\n" + text_line(help);
}

std::string synopsis_of(const Manual& manual, const ManualCommand& command) {
  std::string line = fmt::format("\\fB{} {}\\fR [\\fIOPTIONS\\fR]", manual.name, command.name);
  for (const ManualOption& flag : command.flags) {
    if (!flag.is_required) continue;
    ManualOption long_name = flag;
    long_name.names = {flag.names.back()};
    line += " " + heading_of(long_name);
  }
  for (const ManualOption& place : command.places) {
    line += " \\fI" + escaped(usage_of(place)) + "\\fR";
  }
  return line + "\n";
}

std::string section_of(const Manual& manual, const ManualCommand& command) {
  std::string roff = fmt::format(".SS {} {}\n", manual.name, command.name);
  roff += text_line(command.help + ".") + ".PP\n" + synopsis_of(manual, command);
  for (const ManualOption& place : command.places) {
    if (!place.help.empty()) roff += item_of(place);
  }
  for (const ManualOption& flag : command.flags) {
    if (flag.names.back() != "--help") roff += item_of(flag);
  }
  return roff + paragraphs(lines_of(command.footer), false);
}

// The footer of the tool: "Exit status: ..." and "Examples:" with what is set in below have sections.
std::string sections_of(std::string_view footer) {
  std::vector<std::string_view> notes, status, examples;
  std::vector<std::string_view>* current = &notes;
  constexpr std::string_view kStatus = "Exit status: ";
  for (std::string_view line : lines_of(footer)) {
    if (line.starts_with(kStatus)) {
      current = &status;
      line.remove_prefix(kStatus.size());
    } else if (line == "Examples:") {
      current = &examples;
      continue;
    } else if (!line.starts_with(' ')) {
      current = &notes;
    }
    if (current == &status) line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    current->push_back(line);
  }
  return ".SH NOTES\n" + paragraphs(notes, true) + ".SH EXIT STATUS\n" + paragraphs(status, true) +
         ".SH EXAMPLES\n" + paragraphs(examples, true);
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  return text;
}

}  // namespace

std::string man_page(const Manual& manual) {
  std::string roff = fmt::format(
      ".\\\" Made by `{0} manual man` from the tool's option tables.\n"
      ".TH {1} 1 \"\" \"{0} {2}\" \"User Commands\"\n.nh\n.SH NAME\n{0} \\- ",
      manual.name, upper(manual.name), escaped(manual.version));
  const std::size_t sentence = manual.help.find(':');
  roff += text_line(manual.help.substr(0, sentence)) + ".SH SYNOPSIS\n";
  for (const ManualCommand& command : manual.commands) {
    roff += synopsis_of(manual, command) + ".br\n";
  }
  roff += fmt::format(
      "\\fB{0}\\fR \\fBhelp\\fR [\\fICOMMAND\\fR]\n.br\n\\fB{0} \\-\\-version\\fR\n"
      ".SH DESCRIPTION\n",
      manual.name);
  roff += text_line(manual.help) + ".SH OPTIONS\n";
  for (const ManualOption& flag : manual.flags) roff += item_of(flag);
  roff += ".SH COMMANDS\n";
  for (const ManualCommand& command : manual.commands) roff += section_of(manual, command);
  return roff + sections_of(manual.footer);
}

}  // namespace tessera::cli
