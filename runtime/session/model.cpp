// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <span>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/float_environment.hpp"
#include "runtime/program/rewrites.hpp"
#include "runtime/session/level.hpp"
#include "runtime/session/parts.hpp"
#include "runtime/session/session.hpp"

namespace tessera {

LoadedModel::LoadedModel(Program program, std::shared_ptr<const Checkpoint> checkpoint,
                         const kernels::KernelTable& kernels, const WeightOptions& options)
    : kernels_(kernels),
      program_(std::move(program)),
      weights_(program_, std::move(checkpoint), kernels, options) {}

namespace {

const kernels::KernelTable& kernels_of(const ModelOptions& options) {
  if (options.kernels != nullptr) return *options.kernels;
  return kernels::kernels_at(resolve_isa(options.isa, options.precision));
}

/// Every precision that the program uses has its kernels at this level.
void check_families(const Program& program, const kernels::KernelTable& kernels) {
  const auto require = [&](bool has, const char* what, const std::string& name, Precision p) {
    if (has) return;
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("model: {} \"{}\" asks for {}, expected a precision that level \"{}\" has",
                    what, name, to_string(p), to_string(kernels.isa)));
  };
  for (const Parameter& p : program.parameters) {
    if (p.kind != ParameterKind::matrix) continue;
    require(kernels.gemm[p.precision].run != nullptr, "weight", p.name, p.precision);
  }
  for (const Op& op : program.ops) {
    const auto* attention = std::get_if<AttentionOp>(&op);
    if (attention == nullptr) continue;
    require(kernels.attention[attention->precision].run != nullptr, "attention",
            program.values[at(attention->out)].name, attention->precision);
  }
}

/// ModelOptions::held_outputs of `whole`, in what was made of it.
void add_held_outputs(const Program& whole, std::span<const std::string> names, Program& made) {
  for (const std::string& name : names) {
    if (made.find_output(name) != kNone) continue;
    const std::int32_t found = whole.find_output(name);
    if (found == kNone) {
      throw Error(ErrorCode::not_found,
                  fmt::format("held_outputs: the model has no output \"{}\", expected one of its "
                              "outputs",
                              name));
    }
    const std::string& value = whole.values[at(whole.outputs[at(found)].value)].name;
    for (std::size_t v = 0; v < made.values.size(); ++v) {
      if (made.values[v].name != value || made.values[v].type != DType::f32) continue;
      made.outputs.push_back({name, static_cast<ValueId>(v)});
    }
  }
}

}  // namespace

Program model_program(const Program& program, const ModelOptions& options) {
  check(program);
  Program kept = options.outputs.empty() ? program : keep_outputs(program, options.outputs);
  const kernels::KernelTable& kernels = kernels_of(options);
  const bool whole = options.precision == Precision::s8;
  kept = in_precision(
      fuse_epilogues(pool_early(kept)),
      {.precision = options.precision,
       .attention = kernels.attention[whole ? Precision::bf16 : options.precision].run != nullptr,
       .quantized = kernels.gemm[Precision::s8].bits.a == 8 ? DType::s8 : DType::s16,
       .ternary = kernels.gemm[Precision::ternary].run != nullptr,
       .keep = options.keep,
       .clips = options.clip_weights});
  add_held_outputs(program, options.held_outputs, kept);
  check(kept);
  check_families(kept, kernels);
  return kept;
}

std::shared_ptr<const Model> Model::create(const Program& program,
                                           std::shared_ptr<const Checkpoint> checkpoint,
                                           const ModelOptions& options) {
  const FloatEnvironment floats;
  const kernels::KernelTable& kernels = kernels_of(options);
  Program kept = model_program(program, options);
  WeightOptions weights{.isa = kernels.isa,
                        .cache_directory = options.packed_cache,
                        .copy_tables = options.copy_tables};
  if (options.kernels != nullptr) weights.cache_directory.clear();  // what it packs is its own
  if (options.memory_cap_bytes != 0) {
    const WeightBytes bytes = weight_bytes(kept, *checkpoint, kernels, options.copy_tables);
    if (bytes.packed + bytes.mapped > options.memory_cap_bytes) {
      throw Error(ErrorCode::out_of_memory,
                  fmt::format("model: the weights take {} bytes ({} packed, {} mapped), expected "
                              "at most memory_cap_bytes {}",
                              bytes.packed + bytes.mapped, bytes.packed, bytes.mapped,
                              options.memory_cap_bytes));
    }
  }
  return std::make_shared<LoadedModel>(std::move(kept), std::move(checkpoint), kernels, weights);
}

}  // namespace tessera
