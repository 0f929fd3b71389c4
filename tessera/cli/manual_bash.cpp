// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tessera/cli/manual.hpp"

namespace tessera::cli {
namespace {

// What _tessera_offer() takes: a kind, or "words" and what they are.
std::string offer_of(const ManualOption& option) {
  switch (option.kind) {
    case ValueKind::choice:
      return fmt::format("words '{}'", fmt::join(option.choices, " "));
    case ValueKind::file:
      return "files";
    case ValueKind::directory:
      return "directories";
    case ValueKind::text:
      break;
  }
  return "nothing";
}

std::vector<std::string> names_of(const std::vector<ManualOption>& flags) {
  std::vector<std::string> names;
  for (const ManualOption& flag : flags) {
    names.insert(names.end(), flag.names.begin(), flag.names.end());
  }
  return names;
}

// The case of one command: its flags, which of them take one value and which many, and two questions.
std::string case_of(const ManualCommand& command) {
  std::vector<std::string> one, many;
  std::string values, places;
  for (const ManualOption& flag : command.flags) {
    if (flag.value.empty()) continue;
    auto& list = flag.takes_many ? many : one;
    list.insert(list.end(), flag.names.begin(), flag.names.end());
    if (flag.kind == ValueKind::text) continue;
    values +=
        fmt::format("        {}) offer=({}) ;;\n", fmt::join(flag.names, "|"), offer_of(flag));
  }
  int at = 0;
  for (const ManualOption& place : command.places) {
    places += place.takes_many ? fmt::format("        *) place=({}) ;;\n", offer_of(place))
                               : fmt::format("        {}) place=({}) ;;\n", at++, offer_of(place));
  }
  return fmt::format(
      "    {})\n"
      "      flags='{}'\n"
      "      one=' {} '\n"
      "      many=' {} '\n"
      "      _tessera_look\n"
      "      case $flag in\n{}      esac\n"
      "      case $places in\n{}      esac\n"
      "      ;;\n",
      command.name, fmt::join(names_of(command.flags), " "), fmt::join(one, " "),
      fmt::join(many, " "), values, places);
}

constexpr const char* kFunctions = R"(
# Where the cursor is: behind `flag`, of which `left` values are to come, and behind `places` arguments.
_tessera_look() {
  local i word
  for ((i = 2; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $ended = no && $word = = && ${COMP_WORDS[i - 1]} = -* ]]; then
      left=1
    elif [[ $ended = no && $word = -- ]]; then
      ended=yes left=0
    elif [[ $ended = no && $word = -?* ]]; then
      flag=$word left=0
      [[ $one != *" $flag "* ]] || left=1
      [[ $many != *" $flag "* ]] || left=1000000
    elif ((left > 0)); then
      left=$((left - 1))
    else
      places=$((places + 1))
    fi
  done
}

# _tessera_offer KIND [WORDS]: what begins with `current`.
_tessera_offer() {
  case $1 in
    words) mapfile -t COMPREPLY < <(compgen -W "$2" -- "$current") ;;
    files)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    directories)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      ;;
  esac
}
)";

}  // namespace

std::string bash_completion(const Manual& manual) {
  std::vector<std::string> commands;
  std::string cases;
  for (const ManualCommand& command : manual.commands) {
    commands.push_back(command.name);
    cases += case_of(command);
  }
  return fmt::format(
      "# Completion of {0} in bash, made by `{0} manual bash` from the tool's option tables.\n"
      "# shellcheck shell=bash\n"
      "{1}\n"
      "_{0}() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} flags='' one='' many='' flag='' left=0 places=0 "
      "ended=no\n"
      "  local offer=(nothing) place=(nothing)\n"
      "  COMPREPLY=()\n"
      "  [[ $current != = ]] || current=''\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    _tessera_offer words '{2} help {3}'\n"
      "    return\n"
      "  fi\n"
      "  case ${{COMP_WORDS[1]}} in\n"
      "    help)\n"
      "      ((COMP_CWORD > 2)) || _tessera_offer words '{2}'\n"
      "      return\n"
      "      ;;\n"
      "{4}"
      "    *) return ;;\n"
      "  esac\n"
      "  [[ ${{COMP_WORDS[COMP_CWORD]}} != = || ${{COMP_WORDS[COMP_CWORD - 1]}} != -* ]] || "
      "left=1\n"
      "  if [[ $ended = no && $current = -* ]]; then\n"
      "    _tessera_offer words \"$flags\"\n"
      "  elif ((left > 0)); then\n"
      "    _tessera_offer \"${{offer[@]}}\"\n"
      "  else\n"
      "    _tessera_offer \"${{place[@]}}\"\n"
      "  fi\n"
      "}}\n"
      "complete -F _{0} {0}\n",
      manual.name, kFunctions, fmt::join(commands, " "), fmt::join(names_of(manual.flags), " "),
      cases);
}

}  // namespace tessera::cli
