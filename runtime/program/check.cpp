// SPDX-License-Identifier: Apache-2.0
// What a Program must be before anything runs it.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/gemm/gemm.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/program/mask.hpp"
#include "runtime/program/program.hpp"

namespace tessera {
namespace {

/// Checks one program; every failure is a bug of a model builder, not of a user's file.
class Checker {
 public:
  explicit Checker(const Program& program)
      : program_(program),
        written_(program.values.size(), false),
        factors_(program.values.size(), kNone) {}

  void run() {
    check_spaces(program_.spaces);
    if (const Grid native = program_.spaces[at(kTokens)].native; native != Grid{}) {
      const ImageSpec* images = program_.images();
      if (images == nullptr || images->special_tokens != 0 ||
          native != images->grid_of(images->height, images->width)) {
        throw Error(ErrorCode::internal, "program: tokens have a map that is not the images'");
      }
    }
    for (const Value& value : program_.values) {
      if (value.space >= 0 && value.space < std::ssize(program_.spaces) && value.type != DType::f16)
        continue;
      throw Error(
          ErrorCode::internal,
          fmt::format("program: value {} has space {} and type {}, expected one of {} spaces "
                      "and f32 or bf16",
                      value.name, value.space, to_string(value.type), program_.spaces.size()));
    }
    for (const Op& op : program_.ops) {
      op_ = &op;
      for (const ValueId in : inputs_of(op)) {
        require(in >= 0 && in < std::ssize(program_.values), "reads a value that does not exist");
        require(written_[static_cast<std::size_t>(in)], "reads a value before it is written");
      }
      for (const ParameterId id : parameters_of(op)) {
        require(id >= 0 && id < std::ssize(program_.parameters),
                "uses a parameter that does not exist");
      }
      const ValueId out = output_of(op);
      require(out >= 0 && out < std::ssize(program_.values), "writes a value that does not exist");
      require(!written_[static_cast<std::size_t>(out)], "writes a value twice");
      std::visit([this](const auto& o) { shapes(o), types(o); }, op);
      written_[static_cast<std::size_t>(out)] = true;
      if (const auto* narrow = std::get_if<NarrowOp>(&op)) factors_[at(out)] = narrow->factors;
      if (const auto* norm = std::get_if<LayerNormOp>(&op)) factors_[at(out)] = norm->factors;
    }
    op_ = nullptr;
    for (const Output& output : program_.outputs) {
      require(output.value >= 0 && output.value < std::ssize(program_.values) &&
                  written_[static_cast<std::size_t>(output.value)],
              "an output names a value that no op writes");
      require(value(output.value).type == DType::f32, "an output is not f32");
    }
  }

 private:
  void require(bool condition, const char* what) const {
    if (condition) return;
    throw Error(
        ErrorCode::internal,
        fmt::format("program: op {} ({}) {}", op_ == nullptr ? "-" : name_of(*op_),
                    op_ == nullptr
                        ? "outputs"
                        : program_.values.at(static_cast<std::size_t>(output_of(*op_))).name,
                    what));
  }
  const Value& value(ValueId id) const { return program_.values[static_cast<std::size_t>(id)]; }
  const Parameter& parameter(ParameterId id) const {
    return program_.parameters[static_cast<std::size_t>(id)];
  }
  Index width(ValueId id) const { return value(id).width; }
  void same_shape(ValueId a, ValueId b) const {
    require(width(a) == width(b) && value(a).space == value(b).space,
            "has operands of different shapes");
  }
  void vector_of(ParameterId id, Index n) const {
    if (id == kNone) return;
    require(parameter(id).kind == ParameterKind::vector && parameter(id).rows == n,
            "has a vector of the wrong length");
  }

  void shapes(const EmbeddingOp& o) const {
    require(!o.terms.empty() && o.terms.size() <= 4, "needs 1 to 4 terms");
    for (const EmbeddingOp::Term& term : o.terms) {
      require(parameter(term.table).kind == ParameterKind::table,
              "gathers from a parameter that is no table");
      require(parameter(term.table).cols == width(o.out), "has a table of the wrong width");
    }
    require(value(o.out).space == kTokens, "must write one row per token");
  }
  void rows_of(ParameterId id, Index rows, Index cols) const {
    require(parameter(id).kind == ParameterKind::rows && parameter(id).rows == rows &&
                parameter(id).cols == cols,
            "has rows of the wrong shape");
  }
  void shapes(const PatchEmbedOp& o) const {
    require(program_.images() != nullptr, "needs a model that takes images");
    const ImageSpec& images = *program_.images();
    require(images.channels > 0 && images.patch_height > 0 && images.patch_width > 0 &&
                images.before >= 0 && images.height >= images.patch_height &&
                images.width >= images.patch_width,
            "needs an image spec");
    const Parameter& w = parameter(o.weight);
    require(w.kind == ParameterKind::matrix && !is_integer(w.precision),
            "has a weight that is no matrix of floats");
    require(w.rows == width(o.out) && w.cols == images.patch_elements(),
            "has a weight of the wrong shape");
    vector_of(o.bias, w.rows);
    require((o.special == kNone) == (images.special_tokens == 0), "lacks its special rows");
    if (o.special != kNone) rows_of(o.special, images.special_tokens, w.rows);
    require(o.positioned >= 0 && o.positioned <= images.special_tokens,
            "has more positions than special rows");
    require(o.activation == Activation::none || o.positions == kNone,
            "has positions behind an activation");
    if (o.positions != kNone) {
      rows_of(o.positions, o.positioned + images.grid_rows() * images.grid_cols(), w.rows);
    }
    require(value(o.out).space == kTokens, "must write one row per token");
  }
  void shapes(const BroadcastOp& o) const {
    rows_of(o.row, 1, width(o.out));
    require(value(o.out).space == kSequences, "must write one row per sequence");
  }
  void shapes(const LinearOp& o) const {
    const Parameter& w = parameter(o.weight);
    require(w.kind == ParameterKind::matrix, "has a weight that is no matrix");
    const bool fits = o.first_row ? *o.first_row >= 0 && *o.first_row + width(o.out) <= w.rows
                                  : w.rows == width(o.out);
    require(fits && w.cols == width(o.in), "has a weight of the wrong shape");
    require(w.input_factors == factors_[at(o.in)],
            "has a weight for other factors than its input's");
    require(value(o.in).space == value(o.out).space, "changes the number of rows");
    vector_of(o.bias, w.rows);
    if (o.residual != kNone) same_shape(o.residual, o.out);
    if (o.norm) {
      vector_of(o.norm->gamma, width(o.out));
      vector_of(o.norm->beta, width(o.out));
    }
  }
  void shapes(const PooledLinearOp& o) const {
    const Parameter& w = parameter(o.weight);
    require(w.kind == ParameterKind::matrix, "has a weight that is no matrix");
    require(w.cols == width(o.in), "has a weight of the wrong shape");
    keeps_columns(w.rows, o.top, o.out);
    require(value(o.in).space == kTokens && value(o.out).space == kSequences,
            "must turn rows into one per sequence");
    vector_of(o.bias, w.rows);
    const bool rises = o.activation == Activation::none || o.activation == Activation::relu ||
                       o.activation == Activation::tanh || o.activation == Activation::sigmoid ||
                       o.activation == Activation::log1p_relu ||
                       o.activation == Activation::log1p2_relu;
    require(rises || o.over == RowReduction::sum, "takes the maximum of an activation that falls");
  }
  void shapes(const ExpertsOp& o) const {
    same_shape(o.in, o.out);
    require(!o.up.empty() && o.up.size() == o.down.size() && width(o.scores) == std::ssize(o.up),
            "has not two matrices and a score for each expert");
    require(o.top >= 1 && o.top <= std::ssize(o.up), "takes none of the experts, or more of them");
    require(value(o.in).space == value(o.scores).space, "has scores of other rows");
    vector_of(o.bias, width(o.out));
    const Index F = parameter(o.up.front()).rows;
    for (std::size_t e = 0; e < o.up.size(); ++e) {
      const Parameter &up = parameter(o.up[e]), &down = parameter(o.down[e]);
      require(up.kind == ParameterKind::matrix && down.kind == ParameterKind::matrix,
              "has a weight that is no matrix");
      require(up.rows == F && up.cols == width(o.in) && down.rows == width(o.out) && down.cols == F,
              "has an expert of the wrong shape");
      require(up.input_factors == factors_[at(o.in)] && down.input_factors == kNone,
              "has a weight for other factors than its input's");
    }
  }
  void shapes(const AttentionOp& o) const {
    require(o.heads > 0 && o.head_dim > 0, "has no heads");
    require(o.kv_heads > 0 && o.heads % o.kv_heads == 0,
            "has heads that do not share those of K and V evenly");
    if (o.head_dim > kernels::kMaxHeadDim) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("program: attention {}: head size is {}, expected 1 to {}",
                              value(o.out).name, o.head_dim, kernels::kMaxHeadDim));
    }
    check_mask(o.mask, "program: attention " + value(o.out).name);
    const auto within = [&](const Slice& slice, Index heads) {
      return slice.first >= 0 && slice.first + heads * o.head_dim <= width(slice.value);
    };
    require(within(o.q, o.heads) && within(o.k, o.kv_heads) && within(o.v, o.kv_heads),
            "reads Q, K or V beyond the width of their value");
    require(width(o.out) == o.heads * o.head_dim, "writes a context of the wrong width");
    const SpaceId queries = value(o.q.value).space, keys = value(o.k.value).space;
    require(value(o.v.value).space == keys, "has K and V of different rows");
    require(value(o.out).space == queries, "writes other rows than its queries'");
    if (queries != keys) {
      const Space& space = program_.spaces[at(queries)];
      require(space.parent == keys && space.rule == RowRule::constant,
              "has queries that are no constant number of rows per piece of the keys");
      require(o.mask == kernels::AttentionMask{} && std::holds_alternative<NoPosition>(o.position),
              "masks or positions queries of another space than the keys");
    }
    std::visit([&](const auto& position) { shapes(o, position); }, o.position);
  }
  void shapes(const AttentionOp&, const NoPosition&) const {}
  void shapes(const AttentionOp&, const Alibi&) const {}
  void shapes(const AttentionOp& o, const PairBias& position) const {
    const Parameter& pairs = parameter(position.bias);
    const ImageSpec* images = program_.images();
    const SpaceId id = value(o.k.value).space;
    const Space& space = program_.spaces[at(id)];
    const bool is_window = space.rule == RowRule::grid_windows;
    require(images != nullptr && (is_window || (is_of_sequences(program_, id) &&
                                                images->sizes == ImageSizes::native)),
            "has a bias of pairs of rows whose number is not known");
    const Index T = longest_piece(program_, id, images->native_rows());
    require(pairs.kind == ParameterKind::pair_bias && pairs.rows == variants_of(pairs) * o.heads &&
                pairs.cols == T * T,
            "has a bias of pairs of the wrong shape");
    const bool fits = pairs.window.n == 0
                          ? space.shift == 0
                          : pairs.window.n == space.n && pairs.window.shift == space.shift;
    require(fits, "has a bias of other windows");
  }
  void shapes(const AttentionOp& o, const RelativeBias& position) const {
    const Parameter& b = parameter(position.bias);
    require(b.kind == ParameterKind::bias && b.rows == o.heads && b.cols % 2 == 1,
            "has a bias of the wrong shape");
  }
  void shapes(const AttentionOp& o, const Disentangled& terms) const {
    require(o.heads == o.kv_heads && (terms.key != kNone || terms.query != kNone),
            "has distances of other heads, or none");
    for (const ParameterId id : {terms.key, terms.query}) {
      if (id == kNone) continue;
      const Parameter& p = parameter(id);
      const Parameter& other = parameter(terms.key == kNone ? terms.query : terms.key);
      require(p.kind == ParameterKind::distances && p.projection.heads == o.heads &&
                  p.cols == o.heads * o.head_dim,
              "has distances of the wrong shape");
      require(p.precision == o.precision, "has distances of another precision");
      const std::vector<std::int32_t>& rows = p.gather;
      require(rows.size() % 2 == 1 && std::is_sorted(rows.begin(), rows.end()) &&
                  rows.front() >= 0 && rows.back() < p.rows && rows == other.gather,
              "has distances without a row each");
    }
  }
  void shapes(const LayerNormOp& o) const {
    same_shape(o.in, o.out);
    if (o.residual != kNone) same_shape(o.residual, o.out);
    vector_of(o.gamma, width(o.out));
    vector_of(o.beta, width(o.out));
    factors_of(o.factors, o.out);
  }
  void shapes(const NarrowOp& o) const {
    same_shape(o.in, o.out);
    factors_of(o.factors, o.out);
  }
  void factors_of(ParameterId factors, ValueId out) const {
    if (factors == kNone) return;
    require(
        parameter(factors).kind == ParameterKind::factors && parameter(factors).rows == width(out),
        "has factors of another width");
    require(is_quantized(value(out).type), "has factors and makes no whole numbers");
  }
  void shapes(const ActivationOp& o) const { same_shape(o.in, o.out); }
  void shapes(const RotateOp& o) const {
    same_shape(o.in, o.out);
    require(o.head_dim > 0, "has no heads");
    for (const Heads& heads : {o.q, o.k}) {
      require(heads.first >= 0 && heads.count >= 0 &&
                  heads.first + heads.count * o.head_dim <= width(o.in),
              "has heads beyond its input");
      const bool one_each =
          heads.gamma != kNone && parameter(heads.gamma).rows == heads.count * o.head_dim;
      vector_of(heads.gamma, one_each ? heads.count * o.head_dim : o.head_dim);
    }
    if (o.rotation == kNone) return;
    require(o.rotation >= 0 && o.rotation < std::ssize(program_.rotations), "has no such rotation");
    const Rotation& rotation = program_.rotations[at(o.rotation)];
    require(2 * std::ssize(rotation.frequencies) <= o.head_dim, "turns more than a head");
    const bool has_positions =
        rotation.on_grid ? program_.images() != nullptr : program_.tokens() != nullptr;
    require(has_positions && value(o.in).space == kTokens, "turns rows that have no position");
    require(!rotation.on_grid || rotation.frequencies.size() % 2 == 0,
            "turns by rows and columns with an odd number of pairs");
    require(rotation.long_frequencies.empty() ||
                rotation.long_frequencies.size() == rotation.frequencies.size(),
            "turns longer sequences by other pairs");
    require(rotation.limit == 0 || !rotation.long_frequencies.empty() ||
                (rotation.theta > 0.0 && rotation.factor > 0.0 && rotation.frequencies.size() > 1),
            "does not say what longer sequences turn by");
  }
  void shapes(const GatedOp& o) const {
    require(width(o.in) == 2 * width(o.out) && value(o.in).space == value(o.out).space,
            "must halve the width");
  }
  void shapes(const AddOp& o) const {
    same_shape(o.a, o.out);
    require(value(o.b).space == value(o.out).space, "has operands of different rows");
    require(o.first >= 0 &&
                (o.first == 0 ? width(o.b) == width(o.out) : o.first + width(o.out) <= width(o.b)),
            "adds columns that there are not");
  }
  void shapes(const PoolOp& o) const {
    require(is_of_sequences(program_, value(o.in).space) && value(o.out).space == kSequences &&
                width(o.in) == width(o.out),
            "must turn (rows,width) into (sequences,width)");
    const bool skips = o.pooling == Pooling::mean || o.pooling == Pooling::first;
    require(o.skip == 0 || skips, "leaves out rows in a pooling that cannot");
    const bool by_id = o.pooling == Pooling::first_of_id || o.pooling == Pooling::largest_id ||
                       o.pooling == Pooling::last_other_than_id;
    require(!by_id || program_.tokens() != nullptr, "pools images by token id");
  }
  void shapes(const LargestByIdOp& o) const {
    require(program_.tokens() != nullptr, "needs token ids");
    require(value(o.in).space == kTokens && value(o.out).space == kSequences && width(o.in) == 1,
            "must turn (rows,1) into one row per sequence");
    keeps_columns(program_.tokens()->vocab_size, o.top, o.out);
  }
  void shapes(const TopColumnsOp& o) const {
    require(value(o.in).space == value(o.out).space, "changes the number of rows");
    require(width(o.out) >= 2, "keeps no column");
    keeps_columns(width(o.in), width(o.out) / 2, o.out);
  }
  /// `out` has `columns`, or the values and the columns of the `top` of them.
  void keeps_columns(Index columns, Index top, ValueId out) const {
    require(width(out) == (top == 0 ? columns : 2 * top), "has a result of the wrong width");
    require(top >= 0 && top <= columns && (top == 0 || columns <= kMostTopColumns),
            "keeps more columns than there are, or of too many");
  }
  void shapes(const L2NormalizeOp& o) const { same_shape(o.in, o.out); }
  void shapes(const ConcatOp& o) const {
    Index total = 0;
    for (const ValueId in : o.in) {
      total += width(in);
      require(value(in).space == value(o.out).space, "joins values with different rows");
    }
    require(!o.in.empty() && total >= width(o.out) && total - width(o.in.back()) < width(o.out),
            "has widths that do not add up");
  }

  void shapes(const MaskRowsOp& o) const {
    same_shape(o.in, o.out);
    require(value(o.in).space == kTokens, "masks rows that are no tokens");
  }
  void shapes(const WindowRowsOp& o) const {
    const SpaceId in = value(o.in).space, out = value(o.out).space;
    const auto windows = [&](SpaceId of, SpaceId map) {
      const Space& space = program_.spaces[at(of)];
      return space.rule == RowRule::grid_windows && space.parent == map;
    };
    require(width(o.in) == width(o.out), "changes the width");
    require(windows(in, out) || windows(out, in), "is not between a map and its windows");
  }
  void shapes(const MergeCellsOp& o) const {
    const Space& space = program_.spaces[at(value(o.out).space)];
    require(space.rule == RowRule::grid && space.parent == value(o.in).space,
            "does not turn a map into a smaller one");
    require(width(o.out) == space.n * space.n * width(o.in), "has a result of the wrong width");
  }
  void shapes(const ConvolutionOp& o) const {
    const Parameter& w = parameter(o.weight);
    require(o.taps > 0 && o.taps % 2 == 1, "has an even number of taps");
    require(w.kind == ParameterKind::matrix && !is_integer(w.precision),
            "has a weight that is no matrix of floats");
    require(w.rows == width(o.out) && w.cols == o.taps * width(o.in),
            "has a weight of the wrong shape");
    require(value(o.in).space == kTokens && value(o.out).space == kTokens,
            "must turn rows of tokens into such");
    vector_of(o.bias, w.rows);
  }

  void shapes(const ScaleRowsOp& o) const {
    same_shape(o.in, o.out);
    require(is_of_sequences(program_, value(o.in).space) && value(o.scale).space == kSequences &&
                width(o.scale) == width(o.in),
            "has not a row of factors for each sequence");
  }
  /// Maps into maps, by a convolution of so many taps.
  void convolves(SpaceId in, SpaceId out, Index taps) const {
    require(taps > 0 && taps % 2 == 1, "has an even number of taps");
    const Space& space = program_.spaces[at(out)];
    require(in == out || (space.rule == RowRule::grid && space.parent == in),
            "does not turn a map into one");
  }
  void shapes(const GridConvolutionOp& o) const {
    const Parameter& w = parameter(o.weight);
    const SpaceId in = value(o.in).space;
    convolves(in, value(o.out).space, o.taps);
    require(has_maps(program_.spaces, in), "reads what is no map");
    require(w.kind == ParameterKind::matrix && !is_integer(w.precision),
            "has a weight that is no matrix of floats");
    require(w.rows == width(o.out) && w.cols == o.taps * o.taps * width(o.in),
            "has a weight of the wrong shape");
    vector_of(o.bias, w.rows);
  }
  void shapes(const DepthwiseOp& o) const {
    const Parameter& w = parameter(o.weight);
    const SpaceId in = value(o.in.value).space;
    convolves(in, value(o.out).space, o.taps);
    require(has_maps(program_.spaces, in) || program_.spaces[at(in)].rule == RowRule::grid_windows,
            "reads what is no map");
    rows_of(o.weight, o.taps * o.taps, w.cols);
    require(o.in.first >= 0 && o.in.first + w.cols <= width(o.in.value) && w.cols <= width(o.out),
            "has more channels than its operands");
    vector_of(o.bias, w.cols);
  }

  void same_type(ValueId a, ValueId b) const {
    require(value(a).type == value(b).type, "changes the type of elements");
  }
  // Everything is f32 but what a linear of another precision reads, and attention in bf16 reads and writes.
  template <class AnyOp>
  void types(const AnyOp& o) const {
    const auto f32 = [&](auto, std::int32_t id) {
      if (id != kNone) require(value(id).type == DType::f32, "has an operand that is not f32");
    };
    AnyOp::operands(o, Overloaded{f32, [](Uses, std::int32_t) {}});
  }
  void types(const WindowRowsOp& o) const { same_type(o.in, o.out); }
  void types(const MergeCellsOp& o) const { same_type(o.in, o.out); }
  void multiplies(ValueId in, Precision precision) const {
    const DType type = value(in).type;
    const bool fits = is_integer(precision)          ? is_quantized(type)
                      : precision == Precision::bf16 ? type == DType::bf16
                                                     : type == DType::f32;
    require(fits, "reads elements of another type than its weight's precision");
    require(!is_integer(precision) || value(in).width <= kernels::kMostIntegerDepth,
            "sums more products of 8 bits than 32 bits hold");
  }
  void types(const LinearOp& o) const {
    multiplies(o.in, parameter(o.weight).precision);
    require(o.residual == kNone || value(o.residual).type == DType::f32,
            "has a residual that is not f32");
    require(!o.norm || value(o.out).type == DType::f32, "normalises what is not f32");
  }
  void types(const PooledLinearOp& o) const {
    require(!is_integer(parameter(o.weight).precision), "is pooled of whole numbers");
    multiplies(o.in, parameter(o.weight).precision);
    require(value(o.out).type == DType::f32, "writes what is not f32");
  }
  void types(const ExpertsOp& o) const {
    const Precision precision = parameter(o.up.front()).precision;
    for (const auto* matrices : {&o.up, &o.down}) {
      for (const ParameterId id : *matrices) {
        require(parameter(id).precision == precision, "has experts of several precisions");
      }
    }
    multiplies(o.in, precision);
    require(!is_integer(precision) || parameter(o.up.front()).rows <= kernels::kMostIntegerDepth,
            "sums more products of 8 bits than 32 bits hold");
    require(value(o.scores).type == DType::f32 && value(o.out).type == DType::f32,
            "has an operand that is not f32");
  }
  void types(const AttentionOp& o) const {
    const DType type = o.precision == Precision::bf16 ? DType::bf16 : DType::f32;
    for (const ValueId id : {o.q.value, o.k.value, o.v.value, o.out}) {
      require(value(id).type == type, "has an operand of another type than its precision");
    }
    require(type == DType::f32 || o.head_dim % 2 == 0, "has an odd head size in bf16");
  }
  void types(const LayerNormOp& o) const {
    require(value(o.in).type == DType::f32 &&
                (o.residual == kNone || value(o.residual).type == DType::f32),
            "has an operand that is not f32");
  }
  void types(const NarrowOp& o) const {
    const DType in = value(o.in).type, out = value(o.out).type;
    require((in == DType::f32 && out == DType::bf16) ||
                ((in == DType::f32 || in == DType::bf16) && is_quantized(out)),
            "must turn f32 into bf16, or one of them into whole numbers");
  }

  const Program& program_;
  std::vector<bool> written_;
  std::vector<ParameterId> factors_;  // that the columns of each value have
  const Op* op_ = nullptr;
};

}  // namespace

void check(const Program& program) {
  Checker(program).run();
}

}  // namespace tessera
