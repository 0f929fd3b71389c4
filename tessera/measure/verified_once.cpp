// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/verified_once.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {
namespace {

constexpr std::size_t kMostProblems = 8;  // that are said of one kind

void add_problem(VerifiedOnce& once, std::string problem) {
  if (once.problems.size() < kMostProblems) {
    once.problems.push_back(std::move(problem));
  } else if (once.problems.size() == kMostProblems) {
    once.problems.emplace_back("and more");
  }
}

image::RgbImage image_of(const StoredTensor& tensor) {
  image::RgbImage image;
  image.resize(tensor.shape[1], tensor.shape[0]);
  std::memcpy(image.pixels.data(), tensor.data, tensor.bytes);
  return image;
}

}  // namespace

VerifiedOnce verified_texts(const models::Package& package, const GoldenVectors& vectors,
                            const ReferenceInput& input) {
  VerifiedOnce once{.count = vectors.texts.size(), .problems = {}};
  if (once.count == 0) return once;
  if (std::cmp_not_equal(once.count, input.sequences)) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: metadata \"texts\" has {}, expected {}, a text for each sequence",
                            vectors.path, once.count, input.sequences));
  }
  if (vectors.max_tokens != 0 && vectors.max_tokens != package.max_tokens) {
    add_problem(once, fmt::format("texts are cut at {} tokens, expected {}", package.max_tokens,
                                  vectors.max_tokens));
  }
  const bool has_types = require_tokens(package.program).type_vocab_size > 0 &&
                         vectors.file.find("token_type_ids") != nullptr;
  TextOptions no_prompt;
  no_prompt.prompt = std::string();
  const TextInputs inputs(package, no_prompt);
  for (std::size_t s = 0; s < once.count; ++s) {
    const GoldenText& golden = vectors.texts[s];
    const std::optional<std::string_view> pair =
        golden.pair ? std::optional<std::string_view>(*golden.pair) : std::nullopt;
    const text::Encoding encoding = inputs.encode(golden.text, pair);
    const TokenSequence& expected = input.tokens[s];
    if (encoding.ids != expected.ids) {
      add_problem(once, fmt::format("text {}: got the tokens {}, expected {}", s,
                                    fmt::join(encoding.ids, " "), fmt::join(expected.ids, " ")));
    } else if (has_types && encoding.type_ids != expected.types) {
      add_problem(once,
                  fmt::format("text {}: got the token types {}, expected {}", s,
                              fmt::join(encoding.type_ids, " "), fmt::join(expected.types, " ")));
    }
  }
  return once;
}

VerifiedOnce verified_images(const models::Package& package, const GoldenVectors& vectors,
                             const ReferenceImages& images) {
  VerifiedOnce once{.count = vectors.images.size(), .problems = {}};
  if (once.count == 0) return once;
  const image::Preprocessor preprocessor(
      image::read_preprocessor_config(package.transformer_directory, package.model_type));
  for (const auto& [number, tensor] : vectors.images) {
    if (std::cmp_greater_equal(number, images.count)) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: got image.{}, expected at most image.{}, as pixel_values has",
                              vectors.path, number, images.count - 1));
    }
    const std::vector<float> got = pixel_values(preprocessor, image_of(tensor));
    const std::size_t size = images.values.size() / static_cast<std::size_t>(images.count);
    const auto expected = std::span(images.values).subspan(number * size, size);
    double most = got.size() == size ? 0 : HUGE_VAL;
    for (std::size_t i = 0; i < size && got.size() == size; ++i) {
      most =
          std::max(most, std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i])));
    }
    if (most <= kPixelBound) continue;
    add_problem(once, fmt::format("image {}: pixels are off by {:.2e}, expected at most {:.0e}",
                                  number, most, kPixelBound));
  }
  return once;
}

VerifiedOnce verified_weights(const GoldenVectors& vectors, const Checkpoint& checkpoint) {
  VerifiedOnce once{.count = vectors.weights.size(), .problems = {}};
  if (once.count == 0) return once;
  const WeightSums sums = sums_of(checkpoint);
  for (const auto& [name, expected] : vectors.weights) {
    const auto found = sums.find(name);
    if (found == sums.end()) {
      add_problem(once, fmt::format("{}: is not in the checkpoint any more", name));
    } else if (found->second != expected) {
      add_problem(once, fmt::format("{}: its bytes are others (checksum {}, expected {})", name,
                                    found->second, expected));
    }
  }
  for (const auto& [name, sum] : sums) {
    if (!vectors.weights.contains(name)) {
      add_problem(once, fmt::format("{}: was not in the checkpoint", name));
    }
  }
  return once;
}

std::vector<float> pixel_values(const image::Preprocessor& preprocessor,
                                const image::RgbImage& image) {
  image::Preprocessor::Workspace workspace;
  image::PreparedImage out;
  preprocessor.run(image, workspace, out);
  if (preprocessor.config().keeps_fractions) return out.planes;
  const std::vector<float>& table = preprocessor.values();  // (3, 256)
  const auto area = static_cast<std::size_t>(out.height * out.width);
  std::vector<float> values(3 * area);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < area; ++i) {
      values[c * area + i] = table[c * 256 + out.bytes.pixels[i * 3 + c]];
    }
  }
  return values;
}

}  // namespace tessera
