// SPDX-License-Identifier: Apache-2.0
// An Against as text and as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "runtime/base/json_text.hpp"
#include "tessera/measure/against.hpp"

namespace tessera {
namespace {

/// An op of both programs.
struct Pair {
  const Product* sides[2] = {nullptr, nullptr};  // null: that program has none of this name

  const Product& either() const { return sides[0] != nullptr ? *sides[0] : *sides[1]; }
  bool is_same() const {
    return sides[0] != nullptr && sides[1] != nullptr && sides[0]->precision == sides[1]->precision;
  }
};

std::vector<Pair> pairs_of(const Against& against) {
  std::vector<Pair> pairs;
  std::map<std::string, std::size_t> known;
  for (int side = 0; side < 2; ++side) {
    for (const Product& product : against.sides[side].products) {
      const auto [at, is_first] = known.try_emplace(product.name, pairs.size());
      if (is_first) pairs.emplace_back();
      pairs[at->second].sides[side] = &product;
    }
  }
  return pairs;
}

std::string shown(double value) {
  return value == 0 ? "0" : fmt::format("{:.2e}", value);
}

std::string label(const Compared& value) {
  std::vector<std::string> names = value.names;
  std::erase(names, value.value);
  if (names.empty()) return value.value;
  return fmt::format("{} ({})", value.value, fmt::join(names, ", "));
}

std::string table(const Against& against) {
  std::size_t width = 5;
  for (const Compared& each : against.values) width = std::max(width, label(each).size());
  std::string text =
      fmt::format("{:<{}} {:>6} {:>6} {:>11} {:>7} {:>10} {:>9} {:>9}\n", "value", width, "rows",
                  "width", "worst 1-cos", "in row", "mean 1-cos", "max |d|", "/ max |v|");
  for (const Compared& each : against.values) {
    const Difference& d = each.difference;
    text += fmt::format("{:<{}} {:>6} {:>6} {:>11} {:>7} {:>10} {:>9} {:>9}\n", label(each), width,
                        each.rows, each.cols, shown(d.worst),
                        d.worst == 0 ? "-" : fmt::format("{}", d.worst_row), shown(d.mean),
                        shown(d.most), shown(d.relative));
  }
  return text;
}

std::string remarks(const Against& against) {
  std::string text;
  const Compared* const first = against.first_off();
  text += first == nullptr ? "every value is equal in both\n"
                           : fmt::format("first that differs: {}\n", label(*first));
  for (const Compared& each : against.values) {
    const auto& count = each.difference.not_finite;
    if (count[0] + count[1] == 0) continue;
    text += fmt::format("{}: {} elements in {} and {} in {} are NaN or infinite\n", label(each),
                        count[0], option_name(against.sides[0].precision), count[1],
                        option_name(against.sides[1].precision));
  }
  if (!against.not_held.empty()) {
    text += fmt::format(
        "not compared, as not both runs have it whole in memory as f32 (within an op, or needed "
        "for no output): {}\n",
        fmt::join(against.not_held, ", "));
  }
  return text;
}

/// "24 bf16, 1 fp32"
std::string counts(const std::vector<Pair>& pairs, const std::string& kind, int side) {
  std::map<Precision, int> count;
  for (const Pair& pair : pairs) {
    const Product* const product = pair.sides[side];
    if (product != nullptr && product->kind == kind) ++count[product->precision];
  }
  std::vector<std::string> parts;
  for (const auto& [precision, n] : count) {
    parts.push_back(fmt::format("{} {}", n, option_name(precision)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string products(const Against& against) {
  constexpr std::size_t kMostNames = 12;
  const std::vector<Pair> pairs = pairs_of(against);
  std::string text =
      fmt::format("{:<18} {:<24} {}\n", "ops multiply in", "--precision", "--against");
  std::vector<std::string> kinds, same;
  for (const Pair& pair : pairs) {
    const Product& product = pair.either();
    if (pair.is_same()) same.push_back(fmt::format("{} {}", product.kind, product.name));
    if (std::find(kinds.begin(), kinds.end(), product.kind) != kinds.end()) continue;
    kinds.push_back(product.kind);
    text += fmt::format("{:<18} {:<24} {}\n", product.kind, counts(pairs, product.kind, 0),
                        counts(pairs, product.kind, 1));
  }
  if (same.empty()) return text;
  const std::size_t more = same.size() - std::min(same.size(), kMostNames);
  same.resize(std::min(same.size(), kMostNames));
  return text + fmt::format("in the same precision on both sides: {}{}\n", fmt::join(same, ", "),
                            more == 0 ? "" : fmt::format(" and {} more (--json)", more));
}

// ---- JSON ------------------------------------------------------------------------------------------

std::string quoted(const std::string& text) {
  return detail::json_string(text);
}

/// [a,b,…]
template <class Items, class ToJson>
std::string json_list(const Items& items, ToJson to_json) {
  std::vector<std::string> json;
  for (const auto& item : items) json.push_back(to_json(item));
  return fmt::format("[{}]", fmt::join(json, ","));
}

/// JSON has no NaN.
std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.9g}", value) : "null";
}

std::string json_of_value(const Compared& value) {
  const Difference& d = value.difference;
  return fmt::format(
      R"({{"names":{},"value":{},"rows":{},"width":{},"worst_one_minus_cos":{},"worst_row":{},)"
      R"("mean_one_minus_cos":{},"max_difference":{},"max_difference_relative":{},)"
      R"("not_finite":[{},{}]}})",
      json_list(value.names, quoted), quoted(value.value), value.rows, value.cols, number(d.worst),
      d.worst_row, number(d.mean), number(d.most), number(d.relative), d.not_finite[0],
      d.not_finite[1]);
}

std::string json_of_pair(const Pair& pair) {
  std::string precisions[2];
  for (int side = 0; side < 2; ++side) {
    const Product* const product = pair.sides[side];
    precisions[side] = product == nullptr ? "null" : quoted(option_name(product->precision));
  }
  return fmt::format(R"({{"kind":{},"name":{},"precision":{},"against":{}}})",
                     quoted(pair.either().kind), quoted(pair.either().name), precisions[0],
                     precisions[1]);
}

}  // namespace

std::string against_text(const Against& against) {
  const AgainstSide &one = against.sides[0], &other = against.sides[1];
  std::string text =
      fmt::format("{}: {} rows in {} sequence{}, {} thread{}\n{} at {} against {} at {}\n\n",
                  against.model, against.rows, against.sequences, against.sequences == 1 ? "" : "s",
                  against.threads, against.threads == 1 ? "" : "s", option_name(one.precision),
                  one.isa, option_name(other.precision), other.isa);
  text += table(against) + '\n' + remarks(against) + '\n' + products(against);
  text +=
      "\nd: the difference of an element; v: an element of --against. A state's row is that of a "
      "token, or of a sequence where\nits layer is computed for one row of each. The tokens or "
      "pixels are pseudo-random: real inputs may be nearer or farther.\n";
  return text;
}

std::string against_json(const Against& against) {
  const AgainstSide &one = against.sides[0], &other = against.sides[1];
  const Compared* const first = against.first_off();
  return fmt::format(
      R"({{"model":{},"rows":{},"sequences":{},"threads":{},"precision":{},"isa":{},)"
      R"("against":{},"against_isa":{},"values":{},"first_that_differs":{},"not_compared":{},)"
      R"("ops":{}}})"
      "\n",
      quoted(against.model), against.rows, against.sequences, against.threads,
      quoted(option_name(one.precision)), quoted(one.isa), quoted(option_name(other.precision)),
      quoted(other.isa), json_list(against.values, json_of_value),
      first == nullptr ? "null" : quoted(first->value), json_list(against.not_held, quoted),
      json_list(pairs_of(against), json_of_pair));
}

}  // namespace tessera
