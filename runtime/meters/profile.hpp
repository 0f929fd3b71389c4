// SPDX-License-Identifier: Apache-2.0
//
// What a plan predicts beside what a meter measured: per op and level of cache the bytes, the time,
// the error of the model, and the distance to the lower bound. As text for people, as JSON for
// scripts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/machine/machine.hpp"
#include "runtime/meters/meter.hpp"
#include "runtime/plan/report.hpp"

namespace tessera::meters {

/// Bytes across the edge between L1 and L2, L2 and L3, L3 and memory (fills and write-backs), of
/// one run. Empty: not known.
struct ProfileValues {
  std::optional<double> l1_bytes{}, l2_bytes{}, l3_bytes{}, seconds{}, instructions{}, cycles{};
};

/// One op, a linear with the ops in its tiles, or a chain on several threads: ops [index, index + count).
struct ProfileOp {
  std::size_t index = 0, count = 1;
  std::string kind{}, name{}, shape{};  ///< of a chain: "7 ops", the first and the last, none
  std::string order{}, blocks{}, limit{};
  std::string why{};  ///< why each other candidate lost
  double flops = 0;
  double peak_seconds = 0;  ///< of these FLOP at the peak of their precisions, on one thread
  double bound_bytes = 0;   ///< no order moves fewer into L2; 0: not modelled
  ProfileValues predicted{}, measured{};
  /// (predicted − measured)/measured, where both are known and neither is 0.
  ProfileValues error{};
};

struct Profile {
  std::string model{};
  PlanReport plan{};
  Machine machine{};
  MachineRates rates{};    ///< of one thread
  Measurement measured{};  ///< without ops where nothing was measured; notes say why
  std::vector<ProfileOp> ops{};
  ProfileOp totals{};  ///< sums of what every op has; seconds measured: of the whole run

  /// Empty where it is not measured.
  std::optional<double> gflops(const ProfileOp& op) const;
  std::optional<double> percent_of_peak(const ProfileOp& op) const;  ///< of all threads together
  /// Bytes measured at L2 over the bound.
  static std::optional<double> ratio_to_bound(const ProfileOp& op);
};

/// Lays `measured` beside `plan`. Ops that were not measured are there with predictions alone.
Profile make_profile(std::string model, PlanReport plan, const Machine& machine,
                     const MachineRates& rates, Measurement measured);

std::string profile_text(const Profile& profile);
std::string profile_json(const Profile& profile);

}  // namespace tessera::meters
