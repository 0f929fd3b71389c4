// SPDX-License-Identifier: Apache-2.0
//
// The replay of attention by tiles against the kernel itself, over tiles in plain C++: a cache that loses nothing
// has as many changed lines as the kernel leaves changed in its scratch and in O, and it has read Q, K and V. What
// is touched a second time shows nowhere here: a read too few of a line that was written passes.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "runtime/meters/replay_tiles.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/support/random.hpp"

namespace tessera::meters {
namespace {

using kernels::AttentionDataflow;
using kernels::AttentionMask;

constexpr Index kAll = AttentionMask::kAll;
constexpr Index kWordsOfLine = kLineBytes / Index{sizeof(float)};

struct Case {
  const char* name;
  Index Tq, Tk, d;
  AttentionMask mask{};
  bool biased = false;
};
const std::vector<Case> kCases{
    {.name = "one strip", .Tq = 9, .Tk = 9, .d = 32},
    {.name = "whole units", .Tq = 128, .Tk = 128, .d = 64},
    {.name = "ragged", .Tq = 197, .Tk = 197, .d = 64},
    {.name = "ragged depth", .Tq = 70, .Tk = 133, .d = 80},
    {.name = "two tiles of keys", .Tq = 64, .Tk = 1000, .d = 64},
    {.name = "more blocks than are carried", .Tq = 1100, .Tk = 64, .d = 32},
    {.name = "window", .Tq = 300, .Tk = 300, .d = 64, .mask = {.left = 40, .right = 40}},
    {.name = "causal", .Tq = 200, .Tk = 200, .d = 64, .mask = {.left = kAll, .right = 0}},
    {.name = "bias by difference", .Tq = 130, .Tk = 130, .d = 64, .biased = true},
};

/// Lines of 64 bytes at the beginning of one of them.
class Lines {
 public:
  explicit Lines(Index floats)
      : data_(static_cast<std::size_t>(floats + 2 * kWordsOfLine)), floats_(floats) {}
  float* begin() {
    const auto at = std::bit_cast<std::uintptr_t>(data_.data());
    return data_.data() + (64 - at % 64) % 64 / sizeof(float);
  }
  [[nodiscard]] Index floats() const { return floats_; }
  void fill(float x) { std::fill(data_.begin(), data_.end(), x); }

 private:
  std::vector<float> data_;
  Index floats_;
};

/// Which lines of both runs differ from what was there before.
Index changed_lines(Lines& lines, const std::vector<float>& first, float before_first,
                    float before_second) {
  const auto is = [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  };
  Index changed = 0;
  for (Index line = 0; line * kWordsOfLine < lines.floats(); ++line) {
    bool differs = false;
    for (Index i = line * kWordsOfLine; i < std::min((line + 1) * kWordsOfLine, lines.floats());
         ++i) {
      differs |= !is(first[static_cast<std::size_t>(i)], before_first) ||
                 !is(lines.begin()[i], before_second);
    }
    changed += differs ? 1 : 0;
  }
  return changed;
}

TEST(ReplayTilesTest, ChangesTheLinesThatTheKernelChanges) {
  const kernels::Attention& kernel = test::emulated_attention();
  for (const Case& c : kCases) {
    // Rows apart by whole lines: the lines of Q, K, V and O are theirs alone.
    const Index ld = (c.d + 31) / 32 * 32, words = c.Tk * ld / 2;
    Lines q(c.Tq * ld / 2), k(words), v(words), o(c.Tq * ld / 2);
    test::Random random{7};
    for (Lines* x : {&q, &k, &v}) {
      auto* halves = reinterpret_cast<std::uint16_t*>(x->begin());
      for (Index i = 0; i < 2 * x->floats(); ++i) halves[i] = reference::to_bf16(random.normal());
    }
    std::vector<float> bias(static_cast<std::size_t>(c.Tq + c.Tk + 1), 0.5F);
    for (Index n = 0; n < kernels::kAttentionDataflows; ++n) {
      const auto dataflow = static_cast<AttentionDataflow>(n);
      Lines scratch(kernel.scratch_elements(dataflow, c.Tq, c.Tk, c.d));
      const kernels::AttentionTask task{.q = q.begin(),
                                        .ldq = ld,
                                        .k = k.begin(),
                                        .ldk = ld,
                                        .v = v.begin(),
                                        .ldv = ld,
                                        .o = nullptr,
                                        .ldo = 0,
                                        .Tq = c.Tq,
                                        .Tk = c.Tk,
                                        .d = c.d,
                                        .scale = 0.125F,
                                        .bias = c.biased ? bias.data() + c.Tq : nullptr,
                                        .scratch = scratch.begin(),
                                        .dataflow = dataflow,
                                        .mask = c.mask,
                                        .narrow = reinterpret_cast<std::uint16_t*>(o.begin()),
                                        .ldn = ld};
      // A value that the kernel leaves by chance is another one in the second run.
      std::vector<float> first_scratch, first_o;
      const std::array before{123.25F, -77.5F};
      for (const float value : before) {
        scratch.fill(value);
        o.fill(value);
        kernels::UnitState state{};
        if (kernel.enter != nullptr) kernel.enter(state);
        kernel.run(task);
        if (kernel.leave != nullptr) kernel.leave(state);
        if (value == before[0]) {
          first_scratch.assign(scratch.begin(), scratch.begin() + scratch.floats());
          first_o.assign(o.begin(), o.begin() + o.floats());
        }
      }
      const Index changed = changed_lines(scratch, first_scratch, before[0], before[1]) +
                            changed_lines(o, first_o, before[0], before[1]);

      const std::array<SimulatedCache, 1> all{SimulatedCache{Index{1} << 26, 16}};
      CacheSimulator simulator(all);
      touch_tiles_attention(task, Touch(simulator));
      simulator.flush();
      const EdgeLines edge = simulator.edge(0);
      EXPECT_EQ(static_cast<Index>(edge.written_back), changed)
          << c.name << ", " << to_string(dataflow);
      // Of a strip that is not full, rows are read that nothing has written.
      if (c.mask == AttentionMask{} && !c.biased && c.Tq % 32 == 0) {
        const Index per_row = (c.d + 31) / 32;
        EXPECT_EQ(static_cast<Index>(edge.fills), changed + (c.Tq + 2 * c.Tk) * per_row)
            << c.name << ", " << to_string(dataflow);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::meters
