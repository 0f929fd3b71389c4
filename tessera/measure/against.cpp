// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/against.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

/// A run, of which only the numbers are left.
struct Run {
  AgainstSide side;
  std::vector<HeldValue> values;
};

Run run_of(MeteredModel& metered) {
  return {.side = {.precision = metered.precision(),
                   .isa = to_string(metered.model().isa()),
                   .products = products_of(metered.session().program())},
          .values = held_values(metered)};
}

const HeldValue* find_value(const std::vector<HeldValue>& values, const std::string& name) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const HeldValue& each) { return each.value == name; });
  return found == values.end() ? nullptr : &*found;
}

bool has_name(const std::vector<Compared>& values, const std::string& name) {
  return std::any_of(values.begin(), values.end(), [&](const Compared& each) {
    return std::find(each.names.begin(), each.names.end(), name) != each.names.end();
  });
}

}  // namespace

std::vector<HeldValue> held_values(MeteredModel& metered) {
  metered.run(nullptr, 1);
  const Session& session = metered.session();
  const Program& program = session.program();
  std::vector<HeldValue> held;
  for (const Op& op : program.ops) {
    HeldValue value{.names = {}, .value = program.values[at(output_of(op))].name, .elements = {}};
    for (const Output& output : program.outputs) {
      if (output.value == output_of(op)) value.names.push_back(output.name);
    }
    if (value.names.empty()) continue;
    const TensorView<const float> view = session.output(value.names.front());
    value.rows = view.rows;
    value.cols = view.cols;
    value.elements.reserve(static_cast<std::size_t>(view.rows * view.cols));
    for (Index i = 0; i < view.rows; ++i) {
      value.elements.insert(value.elements.end(), view.row(i).begin(), view.row(i).end());
    }
    held.push_back(std::move(value));
  }
  return held;
}

std::vector<Product> products_of(const Program& program) {
  std::vector<Product> products;
  for (const Op& op : program.ops) {
    Product product{.kind = name_of(op), .name = program.values[at(output_of(op))].name};
    if (const auto* attention = std::get_if<AttentionOp>(&op)) {
      product.precision = attention->precision;
      products.push_back(std::move(product));
      continue;
    }
    for (const ParameterId id : parameters_of(op)) {
      if (program.parameters[at(id)].kind != ParameterKind::matrix) continue;
      product.precision = program.parameters[at(id)].precision;
      products.push_back(std::move(product));
      break;
    }
  }
  return products;
}

std::vector<Compared> compare_held(const std::vector<HeldValue>& a,
                                   const std::vector<HeldValue>& b) {
  std::vector<Compared> compared;
  for (const HeldValue& one : a) {
    const HeldValue* const other = find_value(b, one.value);
    if (other == nullptr) continue;
    if (one.rows != other->rows || one.cols != other->cols) {
      throw Error(ErrorCode::internal,
                  fmt::format("against: \"{}\" is ({},{}) in one run, expected ({},{}) as in the "
                              "other",
                              one.value, one.rows, one.cols, other->rows, other->cols));
    }
    compared.push_back({.names = one.names,
                        .value = one.value,
                        .rows = one.rows,
                        .cols = one.cols,
                        .difference = difference_of(one.view(), other->view())});
  }
  return compared;
}

const Compared* Against::first_off() const noexcept {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [](const Compared& each) { return each.difference.is_any(); });
  return found == values.end() ? nullptr : &*found;
}

Against make_against(const std::shared_ptr<const models::Package>& package, EncoderOptions options,
                     PrecisionOption other, BatchShape shape, MeteredOptions::Rates rates) {
  options.batch_tokens = shape.rows;  // an arena for this batch alone
  const MeteredOptions metered{.rates = rates, .holds_states = true};
  Against against;
  against.rows = shape.rows;
  against.sequences = shape.sequences;
  Run runs[2];
  const PrecisionOption asked[2] = {options.precision, other};
  for (int i = 0; i < 2; ++i) {
    options.precision = asked[i];
    MeteredModel model(package, options, shape, metered);
    if (i == 1 && model.precision() == runs[0].side.precision) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("against: got {} and {}, which are both {} here, expected two "
                      "precisions (`tessera info --precision auto` says why)",
                      to_string(asked[0]), to_string(asked[1]), option_name(model.precision())));
    }
    against.model = model.name();
    against.threads = model.session().options().threads;
    runs[i] = run_of(model);
  }
  against.values = compare_held(runs[0].values, runs[1].values);
  for (const Output& output : package->program.outputs) {
    if (output.name.starts_with("hidden_states.") && !has_name(against.values, output.name)) {
      against.not_held.push_back(output.name);
    }
  }
  against.sides[0] = std::move(runs[0].side);
  against.sides[1] = std::move(runs[1].side);
  return against;
}

}  // namespace tessera
