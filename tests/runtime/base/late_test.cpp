// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/late.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <thread>
#include <vector>

namespace tessera {
namespace {

TEST(LateTest, TheCallThatMakesItWorthwhileMakesIt) {
  Late<int> late(100);
  int made = 0;
  const auto make = [&] {
    ++made;
    return 5;
  };
  EXPECT_EQ(late.get(99, make), nullptr);
  EXPECT_EQ(made, 0);
  const int* value = late.get(1, make);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(*value, 5);
  EXPECT_EQ(late.get(1000, make), value);
  EXPECT_EQ(made, 1);
}

TEST(LateTest, WhatCannotBeMadeIsNeverThere) {
  Late<int> late(100);
  const auto fail = []() -> int { throw std::bad_alloc(); };
  EXPECT_EQ(late.get(100, fail), nullptr);
  EXPECT_EQ(late.get(100, fail), nullptr);
}

TEST(LateTest, OneOfManyThreadsMakesItAndAllSeeItWhole) {
  Late<std::vector<int>> late(1000);
  std::atomic<int> made{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const std::vector<int>* value = late.get(1, [&] {
          ++made;
          return std::vector<int>(100, 7);
        });
        if (value != nullptr && (value->size() != 100 || value->back() != 7)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(wrong, 0);
  EXPECT_NE(late.get(1, [] { return std::vector<int>(); }), nullptr);
}

}  // namespace
}  // namespace tessera
