// SPDX-License-Identifier: Apache-2.0
//
// measure_rates(): the probes under a stopwatch. Each rate is the best of several short passes, so
// that an interruption costs a pass and not the figure; the time is the thread's CPU time, so that
// waiting for a CPU does not count. The probes take turns: on a shared core whose speed halves for seconds
// each of them sees the same of it, or the plan would weigh a slow unit against a fast cache.
//
//   L1, L2   half of the cache: neither spills nor fits into the level before
//   L3       four times L2, at most half of L3
//   memory   64 MiB whose lines are flushed before each pass: cold whatever the size of L3
#include <emmintrin.h>
#include <time.h>

#include <algorithm>

#include "kernels/kernel_table.hpp"
#include "runtime/base/arena.hpp"
#include "runtime/machine/rates.hpp"

namespace tessera {
namespace {

double thread_seconds() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

constexpr int kTurns = 8;

/// Raises `best` to the best rate of work(), which returns how much it did, over passes of about 0.2 ms for
/// `seconds` / kTurns in all.
template <class Work>
void raise(double& best, double seconds, Work&& work) {
  const double begin = thread_seconds();
  for (double now = begin; now - begin < seconds / kTurns;) {
    const double done = work();
    const double end = thread_seconds();
    if (end > now) best = std::max(best, done / (end - now));
    now = end;
  }
}

/// Streams `bytes` of `block` again and again.
void raise_read(double& best, const kernels::Probe& probe, const Arena& block, Index bytes) {
  const Index floats = bytes / Index{sizeof(float)};
  const Index passes = std::max(Index{1}, (Index{8} << 20) / bytes);
  volatile float sink = probe.read(block.floats(0), floats);
  raise(best, 0.08, [&] {
    for (Index i = 0; i < passes; ++i) sink = probe.read(block.floats(0), floats);
    return static_cast<double>(bytes) * static_cast<double>(passes);
  });
}

/// Streams all of `block` after its lines have been flushed from all caches.
void raise_cold_read(double& best, const kernels::Probe& probe, const Arena& block,
                     Index line_bytes) {
  const auto bytes = static_cast<Index>(block.bytes());
  for (Index i = 0; i < bytes; i += line_bytes) _mm_clflush(block.data() + i);
  _mm_mfence();
  const double start = thread_seconds();
  volatile float sink = probe.read(block.floats(0), bytes / Index{sizeof(float)});
  (void)sink;
  best = std::max(best, static_cast<double>(bytes) / (thread_seconds() - start));
}

}  // namespace

MachineRates measure_rates(Isa isa) {
  const kernels::Probe& probe = kernels::kernels_at(isa).probe;
  const Machine& facts = machine();
  constexpr Index kMemoryBytes = Index{64} << 20;
  const Index l3_part = std::min(4 * facts.l2.bytes, facts.l3.bytes / 2);
  const Arena block(static_cast<std::size_t>(std::max(kMemoryBytes, l3_part)),
                    "measuring the machine");
  for (std::size_t i = 0; i < block.bytes(); i += 4096) block.data()[i] = std::byte{0};

  MachineRates rates{.source = "measured"};
  const bool has_l3_part = l3_part > facts.l2.bytes;
  double cold_seconds = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    // 2048 rounds of 12 FMAs at 2 per cycle: 12k cycles a pass. The first passes also warm the clock.
    for (const Precision p : kModelPrecisions) {
      raise(rates.flops[p], 0.1, [&] { return probe.products[p](2048); });
    }
    raise(rates.exps, 0.05, [&] { return probe.exp2(1024); });
    raise_read(rates.l1_bytes, probe, block, facts.l1d.bytes / 2);
    raise_read(rates.l2_bytes, probe, block, facts.l2.bytes / 2);
    if (has_l3_part) raise_read(rates.l3_bytes, probe, block, l3_part);
    if (turn >= 2 && cold_seconds > 0.5) continue;
    const double begin = thread_seconds();
    raise_cold_read(rates.memory_bytes, probe, block, facts.cache_line_bytes);
    cold_seconds += thread_seconds() - begin;
  }
  rates.l3_bytes = std::max(rates.l3_bytes, rates.memory_bytes);
  rates.l2_bytes = std::max(rates.l2_bytes, rates.l3_bytes);
  rates.l1_bytes = std::max(rates.l1_bytes, rates.l2_bytes);
  return rates;
}

}  // namespace tessera
