// SPDX-License-Identifier: Apache-2.0
// tessera info: what a model directory is, and what computing it takes.
#include <CLI/CLI.hpp>

#include "tessera/cli/options.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/pipeline/model_facts.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Info {
  ModelFlags model;
  RoleFlag role;
  bool is_json = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;
};

void Info::run(const CLI::App& /*command*/) const {
  const auto package = role.open_route(model);
  const std::vector<std::string> outputs{main_output(package->program)};
  model.require_sparse_for_top_k(*package, outputs);
  const ModelFacts facts = describe(*package, model.encoder_options(outputs));
  OutputFile out("-");
  out.write(is_json ? facts.as_json() : facts.as_text());
  out.finish();
}

void Info::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_tower_to(command);
  role.add_route_to(command);
  model.add_embedding_to(command);
  model.add_top_k_to(command);
  model.add_memory_cap_to(command, "--memory-cap,--max-memory",
                          "Say what one text or image may be within so many bytes of weights and "
                          "arena, e.g. 500M or 2G");
  command.add_flag("--json", is_json, "One JSON object");
  command.footer(
      "The memory of a run is known before the weights are read: weights_packed_bytes are held,\n"
      "weights_mapped_bytes are read in place from the file, and arena_bytes are the most that\n"
      "batches of batch_tokens tokens take. other_weights_packed_bytes and other_arena_bytes are\n"
      "those of the precision that is not computed, other_precision, with the ratio of the two\n"
      "rates where this machine's were measured; its time is of a batch: tessera plan says it.");
}

}  // namespace

void add_info(CLI::App& root) {
  add_command<Info>(root, "info", "Architecture, parameters, types, and memory of a model");
}

}  // namespace tessera::cli
