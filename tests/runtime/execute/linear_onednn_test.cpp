// SPDX-License-Identifier: Apache-2.0
//
// oneDNN behind our contract: against the double reference that our own kernels are held to, on
// ragged extents, rows with gaps, between unmapped pages; our epilogues after it.
#include "runtime/execute/linear_onednn.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "runtime/base/arena.hpp"
#include "runtime/base/error.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/reference/gemm.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/rows.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::execute {
namespace {

using test::bit_identical;
using test::Guard;
using test::GuardedBuffer;
using test::random_normal;
using test::Rows;

const kernels::KernelTable& table() {
  return kernels::kernels_at(best_isa());
}

/// A linear with its operands. Rows of A and C are apart by gaps of NaN.
struct Linear {
  Linear(Index M, Index N, Index K, bool with_bias = true, Index typical_rows = 16,
         bool dense = false)
      : a(M, K, dense ? 0 : 3),
        w(N, K, 1),
        c(M, N, dense ? 0 : 5),
        residual(M, N, 2),
        bias(random_normal(N, 3)) {
    a.fill_normal(1);
    w.fill_normal(2);
    residual.fill_normal(4);
    onednn = std::make_unique<OneDnnLinear>(N, K, with_bias ? bias.data() : nullptr,
                                            OneDnnRows{typical_rows, a.ld(), c.ld()});
    storage = Arena(onednn->weight_bytes(), "test");
    onednn->load(w.data(), w.ld(), storage.floats(0));
    expected = reference::gemm(a.data(), a.ld(), w.data(), w.ld(),
                               with_bias ? bias.data() : nullptr, M, N, K);
  }

  OneDnnCall call() {
    return {.a = a.data(), .lda = a.ld(), .c = c.data(), .ldc = c.ld(), .M = a.M()};
  }
  testing::AssertionResult product_is_right() const {
    if (!c.gaps_untouched()) return testing::AssertionFailure() << "a gap between rows was written";
    return test::near_elementwise(c.dense(), expected.value, [&](Index i) {
      return test::gemm_tolerance(a.N(), expected.magnitude[static_cast<std::size_t>(i)]);
    });
  }

  Rows a, w, c, residual;  // (M,K), (N,K), (M,N), (M,N)
  GuardedBuffer<float> bias;
  std::unique_ptr<OneDnnLinear> onednn;
  Arena storage;
  reference::GemmResult expected;
};

class LinearOneDnnTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!OneDnnLinear::is_available()) GTEST_SKIP() << "built without oneDNN";
  }
};

TEST_F(LinearOneDnnTest, MatchesTheReferenceOnRaggedExtents) {
  int ran = 0;
  for (const Index M : {1, 2, 7, 8, 13, 16, 33}) {
    for (const Index N : {1, 3, 16, 31, 64, 65}) {
      for (const Index K : {1, 2, 15, 16, 64, 67}) {
        for (const bool dense : {false, true}) {
          Linear x(M, N, K, M % 2 == 0, M, dense);
          if (x.onednn->implementation({M, x.a.ld(), x.c.ld()}).starts_with("ref")) continue;
          ASSERT_TRUE(x.onednn->run(x.call(), table()));
          ASSERT_TRUE(x.product_is_right()) << "M=" << M << " N=" << N << " K=" << K;
          ++ran;
        }
      }
    }
  }
  EXPECT_GT(ran, 400);
}

/// The bf16 nearest to each of `x`; `x` becomes their values.
std::vector<std::uint16_t> narrow(GuardedBuffer<float>& x) {
  std::vector<std::uint16_t> halves;
  for (float& value : x) {
    halves.push_back(reference::to_bf16(value));
    value = reference::widen_bf16(halves.back());
  }
  return halves;
}

TEST_F(LinearOneDnnTest, MultipliesBf16) {
  if (!cpu_supports(Isa::avx512_bf16)) GTEST_SKIP() << "oneDNN may have no kernel of bf16 here";
  for (const Index M : {1, 8, 33}) {
    for (const Index N : {48, 65}) {
      for (const Index K : {32, 67}) {
        GuardedBuffer<float> a = random_normal(M * K, 1), w = random_normal(N * K, 2);
        const GuardedBuffer<float> bias = random_normal(N, 3);
        const std::vector<std::uint16_t> narrow_a = narrow(a), narrow_w = narrow(w);
        Rows c(M, N, 0);
        OneDnnLinear onednn(N, K, bias.data(), {M, K, N}, Precision::bf16);
        const Arena storage(onednn.weight_bytes(), "test");
        onednn.load(narrow_w.data(), K, storage.floats(0));
        ASSERT_TRUE(
            onednn.run({.a = narrow_a.data(), .lda = K, .c = c.data(), .ldc = N, .M = M}, table()));
        const auto expected = reference::gemm(a.data(), K, w.data(), K, bias.data(), M, N, K);
        EXPECT_TRUE(test::near_elementwise(
            c.dense(), expected.value,
            [&](Index i) {
              return test::gemm_tolerance(K, expected.magnitude[static_cast<std::size_t>(i)]);
            }))
            << "M=" << M << " N=" << N << " K=" << K;
      }
    }
  }
}

TEST_F(LinearOneDnnTest, OneObjectRunsAnyNumberOfRows) {
  Linear x(20, 48, 96, true, 128, true);
  for (const Index M : {20, 1, 5, 20, 19}) {
    OneDnnCall call = x.call();
    call.M = M;
    ASSERT_TRUE(x.onednn->run(call, table()));
    ASSERT_TRUE(x.product_is_right());
  }
}

TEST_F(LinearOneDnnTest, ActivationAndResidualAreOurs) {
  for (const Activation activation :
       {Activation::none, Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick,
        Activation::relu, Activation::tanh, Activation::silu, Activation::sigmoid}) {
    for (const bool with_residual : {false, true}) {
      Linear plain(9, 37, 20), x(9, 37, 20);
      ASSERT_TRUE(plain.onednn->run(plain.call(), table()));
      OneDnnCall call = x.call();
      call.activation = activation;
      call.residual = with_residual ? x.residual.data() : nullptr;
      call.ldr = x.residual.ld();
      ASSERT_TRUE(x.onednn->run(call, table()));
      Rows& c = plain.c;
      if (activation != Activation::none) {
        table().activation(activation, c.data(), c.ld(), c.data(), c.ld(), c.M(), c.N());
      }
      if (with_residual) {
        table().add(c.data(), c.ld(), plain.residual.data(), plain.residual.ld(), c.data(), c.ld(),
                    c.M(), c.N());
      }
      EXPECT_TRUE(bit_identical(x.c.dense(), c.dense())) << to_string(activation);
      EXPECT_TRUE(x.c.gaps_untouched());
    }
  }
}

TEST_F(LinearOneDnnTest, AddsToCInPlace) {
  Linear x(6, 33, 18);
  x.c.fill_normal(9);
  for (Index i = 0; i < 6 * 33; ++i) {
    const auto e = static_cast<std::size_t>(i);
    const double before = static_cast<double>(x.c(i / 33, i % 33));
    x.expected.value[e] += before;
    x.expected.magnitude[e] += std::abs(before);
  }
  OneDnnCall call = x.call();
  call.residual = call.c;
  call.ldr = call.ldc;
  ASSERT_TRUE(x.onednn->run(call, table()));
  EXPECT_TRUE(x.product_is_right());
}

TEST_F(LinearOneDnnTest, SaysWhatItDoesNotCompute) {
  Linear x(2, 4, 4);
  OneDnnCall call = x.call();
  call.activation = Activation::gelu_erf;
  EXPECT_TRUE(OneDnnLinear::supports(call));
  call.residual = call.c;
  EXPECT_FALSE(OneDnnLinear::supports(call));
  EXPECT_FALSE(x.onednn->run(call, table()));
}

TEST_F(LinearOneDnnTest, UsesACopyOfTheWeight) {
  Linear x(3, 40, 50);
  Arena copy(x.onednn->weight_bytes(), "test");
  std::copy_n(x.storage.data(), x.storage.bytes(), copy.data());
  std::fill_n(x.storage.data(), x.storage.bytes(), std::byte{0xFF});
  x.onednn->use(copy.floats(0));
  ASSERT_TRUE(x.onednn->run(x.call(), table()));
  EXPECT_TRUE(x.product_is_right());
}

TEST_F(LinearOneDnnTest, ObjectsRunOnTwoThreadsAtOnce) {
  Linear x(16, 64, 64), y(16, 64, 64);
  const auto work = [](Linear& linear) {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(linear.onednn->run(linear.call(), table()));
  };
  std::thread other([&] { work(y); });
  work(x);
  other.join();
  EXPECT_TRUE(x.product_is_right());
  EXPECT_TRUE(y.product_is_right());
}

TEST(LinearOneDnn, RefusesEmptyExtentsAndABuildWithoutIt) {
  EXPECT_THROW(OneDnnLinear(0, 4, nullptr, {1, 4, 4}), Error);
  EXPECT_THROW(OneDnnLinear(4, -1, nullptr, {1, 4, 4}), Error);
  EXPECT_THROW(OneDnnLinear(4, 4, nullptr, {0, 4, 4}), Error);
  EXPECT_THROW(OneDnnLinear(4, 4, nullptr, {1, 3, 4}), Error);
  if (!OneDnnLinear::is_available()) {
    EXPECT_THROW(OneDnnLinear(4, 4, nullptr, {1, 4, 4}), Error);
  }
}

}  // namespace
}  // namespace tessera::execute
