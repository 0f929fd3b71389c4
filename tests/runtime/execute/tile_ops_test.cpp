// SPDX-License-Identifier: Apache-2.0
//
// Ops in the tiles of linears (plan/tile_ops.hpp): the bits of the same ops over all rows, whatever the
// nest, the batch, the blocks and the threads; products once each, in no more memory than promised.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "runtime/base/error.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/execute/linear_onednn.hpp"
#include "runtime/meters/replay.hpp"
#include "runtime/meters/replay_kernels.hpp"
#include "runtime/plan/plan_file.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/layers_model.hpp"
#include "tests/support/guarded_buffer.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera {
namespace {

using test::LayersModel;
using test::LayersShape;

constexpr Index kRows = 150, kSequences = 12;

LayersShape shape_of(Index heads, Index head_dim, Index inner, LayersShape::Norms norms,
                     bool neighbours, bool second) {
  return {.layers = 1,
          .heads = heads,
          .head_dim = head_dim,
          .inner = inner,
          .positions = 130,
          .turned = true,
          .norms = norms,
          .neighbours = neighbours,
          .gated = true,
          .second = second};
}

/// Whole heads in a panel, a head of several panels, heads that share panels with others, ragged last panels.
const LayersShape kShapes[] = {
    shape_of(2, 64, 192, LayersShape::none, false, false),
    shape_of(5, 8, 64, LayersShape::one, false, true),
    shape_of(3, 48, 96, LayersShape::each, true, false),
    shape_of(1, 32, 32, LayersShape::none, false, true),
};

std::vector<std::int32_t> ids_of(Index rows) {
  std::vector<std::int32_t> ids;
  for (Index i = 0; i < rows; ++i) ids.push_back(static_cast<std::int32_t>((i * 7 + 3) % 50));
  return ids;
}

std::vector<float> run(Session& session, const std::vector<std::int32_t>& offsets) {
  const std::vector<std::int32_t> ids = ids_of(offsets.back());
  session.run({.ids = ids, .offsets = offsets});
  std::vector<float> values;
  const TensorView<const float> out = session.output("last_hidden_state");
  for (Index i = 0; i < out.rows; ++i)
    values.insert(values.end(), out.row(i).begin(), out.row(i).end());
  return values;
}

SessionOptions options_of(int threads) {
  return {.max_rows = kRows, .max_sequences = kSequences, .threads = threads, .outputs = {}};
}

/// The plan of the same session with every op on all rows.
std::shared_ptr<Plan> apart(const Plan& plan) {
  auto result = std::make_shared<Plan>(plan);
  for (OpSchedule& op : result->ops) op.tile_ops = 0, op.chain = {};
  return result;
}

Index tile_ops(const Plan& plan) {
  Index sum = 0;
  for (const OpSchedule& op : plan.ops) sum += op.tile_ops;
  return sum;
}

class TileOpsRunTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  const std::vector<std::vector<std::int32_t>> batches_ = {
      {0, 1}, {0, 5, 6}, {0, 14}, {0, 40, 41, 60}, {0, 130, 150}};
};

TEST_P(TileOpsRunTest, GivesTheBitsOfOpsOnAllRows) {
  for (const LayersShape& shape : kShapes) {
    const LayersModel layers(shape);
    for (const Precision precision : kModelPrecisions) {
      const auto model = layers.create(precision, GetParam());
      for (const int threads : {1, 3}) {
        const auto fused = Session::create(model, options_of(threads));
        SessionOptions options = options_of(threads);
        options.plan = apart(fused->plan());
        const auto whole = Session::create(model, options);
        EXPECT_LE(fused->memory_bytes(), whole->memory_bytes() + (256 << 10));
        for (const auto& offsets : batches_) {
          const std::vector<float> want = run(*whole, offsets), got = run(*fused, offsets);
          ASSERT_EQ(want.size(), got.size());
          ASSERT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0)
              << to_string(precision) << ", d = " << shape.head_dim << ", " << offsets.back()
              << " rows, " << threads << " threads";
        }
      }
    }
  }
}

TEST_P(TileOpsRunTest, AnyNestGivesTheSameBits) {
  for (const LayersShape& shape : {kShapes[0], kShapes[1], kShapes[2]}) {
    const LayersModel layers(shape);
    for (const Precision precision : kModelPrecisions) {
      const auto model = layers.create(precision, GetParam());
      const auto made = Session::create(model, options_of(2));
      const std::vector<std::int32_t> offsets{0, 101, 150};
      const std::vector<float> want = run(*made, offsets);
      const PerPrecision<TileShape> tile = tile_shapes(kernels::kernels_at(GetParam()));
      for (const LoopOrder order : kLoopOrders) {
        for (const Index blocks : {1, 2, 5}) {
          auto other = std::make_shared<Plan>(made->plan());
          for (std::size_t i = 0; i < other->ops.size(); ++i) {
            OpSchedule& op = other->ops[i];
            op.chain = {};
            if (op.nests.empty()) continue;
            const LinearTask task =
                linear_task(model->program(), i, op.tile_ops, kRows, tile, false);
            const Index groups =
                ceil_div(ceil_div(task.shape.N, tile[task.precision].NR), task.group);
            const Index chunks = ceil_div(task.shape.K, tile[task.precision].KR);
            op.nests = {{kRows,
                         {.order = order,
                          .row_blocks = blocks,
                          .col_blocks = std::min(groups, 6 - blocks),
                          .k_blocks = splits_k(task, order) ? std::min(blocks, chunks) : 1}}};
          }
          SessionOptions options = options_of(2);
          options.plan = other;
          const std::vector<float> got = run(*Session::create(model, options), offsets);
          ASSERT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0)
              << to_string(precision) << " " << to_string(order) << " " << blocks;
        }
      }
    }
  }
}

/// What is behind the products of a group saw.
struct Seen {
  std::vector<int> times;  // by row and column of the result
  std::vector<float> products;
  Index columns, half;
  static void run(const void* self, const execute::GroupProducts& p) noexcept {
    auto& seen = *const_cast<Seen*>(static_cast<const Seen*>(self));
    for (Index i = p.rows.begin; i < p.rows.end; ++i) {
      for (Index j = 0; j < p.columns; ++j) {
        ++seen.times[static_cast<std::size_t>(i * seen.columns + p.column + j)];
        const float* const x = p.c + (i - p.rows.begin) * p.ldc + j;
        float* const y = seen.products.data() + 2 * (i * seen.columns + p.column + j);
        y[0] = x[0];
        y[1] = seen.half == 0 ? 0.0F : x[p.to_right];
      }
    }
  }
};

TEST_P(TileOpsRunTest, EveryProductIsThereOnceInTheMemoryThatIsPromised) {
  const kernels::Gemm& gemm = kernels::kernels_at(GetParam()).gemm[Precision::f32];
  const Index NR = gemm.NR, K = 40;
  for (const Index panels : {2, 6, 7, 24}) {
    for (const Index of_group : {1, 2, 3}) {
      for (const bool pairs : {false, true}) {
        if (pairs && (of_group != 2 || panels % 2 != 0)) continue;
        const TileGroup group{
            .panels = of_group, .pairs = pairs, .apart = true, .half = pairs ? panels / 2 : 0};
        const Index N = pairs ? panels * NR : panels * NR - 3;
        for (const Index M : {Index{1}, gemm.MR, gemm.MR + 1, 4 * gemm.MR - 1}) {
          const auto a = test::random_normal(M * K, 1), w = test::random_normal(N * K, 2);
          test::GuardedBuffer<float> packed(panels * gemm.panel_bytes(K) / 4);
          for (Index p = 0; p < panels; ++p) {
            gemm.pack_panel(
                {.w = w.data() + p * NR * K,
                 .type = DType::f32,
                 .ldw = K,
                 .nr = std::min(NR, N - p * NR),
                 .K = K,
                 .panel = reinterpret_cast<std::byte*>(packed.data()) + p * gemm.panel_bytes(K)});
          }
          for (const LoopOrder order : {LoopOrder::is_os_a, LoopOrder::ws_os_a}) {
            const LoopNest nest{.order = order, .row_blocks = 1};
            test::GuardedBuffer<float> place(execute::apart_elements(group, nest, M, gemm.MR, NR));
            const Index columns = pairs ? N / 2 : N;
            Seen seen{std::vector<int>(static_cast<std::size_t>(M * columns)),
                      std::vector<float>(static_cast<std::size_t>(2 * M * columns)), columns,
                      group.half};
            execute::GemmOperands o{.gemm = gemm,
                                    .a = a.data(),
                                    .lda = K,
                                    .panels = packed.data(),
                                    .c = nullptr,
                                    .ldc = 0,
                                    .N = N,
                                    .K = K};
            o.behind = {.group = group, .apart = place.data(), .run = &Seen::run, .self = &seen};
            execute::run_block(o, nest, {0, M}, {0, panels});
            for (Index i = 0; i < M; ++i) {
              for (Index j = 0; j < columns; ++j) {
                const auto at = static_cast<std::size_t>(i * columns + j);
                ASSERT_EQ(seen.times[at], 1) << i << ", " << j;
                for (int half = 0; half < (pairs ? 2 : 1); ++half) {
                  double sum = 0;
                  for (Index k = 0; k < K; ++k) {
                    sum += static_cast<double>(a.data()[i * K + k]) *
                           static_cast<double>(w.data()[(j + half * columns) * K + k]);
                  }
                  ASSERT_NEAR(
                      static_cast<double>(seen.products[2 * at + static_cast<std::size_t>(half)]),
                      sum, 1e-4);
                }
              }
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_FOR_ALL_ISAS(TileOpsRunTest);

TEST(TileOpsSessionTest, RunInTilesUnlessWhatIsBetweenIsAskedFor) {
  const LayersModel layers(kShapes[0]);
  const auto f32 = Session::create(layers.create(), options_of(1));
  EXPECT_EQ(tile_ops(f32->plan()), 2);  // turned, gated
  const auto bf16 = Session::create(layers.create(Precision::bf16), options_of(1));
  const bool attends = kernels::kernels_at(*default_isa().isa).attention[Precision::bf16].run;
  EXPECT_EQ(tile_ops(bf16->plan()), attends ? 4 : 3);  // gated rows are rounded, turned ones for it
  Program asked = layers.program();
  for (std::size_t v = 0; v < asked.values.size(); ++v) {
    if (asked.values[v].name == "layer.0.qkv")
      asked.outputs.push_back({"qkv", static_cast<ValueId>(v)});
  }
  const PerPrecision<TileShape> tile = tile_shapes(kernels::kernels_at(Isa::baseline));
  Index ops = 0;
  for (std::size_t i = 0; i < asked.ops.size(); ++i) ops += tile_ops_behind(asked, i, tile);
  EXPECT_EQ(ops, 1);  // the gate
}

TEST(TileOpsSessionTest, NeitherTurnsByTheLengthNorHalvesOfBrokenPanels) {
  const PerPrecision<TileShape> tile = tile_shapes(kernels::kernels_at(Isa::baseline));
  const auto ops_of = [&](const Program& program) {
    Index ops = 0;
    for (std::size_t i = 0; i < program.ops.size(); ++i) ops += tile_ops_behind(program, i, tile);
    return ops;
  };
  Program program = LayersModel(kShapes[0]).program();
  EXPECT_EQ(ops_of(program), 2);
  program.rotations[0].limit = 8;
  EXPECT_EQ(ops_of(program), 1);
  program = LayersModel(kShapes[0]).program();
  for (Op& op : program.ops) {
    if (auto* rotate = std::get_if<RotateOp>(&op)) rotate->k.first += 4;  // heads in two groups
  }
  EXPECT_EQ(ops_of(program), 1);
  LayersShape ragged = kShapes[0];
  ragged.inner = 196;  // of panels of 8
  EXPECT_EQ(ops_of(LayersModel(ragged).program()), 1);
}

TEST(TileOpsSessionTest, ObserversSeeALinearWithItsOps) {
  struct Counts final : RunObserver {
    std::map<std::size_t, std::size_t> of;
    void begin_ops(std::size_t op, std::size_t count) noexcept override { of[op] = count; }
    void end_ops(std::size_t, std::size_t) noexcept override {}
  } seen;
  const LayersModel layers(kShapes[0]);
  SessionOptions options = options_of(1);
  options.row_blocks = 0;
  const auto session = Session::create(layers.create(), options);
  session->observe(&seen);
  run(*session, {0, 20});
  std::size_t next = 0;
  for (const auto& [op, count] : seen.of) {
    EXPECT_EQ(op, next);
    EXPECT_EQ(count, 1 + static_cast<std::size_t>(session->plan().ops[op].tile_ops));
    next = op + count;
  }
  EXPECT_EQ(next, session->program().ops.size());
}

TEST(TileOpsSessionTest, APlanWithAnotherNumberOfOpsIsRefused) {
  const LayersModel layers(kShapes[3]);  // a group is one panel
  const auto model = layers.create();
  const auto made = Session::create(model, options_of(1));
  const auto message_of = [&](auto&& change, bool allows_onednn = false) -> std::string {
    auto other = std::make_shared<Plan>(made->plan());
    for (OpSchedule& op : other->ops) change(op);
    SessionOptions options = options_of(1);
    options.plan = other;
    options.allow_onednn = allows_onednn;
    try {
      Session::create(model, options);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  for (const Index wrong : {2, 7}) {
    EXPECT_THAT(message_of([&](OpSchedule& op) {
                  if (op.tile_ops == 1) op.tile_ops = wrong;
                }),
                testing::HasSubstr("tile_ops is"));
  }
  if (execute::OneDnnLinear::is_available()) {
    EXPECT_THAT(message_of(
                    [](OpSchedule& op) {
                      for (NestRange& range : op.nests) range.onednn = op.tile_ops > 0;
                    },
                    true),
                testing::HasSubstr("ops run in its tiles"));
  }
  // Blocks of attention are whole ones of the kernel, or all rows.
  for (const Index rows : {100, 64, 128, 150}) {
    const std::string message = message_of([&](OpSchedule& op) {
      for (AttentionRange& range : op.attention) range.task_rows = rows;
    });
    EXPECT_THAT(message, testing::HasSubstr(rows == 100 ? "task_rows is 100" : "accepted"));
  }
}

/// Bytes into a simulated L2 of one run of ModernBERT's shape, smaller, by op.
TEST(TileOpsSessionTest, TurnsAndGatesMoveNoBytesIntoL2) {
  const LayersShape shape = shape_of(8, 64, 768, LayersShape::one, false, false);
  const LayersModel layers(shape);
  const Isa isa = best_isa();
  const auto bytes_of = [&](std::shared_ptr<const Plan> plan) {
    const auto model = layers.create(Precision::f32, isa, &meters::replay_kernels(isa));
    SessionOptions options{
        .max_rows = 600, .max_sequences = 8, .threads = 1, .outputs = {}, .row_blocks = 0};
    if (plan != nullptr) options.row_blocks.reset(), options.plan = std::move(plan);
    const auto session = Session::create(model, options);
    const SimulatedCache caches[] = {{.bytes = 32 << 10, .ways = 8},
                                     {.bytes = 1 << 20, .ways = 16}};
    meters::ReplayMeter meter(session->program().ops.size(), caches);
    session->observe(&meter);
    std::vector<std::int32_t> offsets;
    for (std::int32_t i = 0; i <= 600; i += 120) offsets.push_back(i);
    run(*session, offsets);
    std::map<std::string, double> bytes;
    for (const meters::OpMeasurement& op : meter.take().ops) {
      bytes[name_of(session->program().ops[op.op])] += op.l2->total();
    }
    return std::pair(bytes, session->plan());
  };
  auto [fused, plan] = bytes_of(nullptr);
  auto [whole, same] = bytes_of(apart(plan));
  EXPECT_EQ(fused.count("rotate") + fused.count("gated"), 0U);
  EXPECT_GT(whole["rotate"] + whole["gated"], 0.05 * (whole["linear"] + whole["attention"]));
  EXPECT_LE(fused["linear"] + fused["attention"], 1.03 * (whole["linear"] + whole["attention"]));
}

}  // namespace
}  // namespace tessera
