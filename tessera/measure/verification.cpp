// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/verification.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/session/level.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {
namespace {

using Tensor = ReferenceOutput::Tensor;

/// Throws Error{not_found} unless the model has all of the file's outputs.
void check_names(const VerifiedModel& model, const GoldenVectors& vectors) {
  for (const GoldenTensor& tensor : vectors.outputs) {
    if (model.has_towers() && is_between_towers(tensor.name)) continue;
    if (!writer_of(model, tensor.name).value.empty()) continue;
    throw Error(ErrorCode::not_found,
                fmt::format("{}: tensor \"{}\" is no output of {}, expected {}", vectors.path,
                            tensor.name, model.any().architecture,
                            model.has_towers() ? "those that `tessera run` writes"
                                               : listed_outputs(model.any().program)));
  }
}

/// Rows that the reference fills with something and nobody reads (attention_mask 0) become 0, as they are
/// in ReferenceOutput.
void clear_masked(const ReferenceInput& input, const Tensor& ours, std::vector<float>& values) {
  if (!ours.is_per_token) return;
  std::vector<bool> is_read(static_cast<std::size_t>(input.sequences * input.padded_tokens));
  for (Index row = 0; row < input.batch.rows(); ++row) {
    if (!input.batch.is_query_only(row)) {
      is_read[static_cast<std::size_t>(input.batch.padded_index(row))] = true;
    }
  }
  for (std::size_t row = 0; row < is_read.size(); ++row) {
    if (is_read[row]) continue;
    const auto begin = values.begin() + static_cast<Index>(row) * ours.width;
    std::fill(begin, begin + ours.width, 0.0F);
  }
}

TensorView<const float> rows_of(const std::vector<float>& values, const Tensor& ours) {
  const auto count = static_cast<Index>(values.size());
  Index cols = ours.cells > 0 ? ours.width * ours.cells : ours.width;
  if (cols < kFewColumns) cols = count;
  return {
      .data = values.data(), .rows = cols == 0 ? 0 : count / cols, .cols = cols, .stride = cols};
}

VerifiedOutput compare(const GoldenTensor& golden, const Tensor& ours, const ReferenceInput* input,
                       const VerifyBound& bound, const std::string& path) {
  if (golden.shape != ours.shape) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: tensor \"{}\" has shape {}, expected {}", path, golden.name,
                            shape_to_string(golden.shape), shape_to_string(ours.shape)));
  }
  std::vector<float> reference = golden.values;
  if (input != nullptr) clear_masked(*input, ours, reference);
  VerifiedOutput output{
      .name = golden.name,
      .writer = {},
      .difference = difference_of(rows_of(ours.values, ours), rows_of(reference, ours))};
  const Difference& d = output.difference;
  output.is_off = !(d.relative <= bound.relative && d.worst <= bound.cosine);  // NaN is off
  return output;
}

/// The levels to run at; of the others why not.
std::vector<Isa> levels_to_run(const VerifyOptions& options, std::vector<std::string>& left_out) {
  const DefaultIsa highest = default_isa();
  std::vector<Isa> chosen;
  for (const Isa isa : kAllIsas) {
    if (options.isa && isa != *options.isa) continue;
    if (!options.isa && !highest.value.empty() &&
        !contains(level_of(*highest.isa), level_of(isa))) {
      left_out.push_back(
          fmt::format("{}: TESSERA_ISA is {}", to_string(isa), to_string(*highest.isa)));
      continue;
    }
    const int error = cpu_supports(isa) ? 0 : enable(isa);
    if (error == 0) {
      chosen.push_back(isa);
    } else {
      left_out.push_back(
          fmt::format("{}: {}", to_string(isa),
                      error == EOPNOTSUPP ? "this CPU has not got it" : refusal(error)));
    }
  }
  return chosen;
}

std::vector<Precision> precisions_to_run(const GoldenVectors& vectors,
                                         const VerifyOptions& options) {
  if (vectors.precision == Precision::f32) {
    if (options.precision) return {*options.precision};
    return {kModelPrecisions.begin(), kModelPrecisions.end()};
  }
  if (options.precision && *options.precision != vectors.precision) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: holds outputs of {}, which say nothing about {}: expected "
                            "--precision {}, or vectors recorded in fp32",
                            vectors.path, option_name(vectors.precision),
                            option_name(*options.precision), option_name(vectors.precision)));
  }
  return {vectors.precision};
}

}  // namespace

const VerifiedOutput* VerifiedRun::first_off() const noexcept {
  const auto found = std::find_if(outputs.begin(), outputs.end(),
                                  [](const VerifiedOutput& each) { return each.is_off; });
  return found == outputs.end() ? nullptr : &*found;
}

bool Verification::is_good() const noexcept {
  return texts.problems.empty() && images.problems.empty() && weights.problems.empty() &&
         !runs.empty() && std::all_of(runs.begin(), runs.end(), [](const VerifiedRun& run) {
           return !run.outputs.empty() && run.first_off() == nullptr;
         });
}

VerifyBound bound_of(Precision precision) noexcept {
  return precision == Precision::f32    ? VerifyBound{.relative = 3e-5, .cosine = 1e-10}
         : precision == Precision::bf16 ? VerifyBound{.relative = 0.2, .cosine = 1e-2}
                                        : VerifyBound{.relative = 0.6, .cosine = 5e-2};
}

Verification verify(const VerifiedModel& model, const GoldenVectors& vectors,
                    const VerifyOptions& options) {
  Verification result{.model = model.any().directory.string(),
                      .path = vectors.path,
                      .made_by = vectors.made_by,
                      .recorded = vectors.precision,
                      .has_texts = model.texts != nullptr,
                      .has_images = model.images != nullptr,
                      .texts = {},
                      .images = {},
                      .weights = verified_weights(vectors, *model.any().checkpoint),
                      .runs = {},
                      .left_out = {}};
  if (!options.isa) (void)resolve_isa(std::nullopt);  // what is wrong with TESSERA_ISA is said
  for (const std::string& route : model.any().routes) {
    if (route == model.any().route) continue;
    result.left_out.push_back(fmt::format("route {}: these vectors are of {}, --as {} verifies it",
                                          route, model.any().route, route));
  }
  const std::vector<Isa> levels = levels_to_run(options, result.left_out);
  check_names(model, vectors);
  std::optional<ReferenceInput> input;
  if (model.texts) {
    input = ReferenceInput::open(vectors.path, *model.texts, ReferenceFile::with_others);
    result.sequences += input->sequences;
    result.rows += input->batch.rows();
    result.texts = verified_texts(*model.texts, vectors, *input);
  }
  if (model.images) {
    const ReferenceImages images = golden_images(vectors.path, *model.images);
    result.sequences += images.count;
    result.rows += images.count * images.rows;
    result.images = verified_images(*model.images, vectors, images);
  }
  std::vector<std::string> names;
  for (const GoldenTensor& tensor : vectors.outputs) names.push_back(tensor.name);
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    const OutputWriter x = writer_of(model, a), y = writer_of(model, b);
    return std::pair(x.part, x.op) < std::pair(y.part, y.op);
  });
  for (const Precision precision : precisions_to_run(vectors, options)) {
    for (const Isa isa : levels) {
      VerifiedRun run{
          .isa = isa, .precision = precision, .bound = bound_of(precision), .outputs = {}};
      run.bound.relative *= options.tolerance;
      run.bound.cosine *= options.tolerance;
      const std::vector<Tensor> ours =
          compute_outputs(model, vectors.path, isa, precision, options.threads, names);
      for (const std::string& name : names) {
        const auto golden = std::find_if(vectors.outputs.begin(), vectors.outputs.end(),
                                         [&](const GoldenTensor& t) { return t.name == name; });
        const auto own =
            std::find_if(ours.begin(), ours.end(), [&](const Tensor& t) { return t.name == name; });
        const bool is_text = model.texts && (!model.images || text_tower_names().own(name));
        run.outputs.push_back(
            compare(*golden, *own, is_text ? &*input : nullptr, run.bound, vectors.path));
        run.outputs.back().writer = writer_of(model, name).value;
      }
      result.runs.push_back(std::move(run));
    }
  }
  return result;
}

}  // namespace tessera
