// SPDX-License-Identifier: Apache-2.0
// What the tool takes, read from its option tables; and what is made of that: the manual page and the
// completion of three shells.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace tessera::cli {

/// What a shell offers for a value.
enum class ValueKind { text, choice, file, directory };

struct ManualOption {
  std::vector<std::string> names;    ///< "-o", "--output"; or of an argument by its place "MODEL"
  std::string value;                 ///< what the value is called; empty: there is none
  ValueKind kind = ValueKind::text;  ///< of the value
  std::vector<std::string> choices;  ///< of ValueKind::choice
  bool is_required = false;
  bool is_value_optional = false;     ///< `--truncation` alone is a choice, too
  bool repeats = false;               ///< may be given several times
  bool takes_many = false;            ///< all words up to the next flag are values
  std::vector<std::string> excludes;  ///< flags that may not be given too
  std::string help;
};

struct ManualCommand {
  std::string name, help, footer;
  std::vector<ManualOption> places, flags;
};

struct Manual {
  std::string name, version, help, footer;
  std::vector<ManualOption> flags;      ///< of the tool without a command
  std::vector<ManualCommand> commands;  ///< those that --help shows
};

/// The tables of `root`; `version`: what the tool calls itself.
Manual read_manual(CLI::App& root, const std::string& version);

/// "DIR", "FILE...", "[QUERY...]": an argument or a value as a usage line shows it.
std::string usage_of(const ManualOption& place);

/// man(7), UTF-8, without a date.
std::string man_page(const Manual& manual);
/// Of bash 4 and later; needs no bash-completion.
std::string bash_completion(const Manual& manual);
std::string zsh_completion(const Manual& manual);
std::string fish_completion(const Manual& manual);

/// The first sentence of its help, for a menu.
std::string summary(const ManualOption& option);

}  // namespace tessera::cli
