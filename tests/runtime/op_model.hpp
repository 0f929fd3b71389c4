// SPDX-License-Identifier: Apache-2.0
// A program that a test writes op by op, with random parameters in a temporary safetensors file.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/program/program.hpp"
#include "runtime/session/session.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/random.hpp"

namespace tessera::test {

class OpModel {
 public:
  Program& program() { return program_; }
  const Program& program() const { return program_; }

  /// A random tensor of the checkpoint, (rows, cols) f32.
  const std::vector<float>& tensor(const std::string& name, Index rows, Index cols,
                                   float scale = 1.0F) {
    std::vector<float>& values = tensors_[name];
    Random random{std::hash<std::string>{}(name)};
    for (Index i = 0; i < rows * cols; ++i) values.push_back(scale * random.normal());
    return values;
  }
  const std::vector<float>& operator[](const std::string& name) const { return tensors_.at(name); }

  /// A parameter that is one random tensor of its name.
  ParameterId parameter(const std::string& name, ParameterKind kind, Index rows, Index cols = 1,
                        float scale = 1.0F) {
    tensor(name, rows, cols, scale);
    return program_.add_parameter(
        {.name = name, .kind = kind, .rows = rows, .cols = cols, .sources = {{name, rows}}});
  }

  /// Adds `op` with a new value as its output, which is an output of the program, too.
  template <class O>
  ValueId add(const std::string& name, SpaceId space, Index width, O op) {
    op.out = program_.add_value(name, space, width);
    program_.ops.emplace_back(op);
    program_.outputs.push_back({name, op.out});
    return op.out;
  }

  /// The checkpoint as it is now.
  std::shared_ptr<const Checkpoint> checkpoint() const {
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, values] : tensors_) {
      tensors.push_back({.name = name,
                         .type = StoredType::f32,
                         .shape = {std::ssize(values)},
                         .data = std::as_bytes(std::span(values))});
    }
    write_safetensors(file_.path(), tensors);
    return std::make_shared<const Checkpoint>(Checkpoint::open(file_.path()));
  }

  std::unique_ptr<Session> session(Isa isa, Index rows, Index sequences, int threads = 1) const {
    check(program_);
    const auto model = Model::create(program_, checkpoint(), {.isa = isa, .outputs = {}});
    return Session::create(
        model, {.max_rows = rows, .max_sequences = sequences, .threads = threads, .outputs = {}});
  }

 private:
  Program program_;
  std::map<std::string, std::vector<float>> tensors_;
  TemporaryFile file_{".safetensors"};
};

}  // namespace tessera::test
