// SPDX-License-Identifier: Apache-2.0
// A host with an OpenMP runtime of its own beside the one that the library is linked with.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/session/session.hpp"
#include "tests/runtime/ragged.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/sanitizers.hpp"

#if TESSERA_TEST_ASAN
// LeakSanitizer's hook. Its tracer stops every thread and reads its stack; in GCC 12 it crashes on the
// sleeping workers of LLVM's OpenMP runtime. AddressSanitizer itself still watches the test.
static bool leaks_are_not_looked_for = false;
extern "C" int __lsan_is_turned_off();  // NOLINT(bugprone-reserved-identifier)
extern "C" int __lsan_is_turned_off() {
  return leaks_are_not_looked_for ? 1 : 0;
}
#endif

namespace tessera {
namespace {

/// LLVM's runtime, which also has libgomp's entry points; null where it is not installed.
void* open_llvm_openmp() {
  for (const char* name : {"libomp.so.5", "libomp.so"})
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  return nullptr;
}

TEST(OpenMpTest, TwoRuntimesInOneProcessDoNotDisturbEachOther) {
  if (test::kTsan) GTEST_SKIP() << "OpenMP runtimes are opaque to ThreadSanitizer";
  void* library = open_llvm_openmp();
  if (library == nullptr) GTEST_SKIP() << "libomp is not installed";
  using Microtask = void (*)(int*, int*, int*);
  const auto fork_call =
      reinterpret_cast<void (*)(void*, int, Microtask, int*)>(dlsym(library, "__kmpc_fork_call"));
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"));
  ASSERT_TRUE(fork_call != nullptr && set_threads != nullptr);
#if TESSERA_TEST_ASAN
  leaks_are_not_looked_for = true;
#endif
  set_threads(3);
  const auto other_region = [&] {  // `#pragma omp parallel` as clang compiles it
    struct Ident {
      int reserved1 = 0, flags = 2, reserved2 = 0, reserved3 = 0;
      const char* source = ";host;host;0;0;;";
    } ident;
    int entered = 0;
    fork_call(
        &ident, 1, [](int*, int*, int* count) { __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST); },
        &entered);
    return entered;
  };
  const test::TinyModel tiny{test::TinyShape{}};
  const auto model = Model::create(tiny.program(), tiny.checkpoint(), {});
  const std::vector<test::Sequence> sequences{test::random_sequence(40, 50, 1),
                                              test::random_sequence(64, 50, 2)};
  std::vector<std::vector<float>> expected;
  for (const char* backend : {"pool", "openmp", "pool"}) {
    setenv("TESSERA_THREADS", backend, 1);
    const auto session =
        Session::create(model, {.max_rows = 128, .max_sequences = 2, .threads = 2});
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(other_region(), 3);
      const auto got = test::results(*session, sequences);
      if (expected.empty()) expected = got;
      EXPECT_EQ(got, expected) << backend;
    }
  }
  unsetenv("TESSERA_THREADS");
}

}  // namespace
}  // namespace tessera
