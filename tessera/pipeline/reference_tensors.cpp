// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/reference_tensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/base/log.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tessera/pipeline/about.hpp"

namespace tessera {
namespace {

constexpr std::array<std::string_view, 4> kInputs{"input_ids", "attention_mask", "token_type_ids",
                                                  "position_ids"};

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

template <class T>
std::vector<std::int64_t> widened(const StoredTensor& tensor) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, tensor.data + i * sizeof(T), sizeof(T));
    values[i] = std::int64_t{value};
  }
  return values;
}

std::vector<std::int64_t> integers(const StoredTensor& tensor) {
  switch (tensor.type) {
    case StoredType::i64:
      return widened<std::int64_t>(tensor);
    case StoredType::i32:
      return widened<std::int32_t>(tensor);
    case StoredType::boolean:
    case StoredType::u8:
      if (tensor.name == "attention_mask") return widened<std::uint8_t>(tensor);
      break;
    default:
      break;
  }
  refuse(fmt::format("tensor {} has type {}, expected I64 or I32", detail::in_quotes(tensor.name),
                     to_string(tensor.type)));
}

// The values of an optional tensor (B,T), or (1,T) where `may_broadcast`; empty if there is none.
std::vector<std::int64_t> optional_input(const SafetensorsFile& file, std::string_view name,
                                         std::span<const std::int64_t> shape, bool may_broadcast) {
  const StoredTensor* tensor = file.find(name);
  if (tensor == nullptr) return {};
  const bool is_same = std::ranges::equal(tensor->shape, shape);
  const bool is_row = may_broadcast && tensor->shape.size() == 2 && tensor->shape[0] == 1 &&
                      tensor->shape[1] == shape.back();
  if (!is_same && !is_row) {
    refuse(fmt::format("tensor \"{}\" has shape {}, expected {} as input_ids", name,
                       shape_to_string(tensor->shape), shape_to_string(shape)));
  }
  return integers(*tensor);
}

ReferenceInput read(const SafetensorsFile& file, const models::Package& package,
                    ReferenceFile holds) {
  const TokenSpec& spec = require_tokens(package.program);
  const std::string& architecture = package.architecture;
  for (const StoredTensor& tensor : file.tensors()) {
    if (holds == ReferenceFile::with_others) break;
    if (is_text_input(tensor.name) || (package.similarity && tensor.name == kPixelValues)) continue;
    refuse(
        fmt::format("tensor {} is no input of {}, expected input_ids, attention_mask, "
                    "token_type_ids, position_ids",
                    detail::in_quotes(tensor.name), architecture));
  }
  const StoredTensor* ids = file.find("input_ids");
  if (ids == nullptr)
    throw Error(ErrorCode::not_found, "got no tensor \"input_ids\", expected one of shape (B,T)");
  const bool has_choices = package.task == models::Task::multiple_choice;
  if (ids->shape.size() != (has_choices ? 3 : 2)) {
    refuse(fmt::format("tensor \"input_ids\" has shape {}, expected {}",
                       shape_to_string(ids->shape), has_choices ? "(B,choices,T)" : "(B,T)"));
  }
  const auto mask = optional_input(file, "attention_mask", ids->shape, false);
  const auto types = optional_input(file, "token_type_ids", ids->shape, false);
  const auto positions = optional_input(file, "position_ids", ids->shape, true);
  if (spec.type_vocab_size == 0 &&
      std::ranges::any_of(types, [](auto type) { return type != 0; })) {
    refuse(fmt::format("tensor \"token_type_ids\" is not all 0, but {} has no token types",
                       architecture));
  }
  const std::vector<Index> leading(ids->shape.begin(), ids->shape.end() - 1);
  const auto padded = static_cast<Index>(ids->shape.back());
  const Index sequences = has_choices ? leading[0] * leading[1] : leading[0];
  ReferenceInput input{
      .leading = leading,
      .sequences = sequences,
      .padded_tokens = padded,
      .batch = models::ReferenceBatch(spec, sequences, padded, integers(*ids), mask, types),
      .tokens = {}};
  const Batch all = input.batch.view();
  const auto part = [](std::span<const std::int32_t> values, std::size_t begin, std::size_t count) {
    if (values.empty()) return std::vector<std::int32_t>{};
    const auto chosen = values.subspan(begin, count);
    return std::vector<std::int32_t>(chosen.begin(), chosen.end());
  };
  for (std::size_t s = 0; s + 1 < all.offsets.size(); ++s) {
    const auto begin = static_cast<std::size_t>(all.offsets[s]);
    const auto count = static_cast<std::size_t>(all.offsets[s + 1]) - begin;
    TokenSequence sequence{.ids = part(all.ids, begin, count),
                           .types = part(all.types, begin, count),
                           .positions = part(all.positions, begin, count),
                           .columns = part(all.columns, begin, count),
                           .query_only = all.query_only.empty() ? 0 : all.query_only[s]};
    if (sequence.query_only == static_cast<std::int32_t>(count)) {
      log(LogLevel::warning,
          fmt::format("attention_mask of sequence {} is all 0: its pooled outputs differ "
                      "from the reference's, which then attends to the padding",
                      s));
    }
    for (std::size_t i = 0; i < count && !positions.empty(); ++i) {
      const auto index =
          static_cast<std::size_t>(input.batch.padded_index(static_cast<Index>(begin + i)));
      const std::int64_t position =
          positions[index % positions.size()];  // (1,T) repeats: B·T is its multiple
      if (position < 0 || position >= spec.position_rows) {
        refuse(fmt::format("position_ids: got {}, expected 0 to {} (position table)", position,
                           spec.position_rows - 1));
      }
      sequence.positions[i] = static_cast<std::int32_t>(position);
    }
    input.tokens.push_back(std::move(sequence));
  }
  check_sequences(package.program, std::span<const TokenSequence>(input.tokens));
  return input;
}

}  // namespace

ReferenceInput ReferenceInput::open(const std::string& path, const models::Package& package,
                                    ReferenceFile holds) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  return about(path, [&] { return read(file, package, holds); });
}

bool is_text_input(std::string_view name) noexcept {
  return std::ranges::find(kInputs, name) != kInputs.end();
}

ReferenceKinds ReferenceKinds::of(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  return {.has_texts = file.find("input_ids") != nullptr,
          .has_images = file.find(kPixelValues) != nullptr};
}

ReferenceOutput::ReferenceOutput(const TextEncoder& encoder, const ReferenceInput& input)
    : ReferenceOutput(encoder, input.leading, input.sequences,
                      [&](std::size_t) { return input.padded_tokens; }) {
  input_ = &input;
}

ReferenceOutput::ReferenceOutput(const Encoder& encoder, const ReferenceImages& images)
    : ReferenceOutput(
          encoder, {images.count}, images.count,
          [&](std::size_t output) {
            return rows_in(encoder.package().program, encoder.space(output), images.height,
                           images.width, images.rows);
          },
          require_images(encoder.package().program).grid_of(images.height, images.width)) {}

ReferenceOutput::ReferenceOutput(const Encoder& encoder, const std::vector<Index>& leading,
                                 Index sequences,
                                 const std::function<Index(std::size_t output)>& rows_of,
                                 Grid tokens) {
  const std::vector<std::string>& names = encoder.options().session.outputs;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Tensor tensor{.name = names[i],
                  .shape = {sequences},
                  .width = encoder.width(i),
                  .is_per_token = encoder.is_per_token(i),
                  .rows = encoder.is_per_token(i) ? rows_of(i) : 1,
                  .values = {}};
    if (encoder.package().maps_are_channels_first && encoder.space(i) != kTokens &&
        encoder.space(i) != kSequences) {
      const Grid map = map_of(encoder.package().program.spaces, encoder.space(i), tokens);
      tensor.cells = map.cells();
      tensor.shape.insert(tensor.shape.end(), {tensor.width, map.rows, map.cols});
    }
    tensor.values.resize(static_cast<std::size_t>(sequences * tensor.rows * tensor.width));
    if (tensor.cells > 0) {
      tensors_.push_back(std::move(tensor));
      continue;
    }
    if (tensor.is_per_token) tensor.shape.push_back(tensor.rows);
    // One number, without an axis: of ELECTRA's discriminator, of starts and ends of answers. The
    // logits of choices are (B,choices); states are of B·choices sequences.
    using models::Task;
    const Task task = encoder.package().task;
    const bool is_logit = tensor.name == "logits";
    if (is_logit && task == Task::multiple_choice) {
      tensor.shape.assign(leading.begin(), leading.end());
    } else if (!(is_logit && task == Task::discriminator) &&
               !(task == Task::question_answering && tensor.name.ends_with("_logits"))) {
      tensor.shape.push_back(tensor.width);
    }
    tensors_.push_back(std::move(tensor));
  }
}

void ReferenceOutput::add(std::size_t s, Results results) {
  const auto sequence = static_cast<Index>(s);
  const Index begin = input_ == nullptr ? 0 : input_->batch.view().offsets[s];
  for (std::size_t i = 0; i < results.size(); ++i) {
    Tensor& to = tensors_[i];
    if (to.cells > 0) {  // (B,C,h,w)
      float* const image = to.values.data() + sequence * to.width * to.cells;
      for (Index r = 0; r < to.cells; ++r) {
        for (Index c = 0; c < to.width; ++c)
          image[c * to.cells + r] = results[i].row(r)[static_cast<std::size_t>(c)];
      }
      continue;
    }
    for (Index r = 0; r < results[i].rows; ++r) {
      Index row = sequence;
      if (to.is_per_token && input_ == nullptr) {
        row = sequence * to.rows + r;
      } else if (to.is_per_token) {
        if (input_->batch.is_query_only(begin + r)) continue;
        row = input_->batch.padded_index(begin + r);
      }
      const std::span<const float> from = results[i].row(r);
      std::copy(from.begin(), from.end(), to.values.begin() + row * to.width);
    }
  }
}

std::vector<ReferenceOutput::Tensor> joined_towers(const models::Similarity& similarity,
                                                   std::vector<ReferenceOutput::Tensor> of_texts,
                                                   std::vector<ReferenceOutput::Tensor> of_images) {
  std::vector<ReferenceOutput::Tensor> all;
  const auto take = [&](std::vector<ReferenceOutput::Tensor>& tensors, const char* prefix,
                        const char* projected) {
    ReferenceOutput::Tensor embedding;
    for (ReferenceOutput::Tensor& tensor : tensors) {
      if (tensor.name == "embedding") {
        embedding = std::move(tensor);
        continue;
      }
      if (tensor.name != projected) tensor.name = prefix + tensor.name;
      all.push_back(std::move(tensor));
    }
    return embedding;
  };
  const ReferenceOutput::Tensor image = take(of_images, "vision_model_output.", "image_embeds"),
                                text = take(of_texts, "text_model_output.", "text_embeds");
  const auto view = [](const ReferenceOutput::Tensor& tensor) {
    return TensorView<const float>{.data = tensor.values.data(),
                                   .rows = tensor.shape[0],
                                   .cols = tensor.width,
                                   .stride = tensor.width};
  };
  const Index images = image.shape[0], texts = text.shape[0];
  std::vector<float> logits(static_cast<std::size_t>(images * texts)), transposed(logits.size());
  models::logits_per_image(similarity, view(image), view(text), logits);
  for (Index i = 0; i < images; ++i) {
    for (Index t = 0; t < texts; ++t) {
      transposed[static_cast<std::size_t>(t * images + i)] =
          logits[static_cast<std::size_t>(i * texts + t)];
    }
  }
  all.push_back(
      {.name = "logits_per_image", .shape = {images, texts}, .values = std::move(logits)});
  all.push_back(
      {.name = "logits_per_text", .shape = {texts, images}, .values = std::move(transposed)});
  return all;
}

void write_tensors(const std::string& path, const std::vector<ReferenceOutput::Tensor>& tensors) {
  std::vector<TensorToWrite> written;
  for (const ReferenceOutput::Tensor& from : tensors) {
    written.push_back({.name = from.name,
                       .type = StoredType::f32,
                       .shape = from.shape,
                       .data = std::as_bytes(std::span(from.values))});
  }
  write_safetensors(path, written);
}

}  // namespace tessera
