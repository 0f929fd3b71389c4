// SPDX-License-Identifier: Apache-2.0
// A Verification as text and as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "runtime/base/json_text.hpp"
#include "tessera/measure/verification.hpp"
#include "tessera/pipeline/json_text.hpp"

namespace tessera {
namespace {

std::string shown(double value) {
  return value == 0 ? "0" : fmt::format("{:.1e}", value);
}

/// How far off an output is in parts of what may be; above 1 it is off.
double used(const VerifiedRun& run, const Difference& difference) {
  return std::max(difference.relative / run.bound.relative, difference.worst / run.bound.cosine);
}

std::string counted(const char* what, const char* good, const VerifiedOnce& once) {
  if (once.count == 0) return fmt::format("{:<8} not in the file: not compared\n", what);
  if (once.problems.empty()) return fmt::format("{:<8} {}: {}\n", what, once.count, good);
  std::string text;
  for (const std::string& problem : once.problems)
    text += fmt::format("{:<8} OFF  {}\n", what, problem);
  return text;
}

/// The run at which `output` is worst among those of a precision, and how far off it is there.
struct Worst {
  const VerifiedRun* run = nullptr;
  const VerifiedOutput* output = nullptr;
};
Worst worst_of(const Verification& all, Precision precision, std::size_t output) {
  Worst worst;
  for (const VerifiedRun& run : all.runs) {
    if (run.precision != precision || output >= run.outputs.size()) continue;
    const VerifiedOutput& here = run.outputs[output];
    if (worst.run == nullptr ||
        !(used(run, here.difference) <= used(*worst.run, worst.output->difference))) {
      worst = {&run, &here};
    }
  }
  return worst;
}

std::vector<Precision> precisions_of(const Verification& all) {
  std::vector<Precision> precisions;
  for (const VerifiedRun& run : all.runs) {
    if (std::find(precisions.begin(), precisions.end(), run.precision) == precisions.end()) {
      precisions.push_back(run.precision);
    }
  }
  return precisions;
}

/// Each output, the worst of all levels: "off", max |a-b| / max |b|, and 1 - cos of the worst row.
std::string layers(const Verification& all) {
  const std::vector<Precision> precisions = precisions_of(all);
  if (precisions.empty()) return "";
  std::size_t width = 6;
  for (const VerifiedOutput& output : all.runs.front().outputs) {
    width = std::max(width, output.name.size());
  }
  std::string text = fmt::format("{:<{}}", "worst of all levels", width);
  text.resize(std::max(text.size(), width), ' ');
  width = text.size();
  for (const Precision precision : precisions) {
    text += fmt::format("  | {:<4} {:>8} {:>8}", option_name(precision), "off", "1 - cos");
  }
  text += "\n";
  for (std::size_t i = 0; i < all.runs.front().outputs.size(); ++i) {
    text += fmt::format("{:<{}}", all.runs.front().outputs[i].name, width);
    for (const Precision precision : precisions) {
      const Worst worst = worst_of(all, precision, i);
      const Difference& d = worst.output->difference;
      text += fmt::format("  | {:<4} {:>8} {:>8}", worst.output->is_off ? "OFF" : "",
                          shown(d.relative), shown(d.worst));
    }
    text += "\n";
  }
  return text;
}

std::string runs(const Verification& all) {
  std::string text;
  for (const VerifiedRun& run : all.runs) {
    Difference worst;  // of each measure by itself
    for (const VerifiedOutput& output : run.outputs) {
      const Difference& d = output.difference;
      if (!(d.relative <= worst.relative)) worst.relative = d.relative;
      if (!(d.worst <= worst.worst)) worst.worst = d.worst;
    }
    const VerifiedOutput* const first = run.first_off();
    text += fmt::format("{:<4} {:<11} {:<4}  off {}, at most {}; 1 - cos {}, at most {}",
                        first == nullptr ? "good" : "OFF", to_string(run.isa),
                        option_name(run.precision), shown(worst.relative),
                        shown(run.bound.relative), shown(worst.worst), shown(run.bound.cosine));
    if (first != nullptr) {
      text += fmt::format("; the first that is off: {}{}", first->name,
                          first->writer.empty() || first->writer == first->name
                              ? ""
                              : ", which " + first->writer + " writes");
    }
    text += "\n";
  }
  for (const std::string& level : all.left_out) text += "none " + level + "\n";
  return text;
}

std::string json_string(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "null";
}

std::string json_of(const VerifiedOnce& once) {
  std::vector<std::string> problems;
  for (const std::string& problem : once.problems) problems.push_back(json_string(problem));
  return fmt::format("{{\"compared\":{},\"problems\":[{}]}}", once.count, fmt::join(problems, ","));
}

std::string json_of(const VerifiedRun& run) {
  std::vector<std::string> outputs;
  for (const VerifiedOutput& output : run.outputs) {
    const Difference& d = output.difference;
    outputs.push_back(fmt::format(
        "{{\"name\":{},\"writer\":{},\"is_off\":{},\"max_abs\":{},\"relative\":{},"
        "\"one_minus_cosine\":{},\"not_finite\":{}}}",
        json_string(output.name), json_string(output.writer), output.is_off, json_number(d.most),
        json_number(d.relative), json_number(d.worst), d.not_finite[0]));
  }
  const VerifiedOutput* const first = run.first_off();
  return fmt::format(
      "{{\"isa\":\"{}\",\"precision\":\"{}\",\"most_relative\":{},\"most_one_minus_cosine\":{},"
      "\"first_off\":{},\"outputs\":[{}]}}",
      to_string(run.isa), option_name(run.precision), json_number(run.bound.relative),
      json_number(run.bound.cosine), first == nullptr ? "null" : json_string(first->name),
      fmt::join(outputs, ","));
}

}  // namespace

std::string verification_text(const Verification& all) {
  std::string text = fmt::format(
      "{}: {} of {} rows against {}{}{}\n", all.model,
      all.sequences == 1 ? "1 sequence" : fmt::format("{} sequences", all.sequences), all.rows,
      all.path, all.made_by.empty() ? "" : ", by " + detail::plain_or_quoted(all.made_by),
      all.recorded == Precision::f32 ? ""
                                     : fmt::format(", recorded in {}", option_name(all.recorded)));
  if (all.has_texts)
    text += counted("tokens", "every text has the tokens and types of the file", all.texts);
  if (all.has_images)
    text += counted("pixels", "every image has the pixels of the file", all.images);
  text += counted("weights", "every tensor has the bytes that were recorded", all.weights);
  text += layers(all) + runs(all);
  return text + (all.is_good() ? "verified\n" : "NOT verified\n");
}

std::string verification_json(const Verification& all) {
  std::vector<std::string> runs, left_out;
  for (const VerifiedRun& run : all.runs) runs.push_back(json_of(run));
  for (const std::string& level : all.left_out) left_out.push_back(json_string(level));
  return fmt::format(
      "{{\"model\":{},\"vectors\":{},\"made_by\":{},\"recorded\":\"{}\",\"is_good\":{},"
      "\"sequences\":{},\"rows\":{},\"tokens\":{},\"pixels\":{},\"weights\":{},\"runs\":[{}],"
      "\"left_out\":[{}]}}\n",
      json_string(all.model), json_string(all.path), json_string(all.made_by),
      option_name(all.recorded), all.is_good(), all.sequences, all.rows, json_of(all.texts),
      json_of(all.images), json_of(all.weights), fmt::join(runs, ","), fmt::join(left_out, ","));
}

}  // namespace tessera
