// SPDX-License-Identifier: Apache-2.0
// What texts or images show of a model: how large its values become, and how far int8 turns its rows.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/weights/input_factors.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/tensor_factors.hpp"

namespace tessera {

/// What a model is calibrated with: texts, or image files.
struct CalibrationInputs {
  CalibrationInputs() = default;
  CalibrationInputs(
      std::vector<TokenSequence> of_texts)  // NOLINT(google-explicit-constructor): are some
      : texts(std::move(of_texts)) {}

  std::vector<TokenSequence> texts{};
  std::vector<std::filesystem::path> images{};
  std::function<void()> between{};  ///< called when one was computed; what it throws ends the run
  std::size_t cut = 0;              ///< texts that were cut
  std::string cutting{};            ///< and where: "to 512 tokens (max_position_embeddings ...)"

  std::size_t size() const noexcept { return texts.size() + images.size(); }
  const char* kind() const noexcept { return images.empty() ? "text" : "image"; }
};

/// The lines of files, each of which is read once, whoever asks for them: it may be a pipe.
class CalibrationLines {
 public:
  /// Throws not_found, io_error, corrupt_file as LineReader does.
  const std::vector<std::string>& of(const std::filesystem::path& path);

 private:
  std::map<std::filesystem::path, std::vector<std::string>> lines_;
};

/// The lines of files as `package` reads texts; of a model that takes images the files, or all files of
/// directories and of those in them. Throws not_found, io_error; invalid_argument (no line, a line without a
/// token of its own: its number).
CalibrationInputs calibration_inputs(const models::Package& package,
                                     std::span<const std::filesystem::path> paths,
                                     CalibrationLines& lines);
CalibrationInputs calibration_inputs(const models::Package& package,
                                     std::span<const std::filesystem::path> paths);

/// max |x_k| of every value that Precision::s8 quantises, by its name, computed in fp32.
/// Throws as ImageEncoder does for an image that cannot be read.
MeasuredColumns measure_columns(const models::Package& package, const CalibrationInputs& inputs);

/// Puts whole numbers into the checkpoint in the place of these tables. Throws as quantize_rows().
/// Precondition: as set_factors().
void set_words(const models::Package& package, const std::set<std::string>& words);

/// Says to the checkpoint which factors the tensors have (Checkpoint::set_factors()), 1 of all others that
/// are quantised. Precondition: nobody else has the package's checkpoint.
void set_factors(const models::Package& package, const TensorFactors& factors);

/// Most numbers that main_rows() holds: a GiB of them.
inline constexpr Index kMostCalibrated = Index{1} << 28;

/// The rows of the main output, input after input; options.precision is s8 where `precision` is int8.
/// Throws as measure_columns(); invalid_argument: they have more than `most` numbers.
std::vector<std::vector<float>> main_rows(const std::shared_ptr<const models::Package>& package,
                                          const CalibrationInputs& inputs,
                                          PrecisionOption precision,
                                          const ModelOptions& options = {},
                                          Index most = kMostCalibrated);

/// How near the rows of `a` are to those of `b`, that of the worst row; -1 where a number is not finite. Of
/// rows of three columns or more the cosine; of one or two, whose direction says little,
///
///   1 − ½·(‖a − b‖/max(‖b‖, r))²        r: the root of the mean of ‖b‖² over all rows
///
/// which is that of a small angle between rows that are equally long.
double worst_cosine(std::span<const std::vector<float>> a, std::span<const std::vector<float>> b);

/// A model that is calibrated, and what its main output is in fp32.
struct CalibratedModel {
  std::shared_ptr<const models::Package> package;
  CalibrationInputs inputs;
  std::vector<std::vector<float>> right;
};

struct FloatChoice {
  std::vector<std::string> tensors{};  ///< sources of the weights that are to stay floats
  double without = 0;                  ///< worst cosine with all in whole numbers
  double with = 0;                     ///< ... with these as floats
  std::size_t rows = 0;
};

/// What is to become whole numbers, and what not in any case: tensors.
struct FloatCandidates {
  std::set<std::string> quantized{}, stays{};
  bool clips = false;  ///< Parameter::clips
  bool words = false;  ///< tables of words are whole numbers already, in the package's checkpoint
};

/// Which weights Precision::s8 has to leave so that every row of the main output has at least this
/// worst_cosine() with those of fp32. Each weight alone is made whole numbers once; then the worst of
/// them are left, one after another, until the rows are that near. Several models (routes) have the same
/// weights.
/// Throws invalid_argument: they are not, with all of them left.
FloatChoice choose_floats(std::span<const CalibratedModel> models,
                          const FloatCandidates& candidates, double least_cosine);

}  // namespace tessera
