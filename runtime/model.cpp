// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <utility>

#include "runtime/error.hpp"
#include "runtime/program/rewrites.hpp"
#include "runtime/session.hpp"
#include "runtime/session_parts.hpp"

namespace tessera {

Isa resolve_isa(std::optional<Isa> asked) {
  if (asked) {
    if (cpu_supports(*asked)) return *asked;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("isa: this CPU does not support \"{}\", expected at most \"{}\"",
                            to_string(*asked), to_string(best_isa())));
  }
  const DefaultIsa found = default_isa();
  if (found.isa) return *found.isa;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format(
          "TESSERA_ISA: \"{}\" is {}, expected baseline, avx2 or avx512, at most \"{}\" here",
          found.value, found.problem, to_string(best_isa())));
}

LoadedModel::LoadedModel(Program program, std::shared_ptr<const Checkpoint> checkpoint, Isa isa)
    : isa_(isa),
      program_(std::move(program)),
      weights_(program_, std::move(checkpoint), kernels::kernels_at(isa)) {}

std::shared_ptr<const Model> Model::create(const Program& program,
                                           std::shared_ptr<const Checkpoint> checkpoint,
                                           const ModelOptions& options) {
  check(program);
  const Isa isa = resolve_isa(options.isa);
  Program kept = options.outputs.empty() ? program : keep_outputs(program, options.outputs);
  kept = fuse_epilogues(kept);
  check(kept);
  return std::make_shared<LoadedModel>(std::move(kept), std::move(checkpoint), isa);
}

}  // namespace tessera
