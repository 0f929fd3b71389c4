// SPDX-License-Identifier: Apache-2.0
// What texts and images say of each part of a model that is to be quantised: factors, and a list of floats.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tessera/pipeline/model_parts.hpp"

namespace tessera {

/// What the texts or images of a calibration showed: worst_cosine() of the main output with that of fp32.
struct Calibration {
  std::string of{};  ///< ModelPart::names of what was measured; empty: the model
  std::size_t inputs = 0, rows = 0;
  std::string kind{};              ///< of the inputs: "text" or "image"
  std::size_t cut = 0;             ///< of the inputs: texts longer than the model takes
  std::string cutting{};           ///< ... and where: TextInputs::cutting()
  double cosine_before = 0;        ///< with the factors of the weights alone
  double cosine_with_factors = 0;  ///< with those that were measured
  bool takes_factors = false;      ///< these are written: the rows are nearer, and they are others
  double cosine = 0;               ///< as written
  std::vector<std::string> floats{};  ///< tensors that stay floats for it
};

struct CalibrationOptions {
  /// Texts, one a line, and images: a file or a folder of them. Of a model with two towers each takes those
  /// that it reads, and a tower without any is not calibrated. Both routes of a Router take all texts.
  std::vector<std::filesystem::path> inputs{};
  /// Weights stay floats until each row of the main output has this cosine with that of fp32; 0: none does.
  double least_cosine = 0;
  std::vector<std::string> keep{};  ///< as in QuantizeOptions
  bool words = false, clips = false;
  std::function<void()> between{};  ///< CalibrationInputs::between
};

struct CalibratedPart {
  std::vector<std::string> keep{};  ///< of options.keep what is here, and what was found
  std::vector<Calibration>
      calibrations{};          ///< of a tower each, or of all its packages; none without inputs
  bool takes_factors() const;  ///< one of them
};

/// Of each of `parts`; the factors that are taken are told to the packages' checkpoints.
/// Errors: invalid_argument (a name in `keep` that is in no part, inputs that none reads, a least cosine
/// without inputs or out of range); calibration_inputs(), choose_floats()
std::vector<CalibratedPart> calibrate(std::span<const ModelPart> parts,
                                      const CalibrationOptions& options);

}  // namespace tessera
