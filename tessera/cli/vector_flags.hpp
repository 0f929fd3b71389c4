// SPDX-License-Identifier: Apache-2.0
// How the vectors of `tessera embed` are stored.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

#include "kernels/types.hpp"
#include "tessera/pipeline/embedding_writer.hpp"

namespace tessera::cli {

struct VectorFlags {
  std::string type = "f32";
  std::string ranges, calibration;  // files; empty: not given
  bool is_base64 = false;

  void add_to(CLI::App& command);
  /// Throws UsageError where they do not go with the output's format, by its name, or with one another.
  void require_format(const std::string& format, bool is_sparse) const;
  /// Of vectors of `width` floats. Throws UsageError, or Error as read_npy() does.
  VectorCoding coding(Index width) const;
  /// The files that are read.
  std::vector<std::string> files() const;
};

/// Whether bits tell vectors apart: not if every number is above 0, or none.
class SignWatch {
 public:
  explicit SignWatch(VectorType type) : type_(type) {}
  void look_at(std::span<const float> row) noexcept;
  /// Warns on stderr, once.
  void finish() const;

 private:
  VectorType type_;
  std::size_t above_ = 0, others_ = 0;
};

}  // namespace tessera::cli
