// SPDX-License-Identifier: Apache-2.0
// What memory_bytes() says before anything is allocated is what is taken, a cap holds, and trim()
// gives back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>

#include "bench/support/random_checkpoint.hpp"
#include "runtime/base/error.hpp"
#include "runtime/session/memory_bytes.hpp"
#include "tests/runtime/layers_model.hpp"
#include "tests/runtime/ragged.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/sanitizers.hpp"

namespace tessera {
namespace {

using test::results;
using testing::HasSubstr;

class MemoryPromiseTest : public testing::Test {
 protected:
  std::string refused(const std::function<void()>& run) {
    try {
      run();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::out_of_memory) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "no error";
    return {};
  }
  test::TinyModel tiny_{test::TinyShape{.heads = 8, .head_dim = 32, .inner = 1024}};
  std::shared_ptr<const Model> model_ = Model::create(tiny_.program(), tiny_.checkpoint(), {});
};

TEST_F(MemoryPromiseTest, IsTheSameBeforeAndAfterLoading) {
  for (const bool copies : {false, true}) {
    const ModelOptions model_options{.outputs = {"pooled.mean"}, .copy_tables = copies};
    const SessionOptions options{.max_rows = 300, .max_sequences = 7, .threads = 2};
    const MemoryBytes before =
        memory_bytes(tiny_.program(), *tiny_.checkpoint(), model_options, options);
    const auto model = Model::create(tiny_.program(), tiny_.checkpoint(), model_options);
    const auto session = Session::create(model, options);
    EXPECT_EQ(before, memory_bytes(*model, options));
    EXPECT_EQ(before.weights_packed, model->packed_bytes());
    EXPECT_EQ(before.weights_mapped, model->mapped_bytes());
    EXPECT_EQ(before.weights_mapped == 0, copies);
    EXPECT_EQ(before.arena, session->memory_bytes());
  }
}

TEST_F(MemoryPromiseTest, ACapIsKeptAndSaysWhatWouldFit) {
  SessionOptions options{.max_rows = 4000, .max_sequences = 100, .threads = 1};
  const std::size_t all = memory_bytes(*model_, options).total();
  options.memory_cap_bytes = all;
  EXPECT_NO_THROW(Session::create(model_, options));
  options.memory_cap_bytes = all - 1;
  const std::string message = refused([&] { Session::create(model_, options); });
  EXPECT_THAT(message, HasSubstr("max_rows 4000, max_sequences 100 take " + std::to_string(all)));
  EXPECT_THAT(message, HasSubstr("expected at most memory_cap_bytes " + std::to_string(all - 1)));
  EXPECT_THAT(message, HasSubstr("sequences would fit"));
}

TEST_F(MemoryPromiseTest, TheLargestBatchThatFitsIsFound) {
  SessionOptions options{.max_rows = 4000, .max_sequences = 100, .threads = 1};
  const MemoryBytes all = memory_bytes(*model_, options);
  for (const std::size_t part : {2U, 5U, 50U}) {
    options.memory_cap_bytes = all.weights() + all.arena / part;
    const SessionOptions fitted = fit_to_cap(*model_, options);
    EXPECT_LE(memory_bytes(*model_, fitted).total(), options.memory_cap_bytes);
    EXPECT_NO_THROW(Session::create(model_, fitted));
    SessionOptions more = fitted;
    more.max_rows += 1;
    more.max_sequences = (100 * more.max_rows + 3999) / 4000;
    EXPECT_GT(memory_bytes(*model_, more).total(), options.memory_cap_bytes);
  }
}

// Where chains become possible the memory falls as the rows rise: what fits beyond is found, too.
TEST(MemoryCapTest, NoLargerBatchFitsWhereverBlocksChange) {
  const test::LayersModel layers({.layers = 4, .positions = 128});
  const auto model = layers.create();
  constexpr Index kMost = 2000;
  const auto with = [](Index rows, int threads) {
    return SessionOptions{.max_rows = rows,
                          .max_sequences = std::max<Index>(1, (20 * rows + kMost - 1) / kMost),
                          .threads = threads,
                          .outputs = {}};
  };
  for (const int threads : {1, 2}) {
    for (Index n = 130; n < kMost; n += 131) {
      SessionOptions options = with(kMost, threads);
      options.memory_cap_bytes = memory_bytes(*model, with(n, threads)).total();
      const Index fitted = fit_to_cap(*model, options).max_rows;
      EXPECT_LE(memory_bytes(*model, with(fitted, threads)).total(), options.memory_cap_bytes);
      for (Index more = std::max(n, fitted + 1); more <= kMost; more += 97) {
        if (more == fitted) continue;
        EXPECT_TRUE(more <= fitted ||
                    memory_bytes(*model, with(more, threads)).total() > options.memory_cap_bytes)
            << more << " rows fit where " << fitted << " were found, " << threads << " threads";
      }
    }
  }
}

TEST_F(MemoryPromiseTest, ACapSmallerThanOneRowOrTheWeightsIsAnError) {
  SessionOptions options{.max_rows = 400, .max_sequences = 10, .threads = 1};
  options.memory_cap_bytes = model_->packed_bytes() + model_->mapped_bytes() + 1000;
  EXPECT_THAT(refused([&] { Session::create(model_, options); }),
              HasSubstr("not even one row would fit"));
  EXPECT_THAT(refused([&] { fit_to_cap(*model_, options); }), HasSubstr("max_rows 1,"));
  options.memory_cap_bytes = memory_bytes(*model_, options).total() / 100 * 99;
  EXPECT_THAT(refused([&] { fit_to_cap(*model_, options, 400); }), HasSubstr("max_rows 400,"));
  EXPECT_THAT(refused([&] {
                Model::create(tiny_.program(), tiny_.checkpoint(), {.memory_cap_bytes = 100000});
              }),
              HasSubstr("expected at most memory_cap_bytes 100000"));
}

/// VmRSS of this process, bytes.
std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(MemoryPromiseTest, TrimGivesTheArenaBackAndResultsStayTheSame) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer has memory of its own";
  const auto session =
      Session::create(model_, {.max_rows = 6400, .max_sequences = 100, .threads = 2});
  std::vector<test::Sequence> sequences;
  for (unsigned s = 0; s < 100; ++s) sequences.push_back(test::random_sequence(64, 50, s));
  const auto expected = results(*session, sequences);
  const std::size_t before = resident_bytes();
  session->trim();
  const std::size_t after = resident_bytes();
  EXPECT_GT(before - after, session->memory_bytes() / 100 * 90);
  EXPECT_EQ(results(*session, sequences), expected);
}

/// "name value" lines that the probe, a fresh process, prints.
std::map<std::string, double> probe(const std::string& arguments) {
  std::map<std::string, double> values;
  FILE* pipe = popen((std::string(TESSERA_PROMISE_PROBE) + " " + arguments).c_str(), "r");
  std::array<char, 100> name{};
  double value = 0;
  while (std::fscanf(pipe, "%99s %lf", name.data(), &value) == 2) values[name.data()] = value;
  EXPECT_EQ(pclose(pipe), 0);
  return values;
}

TEST(PeakMemoryTest, StaysWithinThreePercentAndEightMiBOfThePromise) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer has memory of its own";
  const bench::TemporaryDirectory directory, cache;
  bench::write_random_bert(directory.path(), {"mid", 6, 512, 8, 2048, 20000, 512});
  const std::string model = directory.path().string();
  for (const std::string& options :
       {std::string("--threads 1"), std::string("--threads 3 --rows 2048 --sequences 16"),
        std::string("--copy-tables"), "--cache " + cache.path().string(),
        "--cache " + cache.path().string()}) {
    const auto got = probe("memory " + model + " " + options);
    const double promise = got.at("promise_bytes"), peak = got.at("peak_bytes");
    EXPECT_LE(peak, 1.03 * promise + 8 * 0x1p20) << options;
    EXPECT_GT(peak, 0.5 * promise) << options;  // the promise is no idle one
    const double packed = got.at("packed_bytes");
    EXPECT_LE(got.at("load_peak_bytes"), 1.05 * packed + got.at("largest_tensor_bytes") + 0x1p20)
        << options;  // and 1 MiB for what is not weights
  }
}

}  // namespace
}  // namespace tessera
