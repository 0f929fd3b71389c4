// SPDX-License-Identifier: Apache-2.0
// A program that a test writes op by op, with random parameters in a temporary safetensors file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/plan/report.hpp"
#include "runtime/program/program.hpp"
#include "runtime/session/session.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tensors.hpp"

namespace tessera::test {

/// What a report says of the only op of a kind at so many rows, by a machine of which only the arithmetic takes
/// time: 1 GFLOP/s in f32, 4 in bf16, 8 in whole numbers.
inline OpReport report_of(const std::shared_ptr<const Model>& model, const char* kind, Index rows) {
  MachineRates rates{.l1_bytes = 1e18,
                     .l2_bytes = 1e18,
                     .l3_bytes = 1e18,
                     .memory_bytes = 1e18,
                     .exps = 1e18,
                     .source = "measured"};
  rates.flops[Precision::f32] = 1e9;
  rates.flops[Precision::bf16] = 4e9;
  rates.flops[Precision::s8] = 8e9;
  const auto session = Session::create(
      model, {.max_rows = rows, .max_sequences = 1, .threads = 1, .outputs = {}, .rates = rates});
  for (const OpReport& op : session->report(rows, 1).ops) {
    if (op.kind == kind) return op;
  }
  throw std::out_of_range(kind);
}

class OpModel {
 public:
  /// Models of another `variant` have other values.
  explicit OpModel(std::uint64_t variant = 0) : variant_(variant) {}

  Program& program() { return program_; }
  const Program& program() const { return program_; }

  /// A random tensor of the checkpoint, rows * cols of f32.
  const std::vector<float>& tensor(const std::string& name, Index rows, Index cols,
                                   float scale = 1.0F, float mean = 0.0F) {
    return add_random(tensors_, name, {rows * cols}, scale, mean, variant_).data;
  }
  const std::vector<float>& operator[](const std::string& name) const {
    return tensors_.at(name).data;
  }
  const Tensors& tensors() const { return tensors_; }
  /// To be changed before checkpoint().
  std::vector<float>& values(const std::string& name) { return tensors_.at(name).data; }

  /// A parameter that is one random tensor of its name.
  ParameterId parameter(const std::string& name, ParameterKind kind, Index rows, Index cols = 1,
                        float scale = 1.0F, float mean = 0.0F) {
    tensor(name, rows, cols, scale, mean);
    return program_.add_parameter({.name = name,
                                   .kind = kind,
                                   .rows = rows,
                                   .cols = cols,
                                   .sources = {{name, rows}},
                                   .gather = {}});
  }

  /// Adds `op` with a new value as its output, which is an output of the program, too.
  template <class O>
  ValueId add(const std::string& name, SpaceId space, Index width, O op) {
    op.out = program_.add_value(name, space, width);
    program_.ops.emplace_back(op);
    program_.outputs.push_back({name, op.out});
    return op.out;
  }

  /// Of the file that checkpoint() writes.
  const std::filesystem::path& path() const { return file_.path(); }

  /// The checkpoint as it is now, in a file that lives as long as the model.
  std::shared_ptr<const Checkpoint> checkpoint() const {
    write_tensors(file_.path(), tensors_);
    return std::make_shared<const Checkpoint>(Checkpoint::open(file_.path()));
  }

  std::unique_ptr<Session> session(Isa isa, Index rows, Index sequences, int threads = 1,
                                   Precision precision = Precision::f32) const {
    check(program_);
    const auto model =
        Model::create(program_, checkpoint(), {.isa = isa, .outputs = {}, .precision = precision});
    return Session::create(
        model, {.max_rows = rows, .max_sequences = sequences, .threads = threads, .outputs = {}});
  }

 private:
  std::uint64_t variant_;
  Program program_;
  Tensors tensors_;
  TemporaryFile file_{".safetensors"};
};

}  // namespace tessera::test
