// SPDX-License-Identifier: Apache-2.0
// A plan as a file: saved, loaded, checked, compared.
#pragma once

#include <filesystem>
#include <string>

#include "runtime/plan/plan.hpp"

namespace tessera {

/// A nest has fewer blocks than this and one.
inline constexpr Index kMostBlocks = (Index{1} << 31) - 1;

std::string plan_to_json(const Plan& plan);

/// In one step: the old content or the new. Errors: io_error.
void save_plan(const std::filesystem::path& file, const Plan& plan);

/// Errors: not_found, io_error; corrupt_file for what is no plan, naming the field, got, expected.
Plan load_plan(const std::filesystem::path& file);

/// That `plan` was made for this program, machine, ISA, number of threads and limits, and that its
/// nests are possible for the shapes. Errors: invalid_argument naming what differs.
void check_plan(const Plan& plan, const PlanInput& input);

/// One line per field of the identity, and per op and range of rows, in which `after` is not
/// `before`; "no differences". Errors: invalid_argument for plans of different programs.
std::string diff_plans(const Plan& before, const Plan& after, const Program& program);

}  // namespace tessera
