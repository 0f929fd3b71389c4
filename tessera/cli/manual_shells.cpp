// SPDX-License-Identifier: Apache-2.0
// Completion of zsh and of fish, which know about flags and values themselves.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "tessera/cli/manual.hpp"

namespace tessera::cli {
namespace {

// `text` with a backslash before each of `special`, and in single quotes.
std::string quoted(std::string_view text, std::string_view special, const char* quote) {
  std::string shell;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) shell += '\\';
    if (c == '\'') {
      shell += quote;
    } else {
      shell += c;
    }
  }
  return shell;
}

// ---- zsh: _arguments of zshcompsys(1) ----

std::string zsh_quoted(std::string_view text) {
  return quoted(text, "[]:\\", "'\\''");
}

std::string zsh_action(const ManualOption& option) {
  switch (option.kind) {
    case ValueKind::choice:
      return fmt::format("({})", fmt::join(option.choices, " "));
    case ValueKind::file:
      return "_files";
    case ValueKind::directory:
      return "_files -/";
    case ValueKind::text:
      break;
  }
  return " ";
}

std::string zsh_flag(const ManualOption& flag) {
  std::string value;
  if (!flag.value.empty()) {
    value = fmt::format(":{}{}:{}", flag.is_value_optional ? ":" : "", zsh_quoted(flag.value),
                        zsh_action(flag));
    if (flag.takes_many) value = ":*" + value;  // all words up to the next flag
  }
  const std::string help = fmt::format("[{}]", zsh_quoted(summary(flag)));
  const std::string first = flag.repeats ? "*" : fmt::format("({})", fmt::join(flag.names, " "));
  std::string lines;
  for (const std::string& name : flag.names) {
    lines += fmt::format("        '{}{}{}{}' \\\n", first, name, help, value);
  }
  return lines;
}

std::string zsh_case(const ManualCommand& command) {
  std::string lines;
  for (const ManualOption& flag : command.flags) lines += zsh_flag(flag);
  for (const ManualOption& place : command.places) {
    lines += fmt::format("        '{}:{}:{}' \\\n", place.takes_many ? "*" : "",
                         zsh_quoted(place.names.front()), zsh_action(place));
  }
  return fmt::format("    {})\n      _arguments -S \\\n{}        && return 0\n      ;;\n",
                     command.name, lines);
}

// ---- fish: complete(1) ----

std::string fish_quoted(std::string_view text) {
  return fmt::format("'{}'", quoted(text, "\\", "\\'"));
}

std::string fish_value(const ManualOption& option) {
  switch (option.kind) {
    case ValueKind::choice:
      return fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
    case ValueKind::file:
      return " -r -F";
    case ValueKind::directory:
      return " -x -a '(__fish_complete_directories)'";
    case ValueKind::text:
      break;
  }
  return option.value.empty() ? "" : " -x";
}

std::string fish_flag(const ManualOption& flag, const std::string& condition) {
  std::string line = "complete -c tessera" + condition;
  for (const std::string& name : flag.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  return line + fish_value(flag) + " -d " + fish_quoted(summary(flag)) + "\n";
}

}  // namespace

std::string zsh_completion(const Manual& manual) {
  std::string names, cases, flags;
  for (const ManualCommand& command : manual.commands) {
    names += fmt::format("    '{}:{}'\n", command.name, zsh_quoted(command.help));
    cases += zsh_case(command);
  }
  for (const ManualOption& flag : manual.flags) {
    for (const std::string& name : flag.names) {
      flags += fmt::format("    '(- *){}[{}]' \\\n", name, zsh_quoted(summary(flag)));
    }
  }
  return fmt::format(
      "#compdef {0}\n"
      "# Completion of {0} in zsh, made by `{0} manual zsh` from the tool's option tables.\n"
      "_{0}() {{\n"
      "  local curcontext=$curcontext state line\n"
      "  local -a commands\n"
      "  commands=(\n{1}    'help:What a command takes'\n  )\n"
      "  _arguments -C \\\n{2}    '1:command:->command' \\\n    '*::argument:->argument' && return "
      "0\n"
      "  if [[ $state = command ]]; then\n"
      "    _describe -t commands command commands\n"
      "    return\n"
      "  fi\n"
      "  case $words[1] in\n"
      "    help) _describe -t commands command commands ;;\n"
      "{3}"
      "  esac\n"
      "}}\n"
      "_{0} \"$@\"\n",
      manual.name, names, flags, cases);
}

std::string fish_completion(const Manual& manual) {
  std::string lines = fmt::format(
      "# Completion of {0} in fish, made by `{0} manual fish` from the tool's option tables.\n"
      "complete -c {0} -f\n"
      "complete -c {0} -n __fish_use_subcommand -a help -d 'What a command takes'\n",
      manual.name);
  for (const ManualOption& flag : manual.flags) {
    lines += fish_flag(flag, " -n __fish_use_subcommand");
  }
  for (const ManualCommand& command : manual.commands) {
    lines += fmt::format("complete -c {} -n __fish_use_subcommand -a {} -d {}\n", manual.name,
                         command.name, fish_quoted(command.help));
    const std::string condition = " -n '__fish_seen_subcommand_from " + command.name + "'";
    for (const ManualOption& flag : command.flags) lines += fish_flag(flag, condition);
    // fish does not count arguments: files where any of them is one (a model's folder is offered too).
    ManualOption place;
    for (const ManualOption& each : command.places) {
      if (place.kind != ValueKind::file) place = each;
    }
    if (place.kind == ValueKind::file) {
      lines += fmt::format("complete -c {}{} -F\n", manual.name, condition);
    } else if (!command.places.empty()) {
      lines += fmt::format("complete -c {}{} -a '(__fish_complete_directories)'\n", manual.name,
                           condition);
    }
  }
  return lines;
}

}  // namespace tessera::cli
