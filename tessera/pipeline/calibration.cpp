// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/base/error.hpp"
#include "runtime/program/input_factors.hpp"
#include "tessera/pipeline/image_encoder.hpp"
#include "tessera/pipeline/image_list.hpp"
#include "tessera/pipeline/line_reader.hpp"
#include "tessera/pipeline/quantized_rows.hpp"

namespace tessera {
namespace {

constexpr Index kBatchTokens = 512;  // all values of a batch are held at once

EncoderOptions options_for(std::vector<std::string> outputs, PrecisionOption precision) {
  EncoderOptions options{.batch_tokens = kBatchTokens, .session = {.outputs = std::move(outputs)}};
  options.precision = precision;
  return options;
}

/// `package` with the values that are quantised among its outputs, and their names.
std::pair<models::Package, std::vector<std::string>> with_values(const models::Package& package) {
  const Program whole = whole_program(package, {}, true);
  models::Package shown = package;
  std::vector<std::string> names;
  for (const Op& op : whole.ops) {
    const std::optional<FactoredValue> factored = factored_value(op);
    if (!factored) continue;
    const std::string& name = whole.values[at(factored->value)].name;
    const auto& values = package.program.values;
    const auto found = std::find_if(values.begin(), values.end(),
                                    [&](const Value& value) { return value.name == name; });
    if (found == values.end()) continue;
    names.push_back("calibration of " + name);
    shown.program.outputs.push_back({names.back(), static_cast<ValueId>(found - values.begin())});
  }
  return {std::move(shown), std::move(names)};
}

/// The matrices of whole numbers that are made of one of `tensors`, by name.
std::vector<std::string> weights_of(const Program& program, const std::set<std::string>& tensors) {
  std::vector<std::string> names;
  for (const Parameter& p : program.parameters) {
    const bool is_one = p.kind == ParameterKind::matrix && p.precision == Precision::s8 &&
                        std::any_of(p.sources.begin(), p.sources.end(), [&](const Source& source) {
                          return tensors.contains(source.tensor);
                        });
    if (is_one) names.push_back(p.name);
  }
  return names;
}

/// `sink` for each of the inputs, in any order.
void run(const std::shared_ptr<const models::Package>& package, const EncoderOptions& options,
         const CalibrationInputs& inputs, const Sink& sink) {
  const Sink each = [&](std::size_t index, Results results) {
    sink(index, results);
    if (inputs.between) inputs.between();
  };
  if (inputs.images.empty()) return TextEncoder(package, options).run(inputs.texts, each);
  ImageEncoder(package, options).run(inputs.images, each, [](std::size_t, const Error& error) {
    throw error;
  });
}

struct Products {
  double aa = 0, ab = 0, bb = 0;
};
Products products_of(std::span<const float> a, std::span<const float> b) {
  Products sum;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const auto x = static_cast<double>(a[k]), y = static_cast<double>(b[k]);
    sum.aa += x * x;
    sum.ab += x * y;
    sum.bb += y * y;
  }
  return sum;
}

/// ⟨a,b⟩ / (‖a‖·‖b‖); 1 of equal rows, of zeros too.
double cosine_of(std::span<const float> a, std::span<const float> b) {
  const auto [aa, ab, bb] = products_of(a, b);
  if (aa == 0 || bb == 0) return aa == bb ? 1.0 : 0.0;
  return ab / std::sqrt(aa * bb);
}

/// 1 − ½·‖a − b‖²/max(‖b‖², mean); 1 of equal rows.
double nearness_of(std::span<const float> a, std::span<const float> b, double mean) {
  double apart = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double d = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    apart += d * d;
  }
  if (apart == 0) return 1.0;
  return 1.0 - 0.5 * apart / std::max(products_of(b, b).bb, mean);
}

constexpr std::size_t kFewColumns = 2;

}  // namespace

const std::vector<std::string>& CalibrationLines::of(const std::filesystem::path& path) {
  const auto [known, is_new] = lines_.try_emplace(path);
  if (is_new) {
    LineReader reader(path.string());
    for (std::string line; reader.next(line);) known->second.push_back(line);
  }
  return known->second;
}

CalibrationInputs calibration_inputs(const models::Package& package,
                                     std::span<const std::filesystem::path> paths) {
  CalibrationLines lines;
  return calibration_inputs(package, paths, lines);
}

CalibrationInputs calibration_inputs(const models::Package& package,
                                     std::span<const std::filesystem::path> paths,
                                     CalibrationLines& all_lines) {
  CalibrationInputs result;
  const TokenSpec* const tokens = package.program.tokens();
  if (tokens == nullptr) {
    std::vector<std::string> names;
    for (const std::filesystem::path& path : paths) names.push_back(path.string());
    result.images = list_images(names, {.unreadable =
                                            [](const std::string& message) {
                                              throw Error(ErrorCode::io_error, message);
                                            }})
                        .paths;
    return result;
  }
  const TextInputs inputs(package, {});
  for (const std::filesystem::path& path : paths) {
    const std::vector<std::string>& lines = all_lines.of(path);
    for (std::size_t number = 1; number <= lines.size(); ++number) {
      const std::string& line = lines[number - 1];
      const text::Encoding encoding = inputs.encode(line);
      const bool has_token = std::any_of(encoding.special_mask.begin(), encoding.special_mask.end(),
                                         [](std::uint8_t is_special) { return is_special == 0; });
      if (line.find_first_not_of(" \t") == std::string::npos || !has_token) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("{}: line {}: got a text without a token, expected a text to "
                                "calibrate with on every line",
                                path.string(), number));
      }
      result.texts.push_back(to_sequence(*tokens, encoding));
    }
    if (!lines.empty()) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got no line, expected texts to calibrate with, one a line",
                            path.string()));
  }
  result.cut = inputs.cut();
  result.cutting = fmt::format("to {} tokens ({})", inputs.max_tokens(), inputs.limit_reason());
  return result;
}

MeasuredColumns measure_columns(const models::Package& package, const CalibrationInputs& inputs) {
  auto [shown, names] = with_values(package);
  if (names.empty()) return {};
  std::vector<std::vector<float>> largest(names.size());
  const auto measured = [&](std::size_t, Results results) {
    for (std::size_t i = 0; i < results.size(); ++i) {
      largest[i].resize(static_cast<std::size_t>(results[i].cols));
      for (Index row = 0; row < results[i].rows; ++row) {
        const std::span<const float> x = results[i].row(row);
        for (std::size_t k = 0; k < x.size(); ++k) {
          largest[i][k] = std::max(largest[i][k], std::abs(x[k]));
        }
      }
    }
  };
  run(std::make_shared<const models::Package>(std::move(shown)),
      options_for(names, PrecisionOption::fp32), inputs, measured);
  MeasuredColumns columns;
  for (std::size_t i = 0; i < names.size(); ++i) {
    columns.emplace(names[i].substr(std::string_view("calibration of ").size()),
                    std::move(largest[i]));
  }
  return columns;
}

void set_words(const models::Package& package, const std::set<std::string>& words) {
  const auto checkpoint = std::const_pointer_cast<Checkpoint>(package.checkpoint);
  for (const std::string& tensor : words) {
    QuantizedRows rows = quantize_rows(*checkpoint, checkpoint->at(tensor));
    checkpoint->set_whole(tensor, std::move(rows.numbers), std::move(rows.scales));
  }
}

void set_factors(const models::Package& package, const TensorFactors& factors) {
  const auto checkpoint = std::const_pointer_cast<Checkpoint>(package.checkpoint);
  for (const auto& [tensor, f] : factors.of) {
    const auto columns = static_cast<std::size_t>(checkpoint->at(tensor).shape.back());
    checkpoint->set_factors(tensor, f.empty() ? std::vector<float>(columns, 1.0F) : f);
  }
}

std::vector<std::vector<float>> main_rows(const std::shared_ptr<const models::Package>& package,
                                          const CalibrationInputs& inputs,
                                          PrecisionOption precision,
                                          const ModelOptions& model_options, Index most) {
  EncoderOptions options = options_for({main_output(package->program)}, precision);
  options.model = model_options;
  std::vector<std::vector<std::vector<float>>> of_inputs(inputs.size());
  Index numbers = 0;
  run(package, options, inputs, [&](std::size_t index, Results results) {
    numbers += results[0].rows * results[0].cols;
    if (numbers > most) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("calibration: the output \"{}\" of these {} {}s has more than {} "
                              "numbers, expected fewer or smaller ones",
                              main_output(package->program), inputs.size(), inputs.kind(), most));
    }
    for (Index row = 0; row < results[0].rows; ++row) {
      const std::span<const float> x = results[0].row(row);
      of_inputs[index].emplace_back(x.begin(), x.end());
    }
  });
  std::vector<std::vector<float>> rows;
  for (auto& of_input : of_inputs)
    std::move(of_input.begin(), of_input.end(), std::back_inserter(rows));
  return rows;
}

double worst_cosine(std::span<const std::vector<float>> a, std::span<const std::vector<float>> b) {
  double worst = 1.0, mean = 0;
  for (const std::vector<float>& row : b) {
    mean += products_of(row, row).bb / static_cast<double>(b.size());
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double cosine =
        b[i].size() > kFewColumns ? cosine_of(a[i], b[i]) : nearness_of(a[i], b[i], mean);
    if (std::isnan(cosine)) return -1.0;
    worst = std::min(worst, cosine);
  }
  return worst;
}

FloatChoice choose_floats(std::span<const CalibratedModel> models,
                          const FloatCandidates& candidates, double least_cosine) {
  const models::Package& package = *models[0].package;
  const Program whole = whole_program(package, candidates.stays, false);
  const std::vector<std::string> kept =
      weights_of(whole_program(package, {}, false), candidates.stays);
  struct Weight {
    const Parameter* parameter;
    double cosine = 0;  // with it alone in whole numbers
  };
  std::vector<Weight> weights;
  for (const Parameter& p : whole.parameters) {
    const bool may_stay = std::any_of(
        p.sources.begin(), p.sources.end(),
        [&](const Source& source) { return candidates.quantized.contains(source.tensor); });
    if (p.kind == ParameterKind::matrix && p.precision == Precision::s8 && may_stay) {
      weights.push_back({&p});
    }
  }
  const auto measured = [&](const std::vector<std::string>& keep) {
    double worst = 1.0;
    for (const CalibratedModel& model : models) {
      const auto rows = main_rows(model.package, model.inputs, PrecisionOption::int8,
                                  {.keep = keep, .clip_weights = candidates.clips});
      worst = std::min(worst, worst_cosine(rows, model.right));
    }
    return worst;
  };
  FloatChoice choice{.without = measured(kept)};
  for (const CalibratedModel& model : models) choice.rows += model.right.size();
  choice.with = choice.without;
  if (least_cosine == 0 || choice.with >= least_cosine) return choice;
  std::vector<std::string> all = kept;
  for (const Weight& weight : weights) all.push_back(weight.parameter->name);
  choice.with = measured(all);
  if (choice.with < least_cosine) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format(
            "{}: the worst row has cosine {:.6f} with fp32 with all weights as floats{}, expected "
            "at least {}: attention and what is left are in bf16, where this CPU has it",
            package.directory.string(), choice.with,
            candidates.words ? " and words as whole numbers" : "", least_cosine));
  }
  for (Weight& weight : weights) {
    std::vector<std::string> others = kept;
    for (const Weight& other : weights) {
      if (other.parameter != weight.parameter) others.push_back(other.parameter->name);
    }
    weight.cosine = measured(others);
  }
  std::stable_sort(weights.begin(), weights.end(),
                   [](const Weight& a, const Weight& b) { return a.cosine < b.cosine; });
  std::vector<std::string> keep = kept;
  for (const Weight& weight : weights) {
    keep.push_back(weight.parameter->name);
    for (const Source& source : weight.parameter->sources) {
      if (candidates.quantized.contains(source.tensor)) choice.tensors.push_back(source.tensor);
    }
    choice.with = measured(keep);
    if (choice.with >= least_cosine) return choice;
  }
  return choice;
}

}  // namespace tessera
