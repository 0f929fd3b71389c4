// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/recording.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tessera/measure/verified_once.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {
namespace {

constexpr std::size_t kMostNumbers = std::size_t{1} << 24;  // of an output: 64 MiB

using Metadata = std::map<std::string, std::string, std::less<>>;

/// Tensors of inputs, and what they are made of.
struct RecordedInputs {
  std::vector<std::int64_t> ids, mask, types;  // (B,T)
  std::vector<float> pixels;                   // (B,C,H,W)
  std::vector<TensorToWrite> tensors;
};

template <class T>
TensorToWrite tensor(std::string name, StoredType type, std::vector<std::int64_t> shape,
                     const std::vector<T>& values) {
  return {.name = std::move(name),
          .type = type,
          .shape = std::move(shape),
          .data = std::as_bytes(std::span(values))};
}

/// Padded to the longest, as the reference's tokenizer does with padding=True.
void add_texts(RecordedInputs& inputs, const models::Package& package,
               const std::vector<GoldenText>& texts) {
  if (package.task == models::Task::multiple_choice) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: its inputs are (B,choices,T), expected the reference's tensors "
                            "(--against FILE)",
                            package.architecture));
  }
  TextOptions no_prompt;
  no_prompt.prompt = std::string();
  const TextInputs encoder(package, no_prompt);
  std::vector<text::Encoding> encodings;
  std::size_t longest = 0;
  for (const GoldenText& each : texts) {
    encodings.push_back(encoder.encode(
        each.text, each.pair ? std::optional<std::string_view>(*each.pair) : std::nullopt));
    longest = std::max(longest, encodings.back().ids.size());
  }
  const std::int32_t pad = package.tokenizer->pad_id().value_or(0);
  for (const text::Encoding& encoding : encodings) {
    for (std::size_t i = 0; i < longest; ++i) {
      const bool is_token = i < encoding.ids.size();
      inputs.ids.push_back(is_token ? encoding.ids[i] : pad);
      inputs.mask.push_back(is_token ? 1 : 0);
      const bool is_typed = is_token && i < encoding.type_ids.size();
      inputs.types.push_back(is_typed ? encoding.type_ids[i] : 0);
    }
  }
  const std::vector<std::int64_t> shape{std::ssize(texts), static_cast<std::int64_t>(longest)};
  inputs.tensors.push_back(tensor("input_ids", StoredType::i64, shape, inputs.ids));
  inputs.tensors.push_back(tensor("attention_mask", StoredType::i64, shape, inputs.mask));
  if (require_tokens(package.program).type_vocab_size > 0) {
    inputs.tensors.push_back(tensor("token_type_ids", StoredType::i64, shape, inputs.types));
  }
}

void add_images(RecordedInputs& inputs, const models::Package& package,
                const std::vector<image::RgbImage>& images) {
  const image::Preprocessor preprocessor(
      image::read_preprocessor_config(package.transformer_directory, package.model_type));
  image::Size size{};
  for (std::size_t i = 0; i < images.size(); ++i) {
    const image::Size own = preprocessor.result_size({images[i].height, images[i].width});
    if (i > 0 && (own.height != size.height || own.width != size.width)) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("image {} becomes {} x {} pixels, expected {} x {} as image 0: golden "
                      "vectors are of one size",
                      i, own.height, own.width, size.height, size.width));
    }
    size = own;
    const std::vector<float> values = pixel_values(preprocessor, images[i]);
    inputs.pixels.insert(inputs.pixels.end(), values.begin(), values.end());
    inputs.tensors.push_back(tensor(fmt::format("image.{}", i), StoredType::u8,
                                    {images[i].height, images[i].width, 3}, images[i].pixels));
  }
  inputs.tensors.push_back(tensor(kPixelValues, StoredType::f32,
                                  {std::ssize(images), 3, size.height, size.width}, inputs.pixels));
}

/// A file of these tensors that has no name any more: what reads reference inputs reads files.
class NamelessFile {
 public:
  explicit NamelessFile(const std::vector<TensorToWrite>& tensors) {
    std::string folder = (std::filesystem::temp_directory_path() / "tessera-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) fail(folder, errno);
    const std::string name = folder + "/inputs";
    try {
      write_safetensors(name, tensors);
      descriptor_ = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    } catch (...) {
      remove(folder);
      throw;
    }
    const int error = errno;
    remove(folder);
    if (descriptor_ < 0) fail(name, error);
  }
  NamelessFile(const NamelessFile&) = delete;
  NamelessFile& operator=(const NamelessFile&) = delete;
  ~NamelessFile() { ::close(descriptor_); }

  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  [[noreturn]] static void fail(const std::string& path, int error) {
    throw Error(ErrorCode::io_error, fmt::format("{}: cannot be made: {}, expected a folder for "
                                                 "temporary files (TMPDIR)",
                                                 path, std::strerror(error)));
  }
  static void remove(const std::string& folder) noexcept {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  int descriptor_ = -1;
};

}  // namespace

std::vector<GoldenText> default_texts() {
  return {
      {.text = "tea"},
      {.text = "The quick brown fox jumps over the lazy dog; 12 of them didn't."},
      {.text = "Ein Caf\u00e9 in Z\u00fcrich, \u6771\u4eac \u2014 \u041c\u043e\u0441\u043a\u0432"
               "\u0430: a na\u00efve plan costs \u20ac3.50!"}};
}

image::RgbImage default_image() {
  image::RgbImage image;
  image.resize(128, 96);
  for (Index y = 0; y < image.height; ++y) {
    for (Index x = 0; x < image.width; ++x) {
      std::uint8_t* const pixel = image.row(y) + 3 * x;
      const bool is_dark = (x / 16 + y / 16) % 2 == 0;
      pixel[0] = static_cast<std::uint8_t>(2 * x);
      pixel[1] = static_cast<std::uint8_t>(is_dark ? 255 - 2 * x : 5 * y / 2);
      pixel[2] = static_cast<std::uint8_t>((x * y) / 47 + (is_dark ? 0 : 1));
    }
  }
  return image;
}

std::vector<std::string> record(const VerifiedModel& model, const std::vector<GoldenText>& texts,
                                const std::vector<image::RgbImage>& images,
                                const RecordingOptions& options, const std::string& path) {
  RecordedInputs inputs;
  if (model.texts) add_texts(inputs, *model.texts, texts);
  if (model.images) add_images(inputs, *model.images, images);
  const NamelessFile file(inputs.tensors);
  const std::vector<ReferenceOutput::Tensor> outputs =
      compute_outputs(model, file.path(), options.isa, options.precision, options.threads, {});
  std::vector<std::string> left_out;
  for (const ReferenceOutput::Tensor& output : outputs) {
    if (output.values.size() > kMostNumbers) {
      left_out.push_back(output.name);
      continue;
    }
    inputs.tensors.push_back(tensor(output.name, StoredType::f32, output.shape, output.values));
  }
  Metadata metadata{{"made_by", options.made_by},
                    {"precision", option_name(options.precision)},
                    {"weights", sums_to_json(sums_of(*model.any().checkpoint))}};
  if (model.texts) {
    metadata.emplace("texts", texts_to_json(texts));
    metadata.emplace("max_tokens", cut_of(*model.texts));
  }
  if (!model.any().route.empty()) metadata.emplace("route", model.any().route);
  write_safetensors(path, inputs.tensors, metadata);
  return left_out;
}

void record_again(const GoldenVectors& vectors, const VerifiedModel& model,
                  const std::vector<GoldenText>& texts, const std::string& path) {
  std::vector<TensorToWrite> tensors;
  for (const StoredTensor& from : vectors.file.tensors()) {
    tensors.push_back({.name = from.name,
                       .type = from.type,
                       .shape = from.shape,
                       .data = {from.data, from.bytes}});
  }
  Metadata metadata = vectors.file.metadata();
  metadata["weights"] = sums_to_json(sums_of(*model.any().checkpoint));
  if (!texts.empty()) {
    metadata["texts"] = texts_to_json(texts);
    metadata["max_tokens"] = cut_of(*model.texts);
  }
  if (!model.any().route.empty()) metadata["route"] = model.any().route;
  write_safetensors(path, tensors, metadata);
}

}  // namespace tessera
