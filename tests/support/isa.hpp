// SPDX-License-Identifier: Apache-2.0
//
// Every kernel test runs at every ISA level that the CPU has: parameterise over kAllIsas and open
// the test body with SKIP_UNLESS_SUPPORTED(isa). A level that the CPU lacks is reported as skipped,
// never as passed.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/isa.hpp"

#define SKIP_UNLESS_SUPPORTED(isa)                                    \
  do {                                                                \
    if (::tessera::enable(isa) != 0) {                                \
      GTEST_SKIP() << "this CPU lacks " << ::tessera::to_string(isa); \
    }                                                                 \
  } while (false)

namespace tessera {

/// Found by gtest: failure messages name the level.
inline void PrintTo(Isa isa, std::ostream* os) {
  *os << to_string(isa);
}

namespace test {

/// Name generator of a suite whose parameter is the level alone.
inline std::string isa_name(const testing::TestParamInfo<Isa>& info) {
  return to_string(info.param);
}

}  // namespace test
}  // namespace tessera

/// Instantiates a TestWithParam<Isa> suite at every level.
#define INSTANTIATE_FOR_ALL_ISAS(Suite)                                              \
  INSTANTIATE_TEST_SUITE_P(AllIsas, Suite, ::testing::ValuesIn(::tessera::kAllIsas), \
                           ::tessera::test::isa_name)
