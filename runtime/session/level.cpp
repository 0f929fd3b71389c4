// SPDX-License-Identifier: Apache-2.0
#include "runtime/session/level.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/machine/machine.hpp"

namespace tessera {
std::string refusal(int error) {
  std::string text =
      fmt::format("the operating system refuses its state: {}", std::strerror(error));
  if (error == ENOSPC) text += " (a thread has an alternate signal stack that is too small for it)";
  return text;
}

LevelChoice choose_level(std::optional<Isa> asked, const DefaultIsa& by_default,
                         Precision precision, const std::function<int(Isa)>& enable) {
  if (asked) {
    const int error = enable(*asked);
    if (error == 0) return {*asked, {}};
    throw Error(ErrorCode::invalid_argument,
                fmt::format("isa: {}, expected at most \"{}\"",
                            error == EOPNOTSUPP
                                ? fmt::format("this CPU does not support \"{}\"", to_string(*asked))
                                : fmt::format("\"{}\": {}", to_string(*asked), refusal(error)),
                            to_string(best_isa())));
  }
  if (!by_default.isa) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("TESSERA_ISA: \"{}\" is {}, expected {}, at most \"{}\" here", by_default.value,
                    by_default.problem, level_names(), to_string(best_isa())));
  }
  LevelChoice choice{*by_default.isa, {}};
  if (precision == Precision::f32 || !by_default.value.empty()) return choice;
  for (const Isa isa : kAllIsas) {
    if (isa <= *by_default.isa) continue;
    const int error = enable(isa);
    if (error == 0) choice = {isa, {}};
    if (error != 0 && error != EOPNOTSUPP) {
      choice.warning =
          fmt::format("{}: this CPU has it, but {}; {} is computed at {}", to_string(isa),
                      refusal(error), to_string(precision), to_string(choice.isa));
    }
  }
  return choice;
}

Isa resolve_isa(std::optional<Isa> asked, Precision precision) {
  static std::atomic<bool> is_said{false};
  const LevelChoice choice = choose_level(asked, default_isa(), precision, enable);
  if (!choice.warning.empty() && !is_said.exchange(true)) log(LogLevel::warning, choice.warning);
  return choice.isa;
}

}  // namespace tessera
