// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "models/package.hpp"
#include "runtime/base/error.hpp"

namespace tessera::models {

const char* to_string(SimilarityMeasure measure) noexcept {
  switch (measure) {
    case SimilarityMeasure::cosine:
      return "cosine";
    case SimilarityMeasure::dot:
      return "dot";
    case SimilarityMeasure::euclidean:
      return "euclidean";
    case SimilarityMeasure::manhattan:
      return "manhattan";
  }
  return "unknown";
}

void logits_per_image(const Similarity& similarity, TensorView<const float> images,
                      TensorView<const float> texts, std::span<float> logits) {
  if (images.cols != texts.cols || std::ssize(logits) != images.rows * texts.rows) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("logits_per_image: image embeddings ({},{}), text embeddings ({},{}), {} "
                    "logits; expected equal widths and one logit per pair",
                    images.rows, images.cols, texts.rows, texts.cols, logits.size()));
  }
  const double scale = std::exp(static_cast<double>(similarity.logit_scale));
  std::size_t at = 0;
  for (Index i = 0; i < images.rows; ++i) {
    for (Index t = 0; t < texts.rows; ++t) {
      double dot = 0.0;
      for (Index n = 0; n < images.cols; ++n) {
        dot += static_cast<double>(images.row(i)[static_cast<std::size_t>(n)]) *
               static_cast<double>(texts.row(t)[static_cast<std::size_t>(n)]);
      }
      logits[at++] = static_cast<float>(dot * scale + static_cast<double>(similarity.logit_bias));
    }
  }
}

}  // namespace tessera::models
