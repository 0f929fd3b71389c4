// SPDX-License-Identifier: Apache-2.0
// Which level is chosen where a unit has to be asked for, and what is said where it is refused.
#include "runtime/session/level.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "runtime/base/error.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

/// An operating system that answers `answer` for the matrix unit and has everything below it.
struct System {
  int answer = 0;
  mutable int asked = 0;
  int operator()(Isa isa) const {
    if (isa != Isa::amx_bf16) return 0;
    ++asked;
    return answer;
  }
};

LevelChoice choose(const System& system, std::optional<Isa> asked, Precision precision,
                   const DefaultIsa& by_default = {
                       .isa = Isa::avx512_bf16, .problem = {}, .value = {}}) {
  return choose_level(asked, by_default, precision, [&](Isa isa) { return system(isa); });
}

std::string refused(const System& system, std::optional<Isa> asked, const DefaultIsa& by_default) {
  try {
    (void)choose(system, asked, Precision::bf16, by_default);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    return e.what();
  }
  return "accepted";
}

TEST(LevelChoiceTest, OnlyBf16AsksForAUnit) {
  const System system;
  EXPECT_EQ(choose(system, {}, Precision::f32).isa, Isa::avx512_bf16);
  EXPECT_EQ(system.asked, 0);
  const LevelChoice bf16 = choose(system, {}, Precision::bf16);
  EXPECT_EQ(bf16.isa, Isa::amx_bf16);
  EXPECT_EQ(bf16.warning, "");
}

TEST(LevelChoiceTest, AnAbsentUnitIsNoWarning) {
  const LevelChoice choice = choose({.answer = EOPNOTSUPP}, {}, Precision::bf16);
  EXPECT_EQ(choice.isa, Isa::avx512_bf16);
  EXPECT_EQ(choice.warning, "");
}

TEST(LevelChoiceTest, ARefusedUnitIsSaidWithItsReasonAndWhatIsUsedInstead) {
  const LevelChoice choice = choose({.answer = ENOSPC}, {}, Precision::bf16);
  EXPECT_EQ(choice.isa, Isa::avx512_bf16);
  EXPECT_THAT(choice.warning, HasSubstr("amx_bf16: this CPU has it"));
  EXPECT_THAT(choice.warning, HasSubstr("alternate signal stack that is too small"));
  EXPECT_THAT(choice.warning, HasSubstr("bf16 is computed at avx512_bf16"));
  EXPECT_THAT(choose({.answer = EPERM}, {}, Precision::bf16).warning,
              HasSubstr("Operation not permitted"));
}

TEST(LevelChoiceTest, ALevelThatWasNamedIsUsedOrAnError) {
  const DefaultIsa none{.isa = Isa::avx512_bf16, .problem = {}, .value = {}};
  EXPECT_EQ(choose({}, Isa::amx_bf16, Precision::f32).isa, Isa::amx_bf16);
  EXPECT_EQ(choose({}, Isa::avx2, Precision::bf16).isa, Isa::avx2);
  EXPECT_THAT(refused({.answer = ENOSPC}, Isa::amx_bf16, none),
              HasSubstr("\"amx_bf16\": the operating system refuses its state"));
  EXPECT_THAT(refused({.answer = EOPNOTSUPP}, Isa::amx_bf16, none),
              HasSubstr("this CPU does not support \"amx_bf16\""));
}

TEST(LevelChoiceTest, TheEnvironmentsLevelIsNotRaised) {
  const System system;
  EXPECT_EQ(
      choose(system, {}, Precision::bf16, {.isa = Isa::avx512, .problem = {}, .value = "avx512"})
          .isa,
      Isa::avx512);
  EXPECT_EQ(system.asked, 0);
  EXPECT_THAT(
      refused({}, {},
              {.isa = {}, .problem = "refused by the operating system", .value = "amx_bf16"}),
      HasSubstr("TESSERA_ISA: \"amx_bf16\" is refused by the operating system"));
}

// On any machine: enabled or not, best_isa() stays what it is, and the level is usable after 0.
TEST(LevelChoiceTest, EnablingChangesNoDefault) {
  const Isa before = best_isa();
  EXPECT_NE(before, Isa::amx_bf16);
  for (const Isa isa : kAllIsas) {
    const int error = enable(isa);
    EXPECT_EQ(error == 0, cpu_supports(isa)) << to_string(isa);
  }
  EXPECT_EQ(best_isa(), before);
}

}  // namespace
}  // namespace tessera
