// SPDX-License-Identifier: Apache-2.0
//
// One batch through a model in two precisions, and how far what it computes is apart: the values that carry
// the residual stream (residual_stream.hpp) and the outputs, in the order in which they are computed. So one
// sees where accuracy goes: the state of layer k is off by what layers 1 … k did.
//
// Compared is what a run of the outputs asked for holds whole in memory as f32, and nothing is computed
// for it: an encoder that gives one row per sequence computes its last layer for that row alone, and may
// do so in another precision than for all rows.
#pragma once

#include <string>
#include <vector>

#include "tessera/measure/difference.hpp"
#include "tessera/measure/metered_model.hpp"

namespace tessera {

/// A value of a run that is an output of with_stream(), or several.
struct HeldValue {
  std::vector<std::string> names;  ///< "last_hidden_state", "hidden_states.6"
  std::string value;               ///< as the program calls it: "layer.5.out"
  Index rows = 0, cols = 0;
  std::vector<float> elements;  ///< (rows, cols)

  TensorView<const float> view() const noexcept {
    return {.data = elements.data(), .rows = rows, .cols = cols, .stride = cols};
  }
};

/// One run, and all that it holds, in the order in which it was written.
/// Precondition: MeteredOptions::holds_states.
std::vector<HeldValue> held_values(MeteredModel& metered);

/// An op that multiplies matrices, and the elements that it multiplies.
struct Product {
  std::string kind, name;  ///< "linear", "layer.5.out": the value that it writes
  Precision precision = Precision::f32;
};
/// Those of a program, in order.
std::vector<Product> products_of(const Program& program);

/// One of the two runs.
struct AgainstSide {
  Precision precision = Precision::f32;
  std::string isa;
  std::vector<Product> products;
};

struct Compared {
  std::vector<std::string> names;
  std::string value;
  Index rows = 0, cols = 0;
  Difference difference;
};

struct Against {
  std::string model;
  Index rows = 0, sequences = 0;
  int threads = 0;
  AgainstSide sides[2];  ///< the run that is looked at, and the one that it is compared with
  std::vector<Compared> values;
  /// States of layers that not both runs hold.
  std::vector<std::string> not_held;

  /// The first of `values` that is not equal in both; null if all are.
  const Compared* first_off() const noexcept;
};

/// The values that both hold, of `a` from `b`. Throws Error{internal} where two of one name have
/// different shapes.
std::vector<Compared> compare_held(const std::vector<HeldValue>& a,
                                   const std::vector<HeldValue>& b);

/// `options` and the same with `other` as their precision, one after the other: two models are never in
/// memory at a time. Errors: as MeteredModel(); invalid_argument where both come to the same precision.
Against make_against(const std::shared_ptr<const models::Package>& package, EncoderOptions options,
                     PrecisionOption other, BatchShape shape,
                     MeteredOptions::Rates rates = MeteredOptions::Rates::resolved);

std::string against_text(const Against& against);
std::string against_json(const Against& against);

}  // namespace tessera
