// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/experts.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/product.hpp"

namespace tessera::execute {
namespace {

struct Choice {
  float expert, weight;
};
static_assert(sizeof(Choice) == 2 * sizeof(float));

/// The `top` largest of softmax(scores), the lower number first where two are equal. `left`: room for
/// one float per expert.
void choose(const float* scores, Index experts, Index top, float* left, Choice* choices) noexcept {
  const float most = *std::max_element(scores, scores + experts);
  float sum = 0.0F;
  for (Index e = 0; e < experts; ++e) sum += left[e] = std::exp(scores[e] - most);
  for (Index t = 0; t < top; ++t) {
    const Index best = std::max_element(left, left + experts) - left;
    choices[t] = {static_cast<float>(best), left[best] / sum};
    left[best] = -1.0F;
  }
}

/// Rows in a worker's scratch.
struct Rows {
  float* data;
  DType type;
  Index stride;  // elements
};

class Experts {
 public:
  Experts(const Context& context, const ExpertsOp& op, float* scratch) noexcept
      : context_(context),
        op_(op),
        shape_(expert_shape(context.program, op)),
        type_(context.program.values[at(op.in)].type),
        scratch_(scratch) {}

  void run(Range rows) noexcept {
    const TensorView<float> scores = context_.value(op_.scores), out = context_.value(op_.out);
    const ExpertScratch at = expert_scratch(shape_, type_, rows.size(),
                                            context_.kernels.gemm[shape_.precision].rows_read);
    const bool quantizes = is_quantized(type_);
    const Rows a = rows_at(at.a, shape_.H, type_),
               u = rows_at(at.u, shape_.F, quantizes ? DType::f32 : type_),
               whole = rows_at(at.whole, shape_.F, type_), d = rows_at(at.d, shape_.H, DType::f32);
    auto* const choices = reinterpret_cast<Choice*>(scratch_ + at.choices);
    for (Index i = 0; i < rows.size(); ++i) {
      const Index row = rows.begin + i;
      choose(scores.data + row * scores.stride, shape_.experts, shape_.top, scratch_ + at.left,
             choices + i * shape_.top);
      float* const y = out.data + row * out.stride;
      if (op_.bias == kNone) {
        std::fill_n(y, shape_.H, 0.0F);
      } else {
        std::memcpy(y, context_.weights[op_.bias].data,
                    static_cast<std::size_t>(shape_.H) * sizeof(float));
      }
    }
    const Index row_bytes = a.stride * size_of(type_);  // of in, too: with the scale of a row
    const std::byte* const in = context_.places[tessera::at(op_.in)];
    for (Index e = 0; e < shape_.experts; ++e) {
      const auto each_row = [&](auto&& body) {
        for (Index i = 0; i < rows.size(); ++i) {
          for (Index t = 0; t < shape_.top; ++t) {
            const Choice& choice = choices[i * shape_.top + t];
            if (choice.expert == static_cast<float>(e)) body(rows.begin + i, choice.weight);
          }
        }
      };
      Index chosen = 0;
      each_row([&](Index row, float) {
        std::memcpy(reinterpret_cast<std::byte*>(a.data) + chosen++ * row_bytes,
                    in + row * row_bytes, static_cast<std::size_t>(row_bytes));
      });
      if (chosen == 0) continue;
      const auto i = static_cast<std::size_t>(e);
      multiply(op_.up[i], a, u, chosen, op_.activation);
      if (quantizes) quantize(u, whole, chosen);
      multiply(op_.down[i], quantizes ? whole : u, d, chosen, Activation::none);
      Index next = 0;
      each_row([&](Index row, float weight) {
        const float* const x = d.data + next++ * d.stride;
        float* const y = out.data + row * out.stride;
        for (Index n = 0; n < shape_.H; ++n) y[n] += weight * x[n];
      });
    }
  }

 private:
  Rows rows_at(Index first, Index width, DType type) const noexcept {
    return {scratch_ + first, type, activation_stride(width, type)};
  }

  /// C = act(A · weightᵀ), M rows; C is f32 or bf16.
  void multiply(ParameterId id, const Rows& a, const Rows& c, Index M,
                Activation activation) const noexcept {
    GemmOperands o = product_of(context_, context_.weights[id], a.data, a.type, a.stride);
    o.activation = activation;
    if (c.type == DType::f32) {
      o.c = c.data, o.ldc = c.stride;
    } else {
      o.narrow = reinterpret_cast<std::uint16_t*>(c.data), o.ldn = c.stride;
    }
    run_gemm(o, {.order = LoopOrder::ws_os_a}, M);
  }

  void quantize(const Rows& x, const Rows& y, Index M) const noexcept {
    context_.kernels.quantize({.x = x.data,
                               .type = x.type,
                               .ldx = x.stride,
                               .y = y.data,
                               .y_bytes = y.stride * size_of(y.type),
                               .M = M,
                               .N = shape_.F});
  }

  const Context& context_;
  const ExpertsOp& op_;
  ExpertShape shape_;
  DType type_;
  float* scratch_;
};

}  // namespace

void run(const Context& context, const ExpertsOp& op) noexcept {
  const Index rows = context.value(op.out).rows;
  const Index blocks = expert_blocks(rows, context.workers.count());
  context.workers.run(blocks, [&](Index task, int worker) {
    Experts(context, op, context.scratch + worker * context.scratch_stride)
        .run(piece({0, rows}, task, blocks));
  });
}

}  // namespace tessera::execute
