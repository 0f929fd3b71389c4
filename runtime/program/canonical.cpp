// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/canonical.hpp"

#include <fmt/format.h>

#include <iterator>

#include "runtime/base/overloaded.hpp"

namespace tessera {
namespace {

class Writer {
 public:
  std::string take() { return std::move(text_); }

  template <class... T>
  void line(const char* kind, const T&... fields) {
    text_ += kind;
    (field(fields), ...);
    text_ += '\n';
  }

  void op(const Op& op) {
    text_ += name_of(op);
    for_each_operand(op, Overloaded{[&](Reads, std::int32_t id) { mark('r', id); },
                                    [&](Writes, std::int32_t id) { mark('w', id); },
                                    [&](Uses, std::int32_t id) { mark('p', id); }});
    std::visit([&](const auto& o) { attributes(o); }, op);
    text_ += '\n';
  }

 private:
  template <class T>
  void field(const T& value) {
    if constexpr (std::is_same_v<T, float>) {
      fmt::format_to(std::back_inserter(text_), " {:a}", value);
    } else if constexpr (std::is_enum_v<T> || std::is_same_v<T, bool>) {
      fmt::format_to(std::back_inserter(text_), " {}", static_cast<int>(value));
    } else {
      fmt::format_to(std::back_inserter(text_), " {}", value);
    }
  }
  void mark(char role, std::int32_t id) {
    fmt::format_to(std::back_inserter(text_), " {}{}", role, id);
  }
  template <class... T>
  void fields(const T&... values) {
    (field(values), ...);
  }

  void attributes(const EmbeddingOp& o) {
    for (const EmbeddingOp::Term& term : o.terms) field(term.input);
    field(o.scale);
  }
  // Which of the optional operands there are is not in their list.
  void attributes(const PatchEmbedOp& o) {
    fields(o.bias, o.special, o.positions, o.positioned);
    if (o.activation != Activation::none) field(o.activation);
  }
  void attributes(const BroadcastOp&) {}
  void attributes(const LinearOp& o) {
    fields(o.bias, o.residual, o.activation, o.norm.has_value());
    if (o.norm) fields(o.norm->eps, o.norm->of_squares);
    if (o.first_row) field(*o.first_row);
  }
  void attributes(const PooledLinearOp& o) { fields(o.bias, o.activation, o.over, o.top); }
  void attributes(const ExpertsOp& o) { fields(std::ssize(o.up), o.top, o.bias, o.activation); }
  void attributes(const AttentionOp& o) {
    fields(o.q.value, o.q.first, o.k.value, o.k.first, o.v.value, o.v.first, o.heads, o.kv_heads,
           o.head_dim, o.scale, o.position.index(), o.mask.kind, o.mask.left, o.mask.right,
           o.mask.local, o.mask.restart, o.precision);
    if (const auto* terms = std::get_if<Disentangled>(&o.position))
      fields(terms->key, terms->query);
  }
  void attributes(const LayerNormOp& o) { fields(o.residual, o.eps, o.of_squares); }
  void attributes(const RotateOp& o) {
    fields(o.q.first, o.q.count, o.q.gamma, o.k.first, o.k.count, o.k.gamma, o.head_dim, o.eps,
           o.rotation);
  }
  void attributes(const ActivationOp& o) { field(o.activation); }
  void attributes(const NarrowOp&) {}
  void attributes(const GatedOp& o) { fields(o.activation, o.second); }
  void attributes(const AddOp& o) {
    field(o.scale);
    if (o.first > 0) field(o.first);
  }
  void attributes(const PoolOp& o) { fields(o.pooling, o.skip, o.id); }
  void attributes(const LargestByIdOp& o) { fields(o.from_id, o.top); }
  void attributes(const TopColumnsOp&) {}
  void attributes(const L2NormalizeOp& o) { field(o.eps); }
  void attributes(const ConcatOp&) {}
  void attributes(const MaskRowsOp&) {}
  void attributes(const ConvolutionOp& o) { fields(o.bias, o.taps); }
  void attributes(const WindowRowsOp&) {}
  void attributes(const MergeCellsOp&) {}
  void attributes(const GridConvolutionOp& o) { fields(o.bias, o.taps, o.activation); }
  void attributes(const DepthwiseOp& o) { fields(o.in.first, o.bias, o.taps, o.activation); }
  void attributes(const ScaleRowsOp&) {}

  std::string text_;
};

}  // namespace

std::string canonical_text(const Program& program) {
  Writer writer;
  // Both lines are always there: a model that takes images has the default of the other kind.
  const TokenSpec t = program.tokens() == nullptr ? TokenSpec{} : *program.tokens();
  writer.line("tokens", t.vocab_size, t.type_vocab_size, t.position_rows, t.max_tokens,
              t.position_rule, t.position_pad, t.far_distance);
  if (t.masked_rows != MaskedRows::see_attended) writer.line("masked_rows", t.masked_rows);
  const ImageSpec m = program.images() == nullptr ? ImageSpec{} : *program.images();
  writer.line("images", m.channels, m.height, m.width, m.patch_height, m.patch_width,
              m.special_tokens, m.sizes, m.resize);
  if (m.pads) writer.line("pads");
  if (m.before > 0) writer.line("before", m.before);
  if (m.least_height > 1 || m.least_width > 1) writer.line("least", m.least_height, m.least_width);
  for (const Space& s : program.spaces) {
    writer.line("space", s.parent, s.rule, s.n);
    if (s.native != Grid{}) writer.line("native", s.native.rows, s.native.cols);
    if (s.shift > 0) writer.line("shift", s.shift, s.rolls_small);
  }
  for (const Value& v : program.values) writer.line("value", v.space, v.width, v.type);
  for (const Parameter& p : program.parameters) {
    writer.line("parameter", p.kind, p.rows, p.cols, p.precision, p.offset);
    if (p.repeats > 0) writer.line("repeats", p.repeats);
    if (p.input_factors >= 0) writer.line("input_factors", p.input_factors);
    if (p.clips) writer.line("clips");
    for (const InputFactors::Norm& norm : p.made_of.norms) {
      writer.line("norm", norm.gamma, norm.beta);
    }
    for (const std::int32_t matrix : p.made_of.matrices) writer.line("matrix", matrix);
    if (p.window.n > 0) {
      writer.line("window", p.window.n, p.window.shift, p.window.hidden, p.window.trained);
    }
  }
  for (const Rotation& r : program.rotations) {
    writer.line("rotation", r.neighbours, r.scale, std::ssize(r.frequencies));
    if (r.on_grid) writer.line("on_grid");
    if (r.limit > 0) writer.line("rotation_limit", r.limit);
  }
  for (const Op& op : program.ops) writer.op(op);
  for (const Output& o : program.outputs) writer.line("output", o.value);
  return writer.take();
}

}  // namespace tessera
