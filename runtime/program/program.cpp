// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/program/mask.hpp"

namespace tessera {

ValueId Program::add_value(std::string name, SpaceId space, Index width, DType type) {
  values.push_back({.name = std::move(name), .space = space, .width = width, .type = type});
  return static_cast<ValueId>(values.size()) - 1;
}

std::int32_t Program::add_rotation(Rotation rotation) {
  const auto known = std::find(rotations.begin(), rotations.end(), rotation);
  if (known != rotations.end()) return static_cast<std::int32_t>(known - rotations.begin());
  rotations.push_back(std::move(rotation));
  return static_cast<std::int32_t>(rotations.size() - 1);
}

ParameterId Program::add_parameter(Parameter parameter) {
  parameters.push_back(std::move(parameter));
  return static_cast<ParameterId>(parameters.size()) - 1;
}

std::int32_t Program::find_output(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].name == name) return static_cast<std::int32_t>(i);
  }
  return kNone;
}

AttentionOp self_attention(ValueId qkv, ValueId out, Index heads, Index head_dim, float scale) {
  const Index H = heads * head_dim;
  return {.q = {qkv, 0},
          .k = {qkv, H},
          .v = {qkv, 2 * H},
          .out = out,
          .heads = heads,
          .kv_heads = heads,
          .head_dim = head_dim,
          .scale = scale};
}

AttentionOp pooling_attention(ValueId q, ValueId kv, ValueId out, Index heads, Index head_dim,
                              float scale) {
  return {.q = {q, 0},
          .k = {kv, 0},
          .v = {kv, heads * head_dim},
          .out = out,
          .heads = heads,
          .kv_heads = heads,
          .head_dim = head_dim,
          .scale = scale};
}

bool is_fused(const AttentionOp& o) noexcept {
  const Index H = o.heads * o.head_dim;
  return o.kv_heads == o.heads && o.q == Slice{o.q.value, 0} && o.k == Slice{o.q.value, H} &&
         o.v == Slice{o.q.value, 2 * H};
}

std::vector<int> count_uses(const Program& program) {
  std::vector<int> uses(program.values.size(), 0);
  for (const Op& op : program.ops) {
    for (const ValueId in : inputs_of(op)) ++uses[at(in)];
  }
  for (const Output& output : program.outputs) ++uses[at(output.value)];
  return uses;
}

std::vector<std::int32_t> find_writers(const Program& program) {
  std::vector<std::int32_t> writer(program.values.size(), kNone);
  for (std::size_t i = 0; i < program.ops.size(); ++i)
    writer[at(output_of(program.ops[i]))] = static_cast<std::int32_t>(i);
  return writer;
}

std::vector<ValueId> inputs_of(const Op& op) {
  std::vector<ValueId> ids;
  for_each_operand(
      op, Overloaded{[&](Reads, ValueId id) { ids.push_back(id); }, [](auto, std::int32_t) {}});
  return ids;
}

ValueId output_of(const Op& op) noexcept {
  return std::visit([](const auto& o) { return o.out; }, op);
}

std::vector<ParameterId> parameters_of(const Op& op) {
  std::vector<ParameterId> ids;
  for_each_operand(
      op, Overloaded{[&](Uses, ParameterId id) { ids.push_back(id); }, [](auto, std::int32_t) {}});
  return ids;
}

Index longest_sequence(const Program& program, Index rows) noexcept {
  if (const TokenSpec* tokens = program.tokens(); tokens != nullptr && tokens->max_tokens > 0) {
    return std::min(rows, tokens->max_tokens);
  }
  const ImageSpec* images = program.images();
  if (images != nullptr && images->sizes == ImageSizes::native) {
    return std::min(rows, images->native_rows());
  }
  return rows;
}

Index longest_piece(const Program& program, SpaceId space, Index rows) {
  const Space& its = program.spaces[at(space)];
  const ImageSpec* images = program.images();
  if (its.rule == RowRule::constant) return its.n;
  if (its.rule == RowRule::grid_windows) return its.n * its.n;
  if (its.rule == RowRule::grid && images->sizes == ImageSizes::native) {
    return extents_of_image(program.spaces, program.spaces[at(kTokens)].native)[at(space)].rows;
  }
  return its.rule == RowRule::tokens ? longest_sequence(program, rows)
                                     : most_extents(program.spaces, rows, 1)[at(space)].rows;
}

bool is_of_sequences(const Program& program, SpaceId space) noexcept {
  return space == kTokens || has_maps(program.spaces, space);
}

Index variants_of(const Parameter& pair_bias) noexcept {
  return pair_bias.window.shift > 0 ? kWindowPlaces : 1;
}

Index most_rows(const Program& program, ValueId id, Index rows, Index sequences) {
  return most_extents(program.spaces, rows, sequences)[at(program.values[at(id)].space)].rows;
}

const char* name_of(const Inputs& inputs) noexcept {
  return std::visit(Overloaded{[](const TokenSpec&) { return "tokens"; },
                               [](const ImageSpec&) { return "images"; }},
                    inputs);
}

namespace {

template <class Spec>
const Spec& require_inputs(const Program& program) {
  if (const auto* spec = std::get_if<Spec>(&program.inputs)) return *spec;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("the model takes {}, expected one that takes {}", name_of(program.inputs),
                          name_of(Inputs{Spec{}})));
}

}  // namespace

const TokenSpec& require_tokens(const Program& program) {
  return require_inputs<TokenSpec>(program);
}

const ImageSpec& require_images(const Program& program) {
  return require_inputs<ImageSpec>(program);
}

const char* name_of(const Op& op) noexcept {
  return std::visit(
      Overloaded{
          [](const EmbeddingOp&) { return "embedding"; },
          [](const PatchEmbedOp&) { return "patch_embed"; },
          [](const BroadcastOp&) { return "broadcast"; },
          [](const LinearOp&) { return "linear"; },
          [](const PooledLinearOp&) { return "pooled_linear"; },
          [](const ExpertsOp&) { return "experts"; },
          [](const AttentionOp&) { return "attention"; },
          [](const LayerNormOp& o) { return o.of_squares ? "rms_norm" : "layer_norm"; },
          [](const RotateOp&) { return "rotate"; },
          [](const NarrowOp&) { return "narrow"; },
          [](const ActivationOp&) { return "activation"; },
          [](const GatedOp&) { return "gated"; },
          [](const AddOp&) { return "add"; },
          [](const PoolOp&) { return "pool"; },
          [](const LargestByIdOp&) { return "largest_by_id"; },
          [](const TopColumnsOp&) { return "top_columns"; },
          [](const L2NormalizeOp&) { return "l2_normalize"; },
          [](const ConcatOp&) { return "concat"; },
          [](const MaskRowsOp&) { return "mask_rows"; },
          [](const ConvolutionOp&) { return "convolution"; },
          [](const WindowRowsOp&) { return "window_rows"; },
          [](const MergeCellsOp&) { return "merge_cells"; },
          [](const GridConvolutionOp&) { return "grid_convolution"; },
          [](const DepthwiseOp&) { return "depthwise"; },
          [](const ScaleRowsOp&) { return "scale_rows"; },
      },
      op);
}

const char* to_string(RowReduction over) noexcept {
  return over == RowReduction::max ? "max" : "sum";
}

const char* to_string(Pooling pooling) noexcept {
  switch (pooling) {
    case Pooling::first:
      return "first";
    case Pooling::last:
      return "last";
    case Pooling::mean:
      return "mean";
    case Pooling::max:
      return "max";
    case Pooling::mean_sqrt_len:
      return "mean_sqrt_len";
    case Pooling::weighted_mean:
      return "weighted_mean";
    case Pooling::first_of_id:
      return "first_of_id";
    case Pooling::largest_id:
      return "largest_id";
    case Pooling::last_other_than_id:
      return "last_other_than_id";
  }
  return "unknown";
}

namespace {

std::string shape_of(const Program& program, const Value& value) {
  return fmt::format("{} ({},{})", value.name, program.spaces[at(value.space)].name, value.width);
}

}  // namespace

namespace {

std::string slice_text(const Program& program, const Slice& slice) {
  const std::string value = shape_of(program, program.values[at(slice.value)]);
  return slice.first == 0 ? value : fmt::format("{} from column {}", value, slice.first);
}

std::string attention_text(const Program& program, const AttentionOp& o) {
  std::string text = fmt::format("{} heads of {}", o.heads, o.head_dim);
  if (o.kv_heads != o.heads) text += fmt::format(" ({} of K and V)", o.kv_heads);
  if (is_fused(o)) {
    text += " over " + slice_text(program, o.q);
  } else {
    text += fmt::format(", {} over {} and {}", slice_text(program, o.q), slice_text(program, o.k),
                        slice_text(program, o.v));
  }
  const auto bias = [&](ParameterId id) {
    const Parameter& p = program.parameters[at(id)];
    return fmt::format(" + {} ({},{})", p.name, p.rows, p.cols);
  };
  text += std::visit(Overloaded{[](const NoPosition&) { return std::string(); },
                                [&](const RelativeBias& b) { return bias(b.bias); },
                                [&](const PairBias& b) { return bias(b.bias); },
                                [](const Alibi&) { return std::string(", alibi"); },
                                [&](const Disentangled& terms) {
                                  return (terms.key == kNone ? "" : bias(terms.key)) +
                                         (terms.query == kNone ? "" : bias(terms.query));
                                }},
                     o.position);
  return o.mask == kernels::AttentionMask{} ? text : text + ", " + to_string(o.mask);
}

}  // namespace

std::string to_string(const Program& program) {
  const auto value = [&](ValueId id) { return shape_of(program, program.values[at(id)]); };
  const auto parameter = [&](ParameterId id) {
    const Parameter& p = program.parameters[static_cast<std::size_t>(id)];
    return fmt::format("{} ({},{})", p.name, p.rows, p.cols);
  };
  const auto plus = [&](ValueId id) { return id == kNone ? std::string() : " + " + value(id); };
  const auto act = [](Activation activation, const std::string& of) {
    return activation == Activation::none ? of : fmt::format("{}({})", to_string(activation), of);
  };
  const auto top = [](Index k) { return k == 0 ? std::string() : fmt::format("top {} of ", k); };
  std::string text;
  for (const Op& op : program.ops) {
    const std::string right = std::visit(
        Overloaded{
            [&](const EmbeddingOp& o) {
              std::string sum;
              for (const EmbeddingOp::Term& term : o.terms) {
                sum += (sum.empty() ? "" : " + ") + parameter(term.table);
              }
              return sum;
            },
            [&](const PatchEmbedOp& o) {
              return act(o.activation,
                         fmt::format("patches * {}{}{}{}", parameter(o.weight),
                                     o.bias == kNone ? "" : " + bias",
                                     o.positions == kNone ? "" : " + " + parameter(o.positions),
                                     o.special == kNone ? "" : " after " + parameter(o.special)));
            },
            [&](const BroadcastOp& o) { return parameter(o.row); },
            [&](const LinearOp& o) {
              const std::string product =
                  act(o.activation, fmt::format("{} * {}{}", value(o.in), parameter(o.weight),
                                                o.bias == kNone ? "" : " + bias")) +
                  plus(o.residual);
              if (!o.norm) return product;
              return fmt::format("{}({})", o.norm->of_squares ? "rms_norm" : "layer_norm", product);
            },
            [&](const PooledLinearOp& o) {
              return top(o.top) + fmt::format("{} of {}({} * {}{})", to_string(o.over),
                                              to_string(o.activation), value(o.in),
                                              parameter(o.weight),
                                              o.bias == kNone ? "" : " + bias");
            },
            [&](const ExpertsOp& o) {
              return fmt::format("{} of {} experts of {} by {}", o.top, o.up.size(), value(o.in),
                                 value(o.scores));
            },
            [&](const AttentionOp& o) { return attention_text(program, o); },
            [&](const LayerNormOp& o) { return value(o.in) + plus(o.residual); },
            [&](const RotateOp& o) {
              const bool norm = o.q.gamma != kNone || o.k.gamma != kNone;
              return fmt::format("{}{}, {} + {} heads", norm ? "normalised " : "", value(o.in),
                                 o.q.count, o.k.count);
            },
            [&](const NarrowOp& o) {
              return value(o.in) + (o.factors == kNone ? "" : " . " + parameter(o.factors));
            },
            [&](const ActivationOp& o) {
              return fmt::format("{}({})", to_string(o.activation), value(o.in));
            },
            [&](const GatedOp& o) {
              return fmt::format("{}({}) * {} of {}", to_string(o.activation),
                                 o.second ? "right" : "left", o.second ? "left" : "right",
                                 value(o.in));
            },
            [&](const AddOp& o) {
              return value(o.a) + " + " + slice_text(program, {o.b, o.first}) +
                     (o.scale == 1.0F ? "" : fmt::format(", x {}", o.scale));
            },
            [&](const PoolOp& o) {
              std::string how = to_string(o.pooling);
              if (o.pooling == Pooling::first_of_id || o.pooling == Pooling::last_other_than_id) {
                how += fmt::format(" {}", o.id);
              }
              return fmt::format("{} of {}{}", how, value(o.in),
                                 o.skip == 0 ? "" : fmt::format(" from row {}", o.skip));
            },
            [&](const LargestByIdOp& o) {
              return top(o.top) + fmt::format("{}, ids from {}", value(o.in), o.from_id);
            },
            [&](const TopColumnsOp& o) {
              return top(program.values[at(o.out)].width / 2) + value(o.in);
            },
            [&](const L2NormalizeOp& o) { return value(o.in); },
            [&](const ConcatOp& o) {
              std::string list;
              for (const ValueId in : o.in) list += (list.empty() ? "" : " | ") + value(in);
              return list;
            },
            [&](const MaskRowsOp& o) { return value(o.in); },
            [&](const WindowRowsOp& o) { return value(o.in); },
            [&](const MergeCellsOp& o) { return value(o.in); },
            [&](const ScaleRowsOp& o) { return value(o.in) + " * " + value(o.scale); },
            [&](const GridConvolutionOp& o) {
              return act(o.activation,
                         fmt::format("{0} x {0} cells of {1} * {2}{3}", o.taps, value(o.in),
                                     parameter(o.weight), o.bias == kNone ? "" : " + bias"));
            },
            [&](const DepthwiseOp& o) {
              return act(o.activation, fmt::format("{0} x {0} cells of {1} . {2}{3}", o.taps,
                                                   slice_text(program, o.in), parameter(o.weight),
                                                   o.bias == kNone ? "" : " + bias"));
            },
            [&](const ConvolutionOp& o) {
              return fmt::format("{} rows of {} * {}{}", o.taps, value(o.in), parameter(o.weight),
                                 o.bias == kNone ? "" : " + bias");
            },
        },
        op);
    text += fmt::format("{:<12} {} = {}\n", name_of(op), value(output_of(op)), right);
  }
  return text;
}

}  // namespace tessera
