// SPDX-License-Identifier: Apache-2.0
// Which level a model is computed at.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "kernels/isa.hpp"
#include "kernels/types.hpp"

namespace tessera {

struct LevelChoice {
  Isa isa = Isa::baseline;
  std::string warning;  ///< of a level that the CPU has and the operating system refuses, or empty
};

/// `asked` if it may be used; without one what TESSERA_ISA says; without that the best level, for bf16
/// and s8 with the levels that have to be enabled. f32 never asks for those: they compute it as the ones
/// below.
/// `enable` is kernels' enable(); a test brings its own. Throws Error{invalid_argument}.
LevelChoice choose_level(std::optional<Isa> asked, const DefaultIsa& by_default,
                         Precision precision, const std::function<int(Isa)>& enable);

/// What to say of a level that enable() could not have for another reason than EOPNOTSUPP.
std::string refusal(int error);

/// choose_level() of this process; its warning is logged, once.
Isa resolve_isa(std::optional<Isa> asked, Precision precision = Precision::f32);

}  // namespace tessera
