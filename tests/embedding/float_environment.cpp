// SPDX-License-Identifier: Apache-2.0
// A host rounds upward, flushes subnormal numbers and has unmasked floating-point exceptions (SIGFPE).
// The vectors are those of any other host, and its environment is as it was.
#include <xmmintrin.h>

#include <cfenv>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const std::vector<float> expected = host::embed(path, 2);
  std::fesetround(FE_UPWARD);
  _mm_setcsr(_mm_getcsr() | 0x8040U);
  feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW);
  const unsigned word = _mm_getcsr() & ~0x3FU;
  host::expect(host::embed(path, 2) == expected, "the same vector");
  host::expect((_mm_getcsr() & ~0x3FU) == word && std::fegetround() == FE_UPWARD,
               "the host's environment");
}
