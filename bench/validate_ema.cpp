// SPDX-License-Identifier: Apache-2.0
//
// The model of the bytes against the replay of the walk, over the evaluation set of
// docs/DATAFLOW.md. One line per measurement, tab separated, to stdout;
// scripts/validate_ema_table.py reads it.
//
//   validate_ema gemm|gemm_bf16|attention|crossover ISA [MOST_ROWS]
//
// Caches of an Emerald Rapids core and nominal rates, whatever machine it runs on: the same lines
// everywhere. Empty caches at the start; what is changed at the end goes back.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <string_view>

#include "bench/support/replay_cell.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/machine/rates.hpp"
#include "runtime/plan/plan.hpp"

namespace tessera::bench {
namespace {

constexpr SimulatedCache kCaches[] = {{.bytes = 48 << 10, .ways = 12},
                                      {.bytes = 2 << 20, .ways = 16},
                                      {.bytes = Index{260} << 20, .ways = 20}};

struct Encoder {
  const char* name;
  Index hidden, ffn, heads;
  std::vector<Index> rows;
};
const std::vector<Encoder> kEncoders{
    {"BERT-base", 768, 3072, 12, {16, 64, 128, 384, 512, 1024, 2048, 4096}},
    {"BERT-small", 512, 2048, 8, {128, 384, 512, 1024}},
    {"BERT-large", 1024, 4096, 16, {128, 384, 512, 1024}},
    {"MiniLM", 384, 1536, 12, {16, 128, 384, 512, 1024, 4096}},
    {"ViT-B", 768, 3072, 12, {197, 257}},
    {"ViT-L", 1024, 4096, 16, {197, 257}},
    {"ViT-H", 1280, 5120, 16, {197, 257}},
    {"XLM", 2048, 8192, 16, {128, 384}},
    {"Wav2Vec2-large", 1024, 4096, 16, {115, 384, 1565}},
};

PlanMachine plan_machine(Isa isa) {
  Machine machine;
  machine.l1d = {.bytes = kCaches[0].bytes, .ways = kCaches[0].ways};
  machine.l2 = {.bytes = kCaches[1].bytes, .ways = kCaches[1].ways};
  machine.l3 = {.bytes = kCaches[2].bytes, .ways = kCaches[2].ways};
  return {.l1_bytes = kCaches[0].bytes,
          .l2_bytes = kCaches[1].bytes,
          .l3_bytes = kCaches[2].bytes,
          .tile = tile_shapes(meters::replay_kernels(isa)),
          .threads = 1,
          .rates = nominal_rates(machine, isa)};
}

/// kind isa encoder rows op order blocks chosen bound l1 l2 l3 (model) l1 l2 l3 (replay), and for
/// linears what the model says moves into L2 if all of L2 counts instead of ¾
void print(std::string_view kind, Isa isa, const Encoder& e, Index T, std::string_view op,
           std::string_view order, std::string_view blocks, bool chosen, double bound,
           const double (&model)[3], const ReplayedBytes& seen, double whole_l2 = 0) {
  fmt::print("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:.0f}", kind, to_string(isa), e.name, T, op, order,
             blocks, chosen ? "chosen" : "-", bound);
  for (const double bytes : model) fmt::print("\t{:.0f}", bytes);
  for (const EdgeLines& edge : seen.at) fmt::print("\t{:.0f}", edge.bytes());
  fmt::print("\t{:.0f}\n", whole_l2);
  std::fflush(stdout);
}

/// `precision` of A and B; C is f32.
void gemm(Isa isa, Precision precision, Index most_rows) {
  const PlanMachine machine = plan_machine(isa);
  const TileShape& tile = machine.tile[precision];
  const char* const kind = precision == Precision::f32 ? "gemm" : "gemm_bf16";
  for (const Encoder& e : kEncoders) {
    const Index H = e.hidden, F = e.ffn;
    struct Weight {
      const char* name;
      Index N, K;
    };
    for (const Weight& w :
         {Weight{"qkv", 3 * H, H}, {"out", H, H}, {"ffn1", F, H}, {"ffn2", H, F}}) {
      for (const Index T : e.rows) {
        if (T > most_rows) continue;
        const LinearTask task{.shape = {.M = T, .N = w.N, .K = w.K}, .precision = precision};
        const LinearPlan plan = plan_linear(task, machine);
        const double bound = plan.bound_bytes;
        const double once = tile.bytes.a * static_cast<double>(T * w.K) +
                            tile.bytes.b * static_cast<double>(w.K * w.N) +
                            tile.bytes.c * static_cast<double>(2 * T * w.N);
        for (const std::optional<LinearCandidate>& c : plan.best) {
          if (!c) continue;
          const double model[3] = {c->cost.l1_bytes(), c->cost.l2_bytes(), once};
          const auto Z = static_cast<double>(kCaches[1].bytes);
          const double whole = gemm_traffic(task.shape, c->nest, tile, Z).bytes();
          print(kind, isa, e, T, w.name, to_string(c->nest.order),
                describe_blocks(c->nest, task.shape, tile), c->nest == plan.chosen.nest, bound,
                model, replay_linear(task.shape, c->nest, isa, kCaches, precision), whole);
        }
        if (precision != Precision::f32) continue;
        // The textbook orders are the same walks with square blocks, one of each matrix in L2.
        const double t = std::floor(std::sqrt(machine.Z2() / 12));
        const auto blocks = [&](Index extent) {
          return static_cast<Index>(std::ceil(static_cast<double>(extent) / t));
        };
        const LoopNest square{.row_blocks = blocks(T),
                              .col_blocks = std::min(blocks(w.N), ceil_div(w.N, tile.NR)),
                              .k_blocks = blocks(w.K)};
        const ClassicalTraffic& x = plan.classical;
        const double bytes[] = {x.is, x.ws, x.os};
        const char* const names[] = {"IS", "WS", "OS"};
        const LoopOrder orders[] = {LoopOrder::is_os_b, LoopOrder::ws_os_b, LoopOrder::os_2d};
        for (std::size_t i = 0; i < 3; ++i) {
          LoopNest nest = square;
          nest.order = orders[i];
          if (i == 0) nest.col_blocks = 1;
          if (i == 1) nest.row_blocks = 1;
          const double model[3] = {0, bytes[i], once};
          print("textbook", isa, e, T, w.name, names[i], describe_blocks(nest, task.shape, tile),
                false, x.naive, model, replay_linear(task.shape, nest, isa, kCaches));
        }
      }
    }
  }
}

/// Between linears of `precision`. False: the level computes it in f32.
bool attention(Isa isa, Precision precision, Index most_rows) {
  const kernels::Attention& kernel = meters::replay_kernels(isa).attention[precision];
  if (kernel.run == nullptr || kernel.is_absent) return false;
  const char* const kind = precision == Precision::f32 ? "attention" : "attention_bf16";
  const AttentionCaches caches{kCaches[0].bytes, kCaches[1].bytes, kCaches[2].bytes};
  for (const Encoder& e : kEncoders) {
    for (const Index T : e.rows) {
      if (T > most_rows) continue;
      const AttentionShape s{.T = T, .d = e.hidden / e.heads, .heads = e.heads};
      const kernels::AttentionDataflow runs = dataflow_of(T, s.d, {}, caches.l2_bytes, kernel);
      for (Index n = 0; n < kernels::kAttentionDataflows; ++n) {
        const auto dataflow = static_cast<kernels::AttentionDataflow>(n);
        if (T > 1024 && dataflow != runs) continue;
        const AttentionCost cost = attention_cost(dataflow, s, caches, kernel);
        const double model[3] = {cost.l1_bytes, cost.l2_bytes, cost.l3_bytes};
        print(kind, isa, e, T, fmt::format("d={}", s.d), kernels::to_string(dataflow), "-",
              dataflow == runs, cost.bound_bytes, model,
              replay_attention(s, dataflow, isa, kCaches, precision));
      }
    }
  }
  return true;
}

// ---- From how many rows on does a stationary weight move less than stationary rows? -------------

struct Contest {
  LinearShape shape;
  const PlanMachine& machine;
  const TileShape& tile() const { return machine.tile[Precision::f32]; }

  /// The fewest blocks whose stationary operand stays.
  LoopNest nest(LoopOrder order) const {
    LoopNest n{.order = order};
    Index& blocks = order == LoopOrder::is_os_a ? n.row_blocks : n.col_blocks;
    const Index most = order == LoopOrder::is_os_a ? shape.M : ceil_div(shape.N, tile().NR);
    while (blocks < most && stationary_bytes(shape, n, tile()) > machine.Z2()) ++blocks;
    return n;
  }
  double model(LoopOrder order) const {
    return gemm_traffic(shape, nest(order), tile(), machine.Z2()).bytes();
  }
  double seen(LoopOrder order, Isa isa) const {
    return replay_linear(shape, nest(order), isa, kCaches).at[1].bytes();
  }
};

void crossover(Isa isa) {
  const PlanMachine machine = plan_machine(isa);
  for (const auto& weight : std::initializer_list<std::pair<Index, Index>>{
           {768, 2304}, {768, 3072}, {1024, 1024}, {1024, 4096}, {384, 1536}, {512, 2048}}) {
    const Index K = weight.first, N = weight.second;
    const auto weight_wins = [&](Index M, bool replayed) {
      const Contest c{{.M = M, .N = N, .K = K}, machine};
      const double is = replayed ? c.seen(LoopOrder::is_os_a, isa) : c.model(LoopOrder::is_os_a);
      const double ws = replayed ? c.seen(LoopOrder::ws_os_a, isa) : c.model(LoopOrder::ws_os_a);
      return ws < 0.999 * is;
    };
    const auto first = [&](bool replayed, Index from, Index to, Index step) {
      for (Index M = from; M <= to; M += step) {
        if (weight_wins(M, replayed)) return M;
      }
      return Index{0};
    };
    const Index predicted = first(false, 16, 8192, 4);
    // A tenth around, and what lies beyond, more coarsely.
    const Index step = std::max<Index>(4, predicted / 50);
    const Index measured = first(true, predicted * 7 / 10, predicted * 3 / 2, step);
    fmt::print("crossover\t{}\t({},{})\t{}\t{}\t{}\n", to_string(isa), K, N, predicted, measured,
               step);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  const std::string_view what = argc > 1 ? argv[1] : "";
  const auto isa = isa_from_string(argc > 2 ? argv[2] : "avx512");
  const Index most = argc > 3 ? std::atoll(argv[3]) : 4096;
  if (isa && what == "gemm") {
    bench::gemm(*isa, Precision::f32, most);
  } else if (isa && what == "gemm_bf16") {
    bench::gemm(*isa, Precision::bf16, most);
  } else if (isa && what == "attention") {
    bench::attention(*isa, Precision::f32, most);
  } else if (isa && what == "attention_bf16") {
    if (!bench::attention(*isa, Precision::bf16, most)) {
      fmt::print(stderr, "validate_ema: {} computes attention in f32\n", to_string(*isa));
      return 2;
    }
  } else if (isa && what == "crossover") {
    bench::crossover(*isa);
  } else {
    fmt::print(stderr,
               "validate_ema: expected gemm|gemm_bf16|attention|attention_bf16|crossover ISA "
               "[MOST_ROWS]\n");
    return 2;
  }
}
