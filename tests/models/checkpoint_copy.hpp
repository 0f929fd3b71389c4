// SPDX-License-Identifier: Apache-2.0
//
// A golden case (tests/golden/data) as something to change: keys of config.json and tensors can be
// set, renamed and dropped before it is written to a directory of its own.
#pragma once

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "models/package.hpp"
#include "runtime/base/error.hpp"
#include "runtime/session/session.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tensors.hpp"

namespace tessera::test {

class CheckpointCopy {
 public:
  explicit CheckpointCopy(const std::string& golden_case) {
    const auto from = std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/golden/data" / golden_case;
    simdjson::dom::parser parser;
    for (const auto pair : simdjson::dom::object(parser.load((from / "config.json").string()))) {
      config[std::string(pair.key)] = simdjson::minify(pair.value);
    }
    const Checkpoint checkpoint = Checkpoint::open(from);
    for (const StoredTensor* stored : checkpoint.tensors()) {
      if (stored->type != StoredType::f32) continue;  // position_ids
      Tensor tensor{.shape = stored->shape, .data = {}};
      tensor.data.resize(static_cast<std::size_t>(stored->elements()));
      std::memcpy(tensor.data.data(), stored->data, stored->bytes);
      tensors[stored->name] = std::move(tensor);
    }
  }

  std::map<std::string, std::string> config;  ///< key -> JSON
  Tensors tensors;

  void add(const std::string& name, const std::vector<std::int64_t>& shape) {
    add_random(tensors, name, shape);
  }
  void rename(const std::string& from, const std::string& to) {
    auto node = tensors.extract(from);
    ASSERT_FALSE(node.empty()) << from;
    node.key() = to;
    tensors.insert(std::move(node));
  }
  /// Renames every tensor whose name starts with `from`.
  void replace_prefix(const std::string& from, const std::string& to) {
    Tensors renamed;
    for (auto& [name, tensor] : tensors) {
      const bool matches = name.starts_with(from);
      renamed[matches ? to + name.substr(from.size()) : name] = std::move(tensor);
    }
    tensors = std::move(renamed);
  }

  std::string config_text() const {
    std::string text;
    for (const auto& [key, value] : config) {
      text += (text.empty() ? "{\"" : ",\"") + key + "\":" + value;
    }
    return text + "}";
  }
  void write(const std::filesystem::path& directory) const {
    std::filesystem::create_directories(directory);
    std::ofstream(directory / "config.json") << config_text();
    write_tensors(directory / "model.safetensors", tensors);
  }
  /// Writes to a directory that lives as long as the copy, and opens it. The mapped files outlive
  /// the directory.
  models::Package open(const models::PackageOptions& options = {}) const {
    const TemporaryDirectory directory;
    write(directory.path());
    return models::open_package(directory.path(), options);
  }
};

/// The message of the Error that `body` throws, with its code in front; "" if it throws none.
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "";
}

/// Every output of one run over `sequences`: rows × width, in double.
using Matrix = std::vector<std::vector<double>>;
using Results = std::map<std::string, Matrix>;

inline Results compute(const models::Package& package,
                       const std::vector<std::vector<std::int32_t>>& sequences) {
  std::vector<std::int32_t> ids, offsets{0};
  for (const auto& sequence : sequences) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
  }
  const auto model = Model::create(package.program, package.checkpoint);
  const auto session = Session::create(model, {.max_rows = std::ssize(ids),
                                               .max_sequences = std::ssize(sequences),
                                               .threads = 1,
                                               .outputs = {}});
  session->run({.ids = ids, .types = {}, .offsets = offsets});
  Results results;
  for (const Output& output : package.program.outputs) {
    const TensorView<const float> view = session->output(output.name);
    Matrix rows;
    for (Index i = 0; i < view.rows; ++i) rows.emplace_back(view.row(i).begin(), view.row(i).end());
    results[output.name] = std::move(rows);
  }
  return results;
}

/// max |a − b|; infinite if the shapes differ.
inline double max_difference(const Matrix& a, const Matrix& b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double worst = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return HUGE_VAL;
    for (std::size_t j = 0; j < a[i].size(); ++j) {
      const double d = std::abs(a[i][j] - b[i][j]);
      worst = std::isnan(d) ? HUGE_VAL : std::max(worst, d);
    }
  }
  return worst;
}

/// y = x wᵀ + b with the tensors "<name>.weight" and, where there is one, "<name>.bias".
inline Matrix linear(const Tensors& tensors, const std::string& name, const Matrix& x) {
  const Tensor& w = tensors.at(name + ".weight");
  const auto bias = tensors.find(name + ".bias");
  Matrix y;
  for (const auto& row : x) {
    y.emplace_back();
    for (Index n = 0; n < static_cast<Index>(w.shape[0]); ++n) {
      double sum = bias == tensors.end()
                       ? 0.0
                       : static_cast<double>(bias->second.data[static_cast<std::size_t>(n)]);
      for (std::size_t k = 0; k < row.size(); ++k) {
        sum += row[k] * static_cast<double>(w.at(n, static_cast<Index>(k)));
      }
      y.back().push_back(sum);
    }
  }
  return y;
}

template <class Function>
Matrix map(Matrix x, Function&& f) {
  for (auto& row : x) {
    for (double& value : row) value = f(value);
  }
  return x;
}

inline double gelu(double x) {
  return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
}
inline double gelu_tanh(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
inline double relu(double x) {
  return std::max(x, 0.0);
}
inline double tanh_of(double x) {
  return std::tanh(x);
}

inline Matrix layer_norm(const Tensors& tensors, const std::string& name, Matrix x, double eps) {
  const Tensor &gamma = tensors.at(name + ".weight"), &beta = tensors.at(name + ".bias");
  for (auto& row : x) {
    double mean = 0.0, variance = 0.0;
    for (const double v : row) mean += v / static_cast<double>(row.size());
    for (const double v : row)
      variance += (v - mean) * (v - mean) / static_cast<double>(row.size());
    for (std::size_t j = 0; j < row.size(); ++j) {
      row[j] = (row[j] - mean) / std::sqrt(variance + eps) * static_cast<double>(gamma.data[j]) +
               static_cast<double>(beta.data[j]);
    }
  }
  return x;
}

/// Row 0 of every sequence of the given lengths.
inline Matrix first_rows(const Matrix& x, const std::vector<std::vector<std::int32_t>>& sequences) {
  Matrix rows;
  std::size_t begin = 0;
  for (const auto& sequence : sequences) {
    rows.push_back(x[begin]);
    begin += sequence.size();
  }
  return rows;
}

}  // namespace tessera::test
