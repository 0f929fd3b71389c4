// SPDX-License-Identifier: Apache-2.0
// A directory of sentence-transformers to fill with modules, and poolings by their definition.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {

inline const std::vector<std::vector<std::int32_t>> kSequences{{5, 9, 7, 2, 30}, {11, 3}, {6}};
/// Sums of at most 5 rows and products of width 48 in f32 of values of size 1.
inline constexpr double kTolerance = 2e-5;

/// A sentence-transformers directory around the golden case bert-model.
class SentenceDirectory {
 public:
  explicit SentenceDirectory(const std::string& modules, const std::string& transformer = "") {
    CheckpointCopy("bert-model").write(path() / transformer);
    write("modules.json", modules);
  }
  const std::filesystem::path& path() const { return directory_.path(); }
  void write(const std::string& name, const std::string& text) const {
    directory_.write(name, text);
  }
  models::Package open(const models::PackageOptions& options = {}) const {
    return models::open_package(path(), options);
  }
  std::string error(const models::PackageOptions& options = {}) const {
    return error_of([&] { open(options); });
  }

 private:
  TemporaryDirectory directory_;
};

inline std::string module(const std::string& name, const std::string& path) {
  return R"({"idx": 0, "name": "0", "path": ")" + path +
         R"(", "type": "sentence_transformers.models.)" + name + "\"}";
}

inline std::string modules(const std::vector<std::pair<std::string, std::string>>& after) {
  std::string text = "[";
  text += module("Transformer", "");
  for (const auto& [name, path] : after) {
    text += ", ";
    text += module(name, path);
  }
  text += "]";
  return text;
}

inline const std::string kMeanPooling =
    R"({"word_embedding_dimension": 48, "pooling_mode_cls_token": false,
        "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false})";

/// One pooling of the rows of every sequence, by its definition.
inline Matrix pooled(const Matrix& x, Pooling pooling) {
  Matrix result;
  std::size_t begin = 0;
  for (const auto& sequence : kSequences) {
    const std::size_t T = sequence.size(), width = x[0].size();
    std::vector<double> row(width, pooling == Pooling::max ? -HUGE_VAL : 0.0);
    double weights = 0.0;
    for (std::size_t t = 0; t < T; ++t) {
      weights += static_cast<double>(t + 1);
      for (std::size_t j = 0; j < width; ++j) {
        const double v = x[begin + t][j];
        if (pooling == Pooling::max) {
          row[j] = std::max(row[j], v);
        } else if (pooling == Pooling::first || pooling == Pooling::last) {
          if (t == (pooling == Pooling::first ? 0 : T - 1)) row[j] = v;
        } else {
          row[j] += pooling == Pooling::weighted_mean ? v * static_cast<double>(t + 1) : v;
        }
      }
    }
    double divisor = 1.0;
    if (pooling == Pooling::mean) divisor = static_cast<double>(T);
    if (pooling == Pooling::mean_sqrt_len) divisor = std::sqrt(static_cast<double>(T));
    if (pooling == Pooling::weighted_mean) divisor = weights;
    for (double& v : row) v /= divisor;
    result.push_back(row);
    begin += T;
  }
  return result;
}

inline Matrix normalized(Matrix x) {
  for (auto& row : x) {
    double sum = 0.0;
    for (const double v : row) sum += v * v;
    for (double& v : row) v /= std::sqrt(sum);
  }
  return x;
}

}  // namespace tessera::test
