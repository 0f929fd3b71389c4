// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/calibrate_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tessera/pipeline/calibration.hpp"
#include "tessera/pipeline/image_list.hpp"
#include "tessera/pipeline/integer_tensors.hpp"
#include "tessera/pipeline/tensor_factors.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using Packages = std::vector<models::Package>;

void check(const CalibrationOptions& options) {
  if (options.least_cosine != 0 && options.inputs.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("least cosine: got {} and no texts or images, expected some to measure "
                            "it with",
                            options.least_cosine));
  }
  if (!(options.least_cosine >= 0 && options.least_cosine <= 1)) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("least cosine: got {}, expected a number from 0 to 1", options.least_cosine));
  }
}

/// Of options.keep what is in each part. Every name has to be in one of them.
std::vector<std::vector<std::string>> names_by_part(std::span<const ModelPart> parts,
                                                    const CalibrationOptions& options) {
  std::vector<std::vector<std::string>> names(parts.size());
  for (const std::string& name : options.keep) {
    std::optional<Error> unknown;
    bool is_any = false;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (is_table_alone(parts[i])) continue;
      try {
        static_cast<void>(tensors_that_stay(
            parts[i].packages, Checkpoint::open(parts[i].transformer), {&name, 1}, options.words));
        names[i].push_back(name);
        is_any = true;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::invalid_argument) throw;
        unknown = error;
      }
    }
    if (!is_any && unknown) throw *unknown;
  }
  return names;
}

/// A folder, or a file that begins as an image does; a pipe, which is read once, is one of texts.
bool is_of_images(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ||
         (fs::is_regular_file(path, ignored) && begins_as_image(path));
}

bool reads(const models::Package& package, const fs::path& path) {
  return (package.program.tokens() == nullptr) == is_of_images(path);
}

/// What of the paths this package reads, where others read the rest.
std::vector<fs::path> of_its_kind(const models::Package& package, std::span<const fs::path> paths) {
  std::vector<fs::path> own;
  for (const fs::path& path : paths) {
    if (reads(package, path)) own.push_back(path);
  }
  return own;
}

/// Each of the paths is read by one of the packages at least.
void require_readers(std::span<const ModelPart> parts, std::span<const fs::path> paths) {
  for (const fs::path& path : paths) {
    const bool is_read = std::any_of(parts.begin(), parts.end(), [&](const ModelPart& part) {
      return std::any_of(part.packages.begin(), part.packages.end(),
                         [&](const models::Package& package) { return reads(package, path); });
    });
    if (is_read) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got {}, expected {}, which the model reads", path.string(),
                            is_of_images(path) ? "images" : "texts",
                            is_of_images(path) ? "texts" : "images"));
  }
}

/// Packages that have the same weights; `names` for what is said of them.
struct Group {
  Packages packages;
  std::string name;
};

std::vector<Group> groups_of(const ModelPart& part) {
  if (part.packages.size() == 1) return {{part.packages, part.names[0]}};
  if (!are_towers(part)) return {{part.packages, "both routes"}};
  std::vector<Group> groups;
  for (std::size_t i = 0; i < part.packages.size(); ++i) {
    groups.push_back({{part.packages[i]}, part.names[i]});
  }
  return groups;
}

/// The larger of the two, column by column.
void merge(const MeasuredColumns& from, MeasuredColumns& into) {
  for (const auto& [name, columns] : from) {
    std::vector<float>& all = into[name];
    all.resize(std::max(all.size(), columns.size()));
    for (std::size_t k = 0; k < columns.size(); ++k) all[k] = std::max(all[k], columns[k]);
  }
}

Calibration calibrate_group(const Group& group, std::vector<CalibratedModel> of,
                            const FloatCandidates& candidates, double least_cosine) {
  MeasuredColumns columns;
  for (const CalibratedModel& model : of)
    merge(measure_columns(*model.package, model.inputs), columns);
  const auto choose = [&](double least) { return choose_floats(of, candidates, least); };
  const auto set = [&](const TensorFactors& factors) {
    for (const CalibratedModel& model : of) set_factors(*model.package, factors);
  };
  const FloatChoice before = choose(0.0);
  // Those that can be written: "in_proj_weight" is the name of no linear's weight.
  const auto factors = [&](const MeasuredColumns& of_columns) {
    TensorFactors all = tensor_factors(group.packages, candidates.stays, of_columns);
    std::erase_if(all.of,
                  [&](const auto& each) { return !candidates.quantized.contains(each.first); });
    return all;
  };
  const TensorFactors of_weights = factors({}), measured = factors(columns);
  set(measured);
  const FloatChoice with_measured = choose(0.0);
  const bool is_better = with_measured.without > before.without;
  if (!is_better) set(of_weights);
  FloatChoice after = is_better ? with_measured : before;
  if (after.without < least_cosine) after = choose(least_cosine);
  Calibration result{.of = group.name,
                     .inputs = of[0].inputs.size(),
                     .rows = after.rows,
                     .kind = of[0].inputs.kind(),
                     .cosine_before = before.without,
                     .cosine_with_factors = with_measured.without,
                     .takes_factors = is_better && measured.of != of_weights.of,
                     .cosine = after.with,
                     .floats = std::move(after.tensors)};
  for (const CalibratedModel& model : of) {
    if (model.inputs.cut <= result.cut) continue;
    result.cut = model.inputs.cut;
    result.cutting = model.inputs.cutting;
  }
  return result;
}

}  // namespace

bool CalibratedPart::takes_factors() const {
  return std::any_of(calibrations.begin(), calibrations.end(),
                     [](const Calibration& calibration) { return calibration.takes_factors; });
}

std::vector<CalibratedPart> calibrate(std::span<const ModelPart> parts,
                                      const CalibrationOptions& options) {
  check(options);
  std::vector<std::vector<std::string>> names = names_by_part(parts, options);
  const bool is_one = parts.size() == 1 && parts[0].packages.size() == 1;
  if (!is_one) require_readers(parts, options.inputs);
  CalibrationLines lines;
  std::vector<CalibratedPart> result(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const ModelPart& part = parts[i];
    result[i].keep = std::move(names[i]);
    if (options.inputs.empty() || is_table_alone(part)) continue;
    const Checkpoint own = Checkpoint::open(part.transformer);
    const FloatCandidates candidates{
        .quantized = quantized_tensors(part.packages, own),
        .stays = tensors_that_stay(part.packages, own, result[i].keep, options.words),
        .clips = options.clips,
        .words = options.words};
    if (candidates.quantized.empty()) continue;
    std::set<std::string> words;
    if (options.words) {
      words = choose_integer_tensors(part.packages, own, result[i].keep, true).words;
    }
    for (const Group& group : groups_of(part)) {
      std::vector<CalibratedModel> of;
      for (const models::Package& package : group.packages) {
        const auto paths = is_one ? options.inputs : of_its_kind(package, options.inputs);
        if (paths.empty()) continue;
        const auto shared = std::make_shared<const models::Package>(package);
        CalibrationInputs inputs = calibration_inputs(package, paths, lines);
        inputs.between = options.between;
        auto right = main_rows(shared, inputs, PrecisionOption::fp32);
        of.push_back({shared, std::move(inputs), std::move(right)});
      }
      if (of.empty()) continue;
      for (const CalibratedModel& one : of) set_words(*one.package, words);
      try {
        result[i].calibrations.push_back(
            calibrate_group(group, std::move(of), candidates, options.least_cosine));
      } catch (const Error& error) {
        if (group.name.empty()) throw;
        throw Error(error.code(), fmt::format("{}: {}", group.name, error.what()));
      }
    }
    for (const Calibration& calibration : result[i].calibrations) {
      result[i].keep.insert(result[i].keep.end(), calibration.floats.begin(),
                            calibration.floats.end());
    }
  }
  return result;
}

}  // namespace tessera
