// SPDX-License-Identifier: Apache-2.0
//
// What a report is drawn from: one plan at one number of rows, what meters measured of it, and what
// surrounds it. The plots only read it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "runtime/machine/machine.hpp"
#include "runtime/meters/meter.hpp"
#include "runtime/plan/linear.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/report.hpp"
#include "runtime/program/program.hpp"

namespace tessera::plots {

/// The place of an op in a layer; its name is the class of its colour.
enum class Part { qkv, attention, projection, up, down, other };
inline constexpr Part kParts[] = {Part::qkv, Part::attention, Part::projection,
                                  Part::up,  Part::down,      Part::other};
const char* class_of(Part part) noexcept;  ///< "qkv", …
const char* label_of(Part part) noexcept;  ///< "Q, K, V", "attention", "feed-forward up", …

/// Where an op stands. Linears of a layer are taken in their order: before attention, after it, the
/// feed-forward ones.
struct Place {
  int layer = -1;  ///< −1: before the layers, or after
  Part part = Part::other;
};
/// One per op of the program.
std::vector<Place> places_of(const Program& program);

/// One shape of linear over rows: what the best blocks of every order move into L2.
struct OrderSweep {
  struct Step {
    Index rows;
    double bound_bytes;
    std::optional<double> bytes[std::size(kLoopOrders)];  ///< empty: no blocks of it may be used
    LoopOrder chosen;
  };
  std::string name;  ///< "Q, K, V (K=768, N=2304)"
  std::vector<Step> steps;
};
/// The shapes of linears of `plan` that differ, by rows 1 … max_rows in steps of about a quarter octave.
std::vector<OrderSweep> sweep_orders(const Program& program, const PlanMachine& machine,
                                     const Plan& plan, Index max_rows);

struct ReportData {
  std::string model;
  PlanReport plan;
  std::optional<meters::Measurement> bytes{};  ///< of the meter that counted bytes
  std::optional<meters::Measurement> time{};   ///< of the meter that took the time
  MachineRates rates;
  Machine machine;
  int threads = 1;
  Program program;
  MemoryPlan memory;
  std::vector<OrderSweep> sweeps;
  std::size_t weight_bytes = 0, arena_bytes = 0;
  std::vector<std::string> notes{};  ///< what the report lacks, one line each
};

/// The measurement of op `i` (alone, or as the first of a chain); null: none.
const meters::OpMeasurement* measured_op(const std::optional<meters::Measurement>& measurement,
                                         std::size_t i) noexcept;

/// Predicted into L2: in a run where that is known, else for the op alone.
double l2_bytes_of(const OpReport& op) noexcept;
double l2_bytes_of(const PlanReport& plan) noexcept;

/// FLOP of op `i`. Linears and attention: what they multiply and add. Others, per element: layer
/// norm 8 (two sums, difference, square, scale, gain, offset), 2 more with a residual and its sum
/// counted once; add, pool, embedding term 1; L2 norm 3; activation 8.
double flops_of(const ReportData& data, std::size_t i);

}  // namespace tessera::plots
