// SPDX-License-Identifier: Apache-2.0
// tessera manual: a command of the build, which --help does not show.
#include "tessera/cli/manual.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <utility>

#include "tessera/cli/options.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

bool is_shown(const std::string& group) {
  return !group.empty();
}

// What the value is by what --help calls it; an argument by its place may have its name alone.
ValueKind kind_of(const std::string& value, bool has_choices) {
  if (has_choices) return ValueKind::choice;
  if (value == "DIR") return ValueKind::directory;
  return value == "FILE" || value == "FILE..." ? ValueKind::file : ValueKind::text;
}

ManualOption read_option(CLI::Option& option) {
  ManualOption read;
  for (const std::string& name : option.get_snames()) read.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) read.names.push_back("--" + name);
  const bool is_place = read.names.empty();
  if (is_place) read.names.push_back(option.get_name(true));
  const bool has_value = option.get_items_expected_max() > 0;
  if (has_value) read.value = option.get_type_name();
  read.choices = choices_of(option);
  read.kind = kind_of(is_place && read.value.empty() ? read.names.front() : read.value,
                      !read.choices.empty());
  read.is_required = option.get_required();
  read.is_value_optional = has_value && option.get_items_expected_min() == 0;
  read.repeats = option.get_items_expected_max() > 1;
  read.takes_many = read.repeats && option.get_allow_extra_args();
  for (const CLI::Option* other : option.get_excludes()) {
    read.excludes.push_back(other->get_name(false, false));
  }
  read.help = option.get_description();
  return read;
}

void read_options(CLI::App& app, std::vector<ManualOption>& places,
                  std::vector<ManualOption>& flags) {
  for (CLI::Option* option : app.get_options()) {
    if (!is_shown(option->get_group())) continue;
    (option->get_positional() ? places : flags).push_back(read_option(*option));
  }
}

struct ManualFlags {
  std::string form;
  CLI::App& root;
  std::string version;

  void add_to(CLI::App& command) {
    add_choice(command, "FORM", form, "", {"man", "bash", "zsh", "fish"},
               "What to write: the manual page, or the completion of a shell")
        ->required();
  }
  void run() const {
    const Manual manual = read_manual(root, version);
    OutputFile out("-");
    out.write(form == "man"    ? man_page(manual)
              : form == "bash" ? bash_completion(manual)
              : form == "zsh"  ? zsh_completion(manual)
                               : fish_completion(manual));
    out.finish();
  }
};

}  // namespace

Manual read_manual(CLI::App& root, const std::string& version) {
  Manual manual;
  manual.name = root.get_name();
  manual.version = version;
  manual.help = root.get_description();
  manual.footer = root.get_footer();
  std::vector<ManualOption> none;
  read_options(root, none, manual.flags);
  for (CLI::App* app : root.get_subcommands([](CLI::App*) { return true; })) {
    if (!is_shown(app->get_group())) continue;
    ManualCommand command;
    command.name = app->get_name();
    command.help = app->get_description();
    command.footer = app->get_footer();
    read_options(*app, command.places, command.flags);
    manual.commands.push_back(std::move(command));
  }
  return manual;
}

std::string usage_of(const ManualOption& place) {
  const std::string name = place.names.front() + (place.takes_many ? "..." : "");
  return place.is_required ? name : "[" + name + "]";
}

std::string summary(const ManualOption& option) {
  std::string text;  // without what is in brackets
  int depth = 0;
  for (const char c : option.help) {
    if (c == '(') ++depth;
    if (depth == 0) text += c;
    if (c == ')') --depth;
    if (c == '(' && text.ends_with(' ')) text.pop_back();
  }
  std::size_t end = text.size();
  for (const char* stop : {"; ", ". "}) end = std::min(end, text.find(stop));
  if (!option.choices.empty()) end = std::min(end, text.find(": "));  // a shell lists them
  constexpr std::size_t kMost = 72;
  if (end > kMost) end = std::min(end, text.rfind(' ', kMost));
  return text.substr(0, end);
}

void add_manual(CLI::App& root, const std::string& version) {
  CLI::App* const command = root.add_subcommand("manual", "The manual page, or shell completion");
  command->group("");  // not shown by --help
  auto flags =
      std::make_shared<ManualFlags>(ManualFlags{.form = {}, .root = root, .version = version});
  flags->add_to(*command);
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
