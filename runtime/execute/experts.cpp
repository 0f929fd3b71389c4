// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/experts.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"

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

class Experts {
 public:
  Experts(const Context& context, const ExpertsOp& op, float* scratch) noexcept
      : context_(context),
        op_(op),
        shape_(expert_shape(context.program, op)),
        wide_(activation_stride(shape_.F)),
        narrow_(activation_stride(shape_.H)),
        scratch_(scratch) {}

  void run(Range rows) noexcept {
    const TensorView<float> in = context_.value(op_.in), scores = context_.value(op_.scores),
                            out = context_.value(op_.out);
    const Index m = rows.size() + context_.kernels.gemm[Precision::f32].rows_read;
    float *const a = scratch_, *const u = a + m * narrow_, *const d = u + m * wide_;
    auto* const choices = reinterpret_cast<Choice*>(d + m * narrow_);
    auto* const left = reinterpret_cast<float*>(choices + m * shape_.top);
    const auto bytes = static_cast<std::size_t>(shape_.H) * sizeof(float);
    for (Index i = 0; i < rows.size(); ++i) {
      const Index row = rows.begin + i;
      choose(scores.data + row * scores.stride, shape_.experts, shape_.top, left,
             choices + i * shape_.top);
      float* const y = out.data + row * out.stride;
      if (op_.bias == kNone) {
        std::fill_n(y, shape_.H, 0.0F);
      } else {
        std::memcpy(y, context_.weights[op_.bias].data, bytes);
      }
    }
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
        std::memcpy(a + chosen++ * narrow_, in.data + row * in.stride, bytes);
      });
      if (chosen == 0) continue;
      const auto i = static_cast<std::size_t>(e);
      multiply(op_.up[i], a, narrow_, u, wide_, chosen, op_.activation);
      multiply(op_.down[i], u, wide_, d, narrow_, chosen, Activation::none);
      Index next = 0;
      each_row([&](Index row, float weight) {
        const float* const x = d + next++ * narrow_;
        float* const y = out.data + row * out.stride;
        for (Index n = 0; n < shape_.H; ++n) y[n] += weight * x[n];
      });
    }
  }

 private:
  void multiply(ParameterId id, const float* a, Index lda, float* c, Index ldc, Index M,
                Activation activation) const noexcept {
    const LoadedParameter& weight = context_.weights[id];
    run_gemm({.gemm = context_.kernels.gemm[weight.precision],
              .a = a,
              .lda = lda,
              .panels = weight.panels,
              .c = c,
              .ldc = ldc,
              .N = weight.rows,
              .K = weight.cols,
              .activation = activation,
              .resident = context_.weights_stay_in_l3,
              .stop = context_.workers.stop()},
             {.order = LoopOrder::ws_os_a}, M);
  }

  const Context& context_;
  const ExpertsOp& op_;
  ExpertShape shape_;
  Index wide_, narrow_;
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
