// SPDX-License-Identifier: Apache-2.0
// "After construction a run allocates nothing", held by counting every malloc of the process.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "runtime/patch_model.hpp"
#include "runtime/session.hpp"
#include "runtime/tiny_model.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TESSERA_COUNTS_MALLOC 1
#endif

#if TESSERA_COUNTS_MALLOC
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

namespace tessera {
namespace {

TEST(AllocationTest, ARunAllocatesNothing) {
#if TESSERA_COUNTS_MALLOC
  for (const bool bias : {false, true}) {
    const test::TinyModel tiny{test::TinyShape{.relative_bias = bias}};
    const auto model = Model::create(tiny.program(), tiny.checkpoint(), {});
    for (const int threads : {1, 2}) {
      const auto session = Session::create(
          model, {.max_rows = 120, .max_sequences = 4, .threads = threads, .outputs = {}});
      const std::vector<std::int32_t> ids(100, 3), offsets{0, 40, 41, 100};
      const long before = allocations;
      session->run({.ids = ids, .types = {}, .offsets = offsets});
      session->run(
          {.ids = std::span(ids).first(41), .types = {}, .offsets = std::span(offsets).first(3)});
      const long after = allocations;
      EXPECT_EQ(after - before, 0) << threads << " threads";
    }
  }
  {
    const test::PatchModel images({.sizes = ImageSizes::any});
    const auto model = Model::create(images.program(), images.checkpoint(), {});
    const auto session =
        Session::create(model, {.max_rows = 200, .max_sequences = 4, .threads = 2, .outputs = {}});
    const std::vector<float> planes(3 * 40 * 60, 0.5F);
    const std::vector<Image> batch{{.planes = planes.data(), .height = 28, .width = 28},
                                   {.planes = planes.data(), .height = 40, .width = 60}};
    const long before = allocations;
    session->run({.images = batch});
    session->run({.images = std::span(batch).first(1)});
    const long after = allocations;
    EXPECT_EQ(after - before, 0) << "images";
  }
  // The counter counts: a test that cannot fail is none.
  const long before = allocations;
  std::free(std::malloc(1));
  delete new int;
  EXPECT_GE(allocations - before, 1);
#else
  GTEST_SKIP() << "a sanitizer owns malloc";
#endif
}

}  // namespace
}  // namespace tessera
