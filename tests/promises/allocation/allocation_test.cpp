// SPDX-License-Identifier: Apache-2.0
// "After construction a run allocates nothing", held by counting every request for memory of the
// process: malloc and its kin, operator new, mmap. An executable of its own, so that no other test
// runs under these.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "runtime/session/session.hpp"
#include "tests/runtime/grid_model.hpp"
#include "tests/runtime/ragged.hpp"
#include "tests/runtime/threads/pools.hpp"
#include "tests/runtime/tiny_model.hpp"
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
void* __libc_memalign(std::size_t, std::size_t);
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
void* memalign(std::size_t alignment, std::size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return memalign(alignment, bytes);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t bytes) {
  *to = memalign(alignment, bytes);
  return *to == nullptr ? ENOMEM : 0;
}
// Pages that glibc asks for on its own behalf do not pass here; those of this code do.
void* mmap(void* at, std::size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  ++allocations;
  const long got = syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
  return reinterpret_cast<void*>(got);
}
void* mmap64(void* at, std::size_t bytes, int protection, int flags, int fd,
             off_t offset) noexcept {
  return mmap(at, bytes, protection, flags, fd, offset);
}
}
#endif

namespace tessera {
namespace {

#if TESSERA_TEST_ASAN || TESSERA_TEST_TSAN
long allocations = 0;
#endif

constexpr Index kVocab = 50;

std::vector<test::Sequence> some_sequences(Index count) {
  std::vector<test::Sequence> sequences;
  for (Index s = 0; s < count; ++s) {
    const auto seed = static_cast<unsigned>(s);
    sequences.push_back(test::random_sequence(1 + (s * 29) % 64, kVocab, seed));
  }
  return sequences;
}

TEST(AllocationTest, TheCountersCount) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer owns malloc";
  const auto counts = [](auto&& allocate) {
    const long before = allocations;
    allocate();
    return allocations - before;
  };
  void* volatile kept = nullptr;  // or the compiler leaves the pair out
  const auto keep = [&](void* p) {
    kept = p;
    return p;
  };
  EXPECT_EQ(counts([&] { std::free(keep(std::malloc(1))); }), 1);
  EXPECT_EQ(counts([&] { std::free(keep(std::calloc(1, 1))); }), 1);
  EXPECT_EQ(counts([&] { std::free(keep(std::realloc(nullptr, 1))); }), 1);
  EXPECT_EQ(counts([&] { std::free(keep(std::aligned_alloc(64, 64))); }), 1);
  EXPECT_EQ(counts([] {
              void* p = nullptr;
              EXPECT_EQ(posix_memalign(&p, 64, 64), 0);
              std::free(p);
            }),
            1);
  EXPECT_EQ(counts([&] { ::operator delete(keep(::operator new(1))); }), 1);
  EXPECT_EQ(counts([&] {
              kept = ::operator new (64, std::align_val_t{64});
              ::operator delete (kept, std::align_val_t{64});
            }),
            1);
  EXPECT_EQ(counts([] {
              void* p = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              munmap(p, 4096);
            }),
            1);
}

TEST(AllocationTest, ARunAllocatesNothing) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer owns malloc";
  for (const bool bias : {false, true}) {
    const test::TinyModel tiny{test::TinyShape{.relative_bias = bias}};
    for (const bool copies : {false, true}) {
      const auto model = Model::create(tiny.program(), tiny.checkpoint(), {.copy_tables = copies});
      for (const ParallelFor pool : {ParallelFor{}, ParallelFor{.run = test::serial_pool}}) {
        for (const int threads : {1, 2, 3}) {
          const auto session = Session::create(
              model,
              {.max_rows = 200, .max_sequences = 4, .threads = threads, .parallel_for = pool});
          const test::RaggedBatch all = test::batch_of(some_sequences(4)),
                                  one = test::batch_of({some_sequences(3).back()});
          const std::atomic<bool> nobody{false};
          const long before = allocations;
          session->run(all.batch());
          session->run(one.batch(), {.cancelled = &nobody});
          session->trim();
          session->run(all.batch());
          EXPECT_EQ(allocations - before, 0) << threads << " threads";
        }
      }
    }
  }
}

TEST(AllocationTest, GridsThatARunIsTheFirstToHaveAllocateNothing) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer owns malloc";
  const test::GridModel grid(1);
  const test::GridImages some({{4, 3}, {2, 5}, {1, 1}}), others({{5, 5}, {1, 2}});
  for (const int threads : {1, 2}) {
    const auto session = grid.model.session(Isa::baseline, 30, 3, threads);
    const long before = allocations;
    for (int i = 0; i < 2; ++i) {
      session->run({.images = some.images});
      session->run({.images = others.images});  // there is no room for all of them
      session->trim();
    }
    EXPECT_EQ(allocations - before, 0) << threads << " threads";
  }
}

TEST(AllocationTest, SessionsOnSeveralHostThreadsAllocateNothing) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer owns malloc";
  const test::TinyModel tiny{test::TinyShape{}};
  const auto model = Model::create(tiny.program(), tiny.checkpoint(), {});
  const test::RaggedBatch all = test::batch_of(some_sequences(4));
  std::atomic<int> ready{0}, done{0};
  std::atomic<bool> go{false}, end{false};
  std::vector<std::thread> hosts;
  for (int host = 0; host < 3; ++host) {
    hosts.emplace_back([&] {
      const auto session =
          Session::create(model, {.max_rows = 200, .max_sequences = 4, .threads = 2});
      ++ready;
      while (!go) std::this_thread::yield();
      for (int i = 0; i < 20; ++i) session->run(all.batch());
      ++done;
      while (!end) std::this_thread::yield();
    });
  }
  while (ready != 3) std::this_thread::yield();
  const long before = allocations;
  go = true;
  while (done != 3) std::this_thread::yield();
  const long after = allocations;
  end = true;
  for (std::thread& host : hosts) host.join();
  EXPECT_EQ(after - before, 0);
}

/// VmRSS in pages, read without allocating.
long resident_pages() {
  char text[64] = {};
  const int fd = open("/proc/self/statm", O_RDONLY);
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return 0;
  char* next = text;
  std::strtol(next, &next, 10);
  return std::strtol(next, nullptr, 10);
}

// TESSERA_SOAK_RUNS=100000 is the long form; 2000 otherwise.
TEST(SoakTest, ManyRandomBatchesAreFlatAndTheSameAsTheFirstPass) {
  const char* asked = std::getenv("TESSERA_SOAK_RUNS");
  const long runs = asked == nullptr ? 2000 : std::strtol(asked, nullptr, 10);
  const test::TinyModel tiny{test::TinyShape{.heads = 4, .head_dim = 16, .inner = 128}};
  const auto model = Model::create(tiny.program(), tiny.checkpoint(), {});
  const auto session = Session::create(model, {.max_rows = 512,
                                               .max_sequences = 16,
                                               .threads = 2,
                                               .outputs = {"last_hidden_state", "pooled.mean"}});
  // The first pass: every sequence by itself.
  constexpr Index kSequences = 200;
  const std::vector<test::Sequence> sequences = some_sequences(kSequences);
  std::vector<std::vector<float>> hidden, mean;
  for (const test::Sequence& sequence : sequences) {
    const test::RaggedBatch one = test::batch_of({sequence});
    session->run(one.batch());
    hidden.push_back(test::rows_of(*session, "last_hidden_state", 0, std::ssize(sequence)));
    mean.push_back(test::rows_of(*session, "pooled.mean", 0, 1));
  }
  test::RaggedBatch batch;
  batch.ids.reserve(512);
  batch.offsets.reserve(17);
  std::vector<std::size_t> chosen;
  chosen.reserve(16);
  std::mt19937 random(1);
  long wrong = 0, rows = 0, before = 0, pages = 0;
  for (long run = 0; run < runs; ++run) {
    if (run == runs / 10) before = allocations, pages = resident_pages();
    batch.clear();
    chosen.clear();
    const std::size_t most = 1 + random() % 16;
    while (chosen.size() < most) {
      const std::size_t s = random() % kSequences;
      if (batch.ids.size() + sequences[s].size() > 512) break;
      batch.add(sequences[s]);
      chosen.push_back(s);
    }
    session->run(batch.batch());
    rows += std::ssize(batch.ids);
    const TensorView<const float> x = session->output("last_hidden_state"),
                                  y = session->output("pooled.mean");
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const std::vector<float>& expected = hidden[chosen[i]];
      const auto width = static_cast<std::size_t>(x.cols);
      for (std::size_t t = 0; t * width < expected.size(); ++t) {
        wrong += std::memcmp(x.row(batch.offsets[i] + static_cast<Index>(t)).data(),
                             expected.data() + t * width, width * sizeof(float)) != 0;
      }
      wrong += std::memcmp(y.row(static_cast<Index>(i)).data(), mean[chosen[i]].data(),
                           width * sizeof(float)) != 0;
    }
  }
  const long grown = resident_pages() - pages, allocated = allocations - before;
  EXPECT_EQ(wrong, 0);
  if (!test::kSanitized) {
    EXPECT_EQ(allocated, 0);
    EXPECT_LE(grown, 16);  // of 4 KiB: pages of stacks and libraries that are touched late
  }
  RecordProperty("rows", std::to_string(rows));
  std::printf("soak: %ld runs, %ld rows, %ld rows differ, %ld allocations, RSS %+ld KiB\n", runs,
              rows, wrong, allocated, grown * 4);
}

}  // namespace
}  // namespace tessera
