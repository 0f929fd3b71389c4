// SPDX-License-Identifier: Apache-2.0
// "Encoding token ids allocates nothing", from outside of the library, split runs included.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "tests/abi/demo.hpp"
#include "tests/support/sanitizers.hpp"

#if !TESSERA_TEST_ASAN && !TESSERA_TEST_TSAN
namespace {
std::atomic<long> allocations{0};
}  // namespace

// operator new ends here too. glibc exports its own under these names for such wrappers.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* malloc(std::size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  ++allocations;
  return __libc_realloc(old, bytes);
}
}
#endif

namespace tessera::test {
namespace {

TEST(AbiAllocationTest, EncodingIdsAllocatesNothing) {
#if !TESSERA_TEST_ASAN && !TESSERA_TEST_TSAN
  for (const int threads : {1, 2}) {
    Session session(demo(), {.threads = threads,
                             .max_rows = 20,  // so that the batch is split
                             .max_sequences = 2,
                             .outputs = {"embedding", "last_hidden_state"}});
    const Tokens tokens = demo().tokenize(Texts(kTexts, {.max_tokens = 12}));
    std::vector<float> embedding(kTexts.size() * 256), states(tokens.ids.size() * 256);
    const std::vector<Output> outputs{Output("embedding", embedding),
                                      Output("last_hidden_state", states)};
    const Cancel cancel;
    const long before = allocations;
    session.encode(tokens, outputs, {.cancel = &cancel, .timeout = std::chrono::hours(1)});
    session.encode(tokens, outputs);
    EXPECT_EQ(allocations - before, 0) << threads << " threads";
  }
  const long before = allocations;
  Session(demo(), {.threads = 1});
  EXPECT_GT(allocations - before, 0);  // the counter counts
#else
  GTEST_SKIP() << "the sanitizer has its own malloc";
#endif
}

}  // namespace
}  // namespace tessera::test
