// SPDX-License-Identifier: Apache-2.0
// The command-line tool: chooses the sub-command, turns what it throws into a message and an exit
// status.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/isa.hpp"
#include "models/package.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/process.hpp"
#include "tessera/cli/say.hpp"
#include "tessera/pipeline/output_file.hpp"

#ifndef TESSERA_VERSION
#define TESSERA_VERSION "unknown"
#endif
#ifndef TESSERA_BUILD_TYPE
#define TESSERA_BUILD_TYPE "unknown"
#endif

namespace tessera::cli {
namespace {

std::string version_text() {
  const DefaultIsa chosen = default_isa();
  const std::string isa = chosen.isa
                              ? std::string(to_string(*chosen.isa))
                              : fmt::format("TESSERA_ISA={} is {}", chosen.value, chosen.problem);
  return fmt::format(
      "tessera {}\n"
      "instruction set: {} (this CPU: {})\n"
      "build: {}, GCC {}.{}.{}, C++{}\n",
      TESSERA_VERSION, isa, to_string(best_isa()), TESSERA_BUILD_TYPE, __GNUC__, __GNUC_MINOR__,
      __GNUC_PATCHLEVEL__, __cplusplus / 100 % 100);
}

// Every line of `text` with two blanks before it.
std::string indented(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3) {
    text.insert(at + 1, "  ");
  }
  return "  " + text;
}

std::string footer() {
  return fmt::format(
      "`tessera help COMMAND` says what a command takes.\n"
      "A MODEL is a directory as published: config.json, model.safetensors or pytorch_model.bin,\n"
      "tokenizer files, and where it has them the files of sentence-transformers. Understood:\n"
      "{}\n"
      "Exit status: 0 done; 1 a model, an input or the system refuses (stderr says what);\n"
      "  2 wrong usage; {} the reader of stdout has gone.\n"
      "A file given with -o is written whole or not at all.\n"
      "TESSERA_ISA lowers the instruction set.\n"
      "Examples:\n"
      "  tessera embed model texts.txt --format npy -o vectors.npy\n"
      "  tessera search model --index notes.txt \"how do I brew tea\"\n"
      "  tessera info model",
      indented(models::supported_architectures()), kExitClosedPipe);
}

int print_and_finish(const std::string& text) {
  OutputFile out("-");
  out.write(text);
  out.finish();
  return kExitOk;
}

std::string command_name(const CLI::App& root) {
  const std::vector<const CLI::App*> chosen =
      root.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : chosen) {
    if (command->parsed()) return "tessera " + command->get_name();
  }
  return "tessera";
}

int report(const CLI::App& root, const std::string& message, int status) {
  const std::string name = command_name(root);
  say("{}: {}\n", name, message);
  if (status == kExitUsage) say("Try '{} --help'.\n", name);
  return status;
}

// `tessera help COMMAND` is `tessera COMMAND --help`, and `tessera help` `tessera --help`.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words.front() != "help") return words;
  if (words.size() > 2) {
    throw UsageError(fmt::format("help: got {} words, expected one command", words.size() - 1));
  }
  words.erase(words.begin());
  words.emplace_back("--help");
  return words;
}

// A first word that is no command: CLI11 would only say that one is missing.
void check_command_name(const CLI::App& root, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; })) {
    if (word == command->get_name()) return;
    if (command->get_group().empty()) continue;  // not shown
    names.push_back(command->get_name());
  }
  throw UsageError(fmt::format("got {}, expected one of the commands {}",
                               word.empty() ? "no command" : "command '" + word + "'",
                               fmt::join(names, ", ")));
}

int run(CLI::App& root, int argc, char** argv) {
  try {
    std::vector<std::string> words = arguments(argc, argv);
    const std::string first = words.empty() ? "" : words.front();
    if (first.empty() || first.front() != '-') check_command_name(root, first);
    std::reverse(words.begin(), words.end());  // as parse() takes them
    root.parse(std::move(words));
    return kExitOk;
  } catch (const CLI::CallForHelp&) {
    return print_and_finish(root.help());
  } catch (const CLI::CallForVersion&) {
    return print_and_finish(version_text());
  } catch (const CLI::ParseError& e) {
    return report(root, e.what(), kExitUsage);
  } catch (const UsageError& e) {
    return report(root, e.what(), kExitUsage);
  }
}

int guarded_run(CLI::App& root, int argc, char** argv) {
  try {
    return run(root, argc, argv);
  } catch (const ClosedPipe&) {
    return kExitClosedPipe;
  } catch (const Error& e) {
    const bool is_ours = e.code() == ErrorCode::internal;
    return report(root,
                  is_ours ? fmt::format("internal error (a bug of Tessera): {}", e.what())
                          : std::string(e.what()),
                  kExitFailure);
  } catch (const std::bad_alloc&) {
    return report(root, "out of memory", kExitFailure);
  } catch (const std::exception& e) {
    return report(root, fmt::format("internal error (a bug of Tessera): {}", e.what()),
                  kExitFailure);
  }
}

}  // namespace
}  // namespace tessera::cli

int main(int argc, char** argv) {
  using namespace tessera;
  cli::prepare_process();
  set_log_callback([](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) cli::say("tessera: warning: {}\n", message);
  });
  CLI::App root(
      "Transformer encoders on CPUs: texts and images to embeddings, classes, and states.",
      "tessera");
  root.set_version_flag("--version", cli::version_text());
  root.require_subcommand(1);
  cli::add_embed(root);
  cli::add_classify(root);
  cli::add_answer(root);
  cli::add_similar(root);
  cli::add_search(root);
  cli::add_rerank(root);
  cli::add_tokens(root);
  cli::add_info(root);
  cli::add_plan(root);
  cli::add_profile(root);
  cli::add_report(root);
  cli::add_run(root);
  cli::add_quantize(root);
  cli::add_verify(root);
  cli::add_manual(root, TESSERA_VERSION);
  root.footer(cli::footer());  // last: commands without a footer would take it over
  return cli::guarded_run(root, argc, argv);
}
