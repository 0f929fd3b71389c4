// SPDX-License-Identifier: Apache-2.0
// A checkpoint directory as one whose linears are stored as whole numbers (models/compressed_tensors.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tessera/pipeline/calibrate_parts.hpp"

namespace tessera {

struct QuantizeOptions {
  std::filesystem::path out;
  std::vector<std::string> keep{};  ///< modules that stay floats (integer_tensors.hpp)
  bool replaces = false;            ///< a model that is in `out`
  bool words = false;  ///< tables of words become whole numbers, too (integer_tensors.hpp)
  bool clips = false;  ///< weights are clipped (Parameter::clips)
  /// Texts and images (CalibrationOptions::inputs) of which the input factors are made
  /// (runtime/weights/input_factors.hpp); empty: of the weights alone.
  std::vector<std::filesystem::path> calibration{};
  double least_cosine = 0;  ///< CalibrationOptions::least_cosine
  /// Asked between inputs, tensors and files: if it says so, Error{cancelled}, and nothing is written.
  std::function<bool()> is_cancelled{};
  /// Called before the first file is made: up to here nothing has to be cleared up.
  std::function<void()> begins_to_write{};
};

struct QuantizeReport {
  std::size_t whole = 0;             ///< weights that became whole numbers, words among them
  std::vector<std::string> words{};  ///< tensors of these: tables of words
  std::size_t with_factors = 0;      ///< of these: with factors for the columns of their input
  std::vector<Calibration> calibrations{};  ///< of each part and tower that had inputs
  std::vector<std::string> floats{};        ///< modules whose weight did not, tables left out
  std::vector<std::string> at_load{};       ///< tensors of these: IntegerTensors::at_load
  std::vector<std::string> no_linears{};    ///< IntegerTensors::no_linears
  std::vector<std::string>
      left_out{};  ///< files of the weights as they were: other formats, golden vectors
  std::uint64_t bytes_before = 0, bytes_after = 0;  ///< of the weights' files
};

/// Writes the directory `model` to options.out: weights that Precision::s8 quantises as whole numbers, with
/// the scales that it would take, all others as they are stored; config.json with what says so; all other
/// files copied, links followed. At Precision::s8 the main output, and all outputs together, are
/// the same, bit for bit, but with `words` or `clips`. (Another output alone may compute a layer for one row of a
/// text, in floats: it has those of the whole numbers then.)
///
/// Nothing is there before all of it is, and what was there stays on an error.
/// With a calibration the factors are measured, and taken if the worst row comes nearer to fp32. Factors are
/// stored beside the numbers, also those that the weights themselves ask for, where there are any: then the
/// directory is one of models::kWithFactors.
/// Errors    as models::open_package(); calibrate(); invalid_argument (it is quantised already, `out` has files or is
///           within the model, an unknown name in `keep`); unsupported_model (no weight to quantise);
///           corrupt_file naming a tensor that is not finite; io_error
QuantizeReport quantize_directory(const std::filesystem::path& model,
                                  const QuantizeOptions& options);

}  // namespace tessera
