// SPDX-License-Identifier: Apache-2.0
//
// --tessera_meter=hardware: runs after the timed ones are counted, and the benchmark carries
//
//   l1_MB l2_MB l3_MB   megabytes into L1, L2, L3 and back, per iteration
//   instr cycles        millions, per iteration
//
// --tessera_meter=time (whole models): what an attached time meter costs, by runs with and without
// it in turn.
//
//   meter_ratio         time with the meter over time without, median of the turns
//
// What cannot be counted here is said once on stderr, and the benchmark goes on without.
#pragma once

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/support/machine_peaks.hpp"
#include "runtime/base/error.hpp"
#include "runtime/meters/hardware.hpp"
#include "runtime/meters/time.hpp"
#include "runtime/session/session.hpp"

namespace tessera::bench {

/// "none", "time" or "hardware".
inline std::string meter_name = "none";

/// Takes --tessera_meter off the command line; false if it names no meter, which is said.
inline bool take_meter_flag(int& argc, char** argv) {
  constexpr const char* kFlag = "--tessera_meter=";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], kFlag, std::strlen(kFlag)) == 0) {
      meter_name = argv[i] + std::strlen(kFlag);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  for (const char* known : {"none", "time", "hardware"}) {
    if (meter_name == known) return true;
  }
  fmt::print(stderr, "--tessera_meter: got '{}', expected one of none, time, hardware\n",
             meter_name);
  return false;
}

/// A meter of the CPU's counters for a program of `ops` ops; null where it cannot count.
inline std::unique_ptr<meters::HardwareMeter> open_hardware(std::size_t ops) {
  static bool is_refused = false;
  if (is_refused) return nullptr;
  try {
    return std::make_unique<meters::HardwareMeter>(ops, meters::HardwareEvents::for_this_machine());
  } catch (const Error& e) {
    is_refused = true;
    fmt::print(stderr, "--tessera_meter=hardware: no counters in this table: {}\n", e.what());
    return nullptr;
  }
}

/// Sums over the ops become counters; a line on stderr for each level that is missing, once.
inline void add_counters(benchmark::State& state, const meters::Measurement& measured) {
  const auto add = [&](const char* name, auto&& value_of) {
    double sum = 0;
    for (const meters::OpMeasurement& op : measured.ops) {
      const std::optional<double> value = value_of(op);
      if (!value) return;
      sum += *value;
    }
    state.counters[name] = sum * 1e-6;
  };
  const auto total = [](const std::optional<meters::EdgeBytes>& edge) {
    return edge ? std::optional<double>(edge->total()) : std::nullopt;
  };
  add("l1_MB", [&](const meters::OpMeasurement& op) { return total(op.l1); });
  add("l2_MB", [&](const meters::OpMeasurement& op) { return total(op.l2); });
  add("l3_MB", [&](const meters::OpMeasurement& op) { return total(op.l3); });
  add("instr", [](const meters::OpMeasurement& op) { return op.instructions; });
  add("cycles", [](const meters::OpMeasurement& op) { return op.cycles; });
  static std::vector<std::string> said;
  for (const std::string& note : measured.notes) {
    if (std::count(said.begin(), said.end(), note) > 0) continue;
    said.push_back(note);
    fmt::print(stderr, "--tessera_meter={}: {}\n", measured.meter, note);
  }
}

/// Counts `run`, which is one op, after the timed loop.
template <class Run>
void count_op(benchmark::State& state, Run&& run) {
  if (meter_name != "hardware") return;
  const auto meter = open_hardware(1);
  if (meter == nullptr) return;
  for (std::size_t i = 0; i < 3 * meter->groups(); ++i) {
    meter->begin_run();
    meter->begin_ops(0, 1);
    run();
    meter->end_ops(0, 1);
    meter->end_run();
  }
  add_counters(state, meter->take());
}

/// Median of time with an attached time meter over time without, runs in turn for about a second:
/// in one process and in the same moments, since neighbours move single runs by more than a meter.
inline double meter_ratio(Session& session, const Batch& batch) {
  meters::TimeMeter meter(session.program().ops.size());
  const auto seconds = [&](RunObserver* observer, int runs) {
    session.observe(observer);
    const double start = thread_seconds();
    for (int i = 0; i < runs; ++i) session.run(batch);
    const double end = thread_seconds();
    session.observe(nullptr);
    return end - start;
  };
  const int runs = std::max(1, static_cast<int>(0.005 / seconds(nullptr, 1)));
  std::vector<double> ratios;
  for (double spent = 0; spent < 1 || ratios.size() < 11;) {
    const bool is_first = ratios.size() % 2 == 0;  // whoever is first has the colder caches
    double with = is_first ? seconds(&meter, runs) : 0;
    const double without = seconds(nullptr, runs);
    if (!is_first) with = seconds(&meter, runs);
    ratios.push_back(with / without);
    spent += with + without;
  }
  std::sort(ratios.begin(), ratios.end());
  return ratios[ratios.size() / 2];
}

/// What --tessera_meter asks for, of a whole model, after the timed loop.
inline void meter_session(benchmark::State& state, Session& session, const Batch& batch) {
  if (meter_name == "time") state.counters["meter_ratio"] = meter_ratio(session, batch);
  if (meter_name != "hardware") return;
  const auto meter = open_hardware(session.program().ops.size());
  if (meter == nullptr) return;
  session.observe(meter.get());
  for (std::size_t i = 0; i < 3 * meter->groups(); ++i) session.run(batch);
  session.observe(nullptr);
  add_counters(state, meter->take());
}

}  // namespace tessera::bench
