// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/search_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

constexpr std::size_t kWindow = 4096;  // entries that are tokenized and computed together

}  // namespace

void SearchIndex::embed(const TextInputs& texts, TextEncoder& encoder,
                        const ProgressCallback& progress) {
  const auto step = static_cast<std::size_t>(encoder.width());
  const TokenSpec& spec = encoder.package().program.tokens;
  std::vector<float> rows(entries.size() * step);
  std::vector<TokenSequence> sequences;
  for (std::size_t begin = 0; begin < entries.size(); begin += kWindow) {
    const std::size_t count = std::min(kWindow, entries.size() - begin);
    sequences.clear();
    for (const Entry& entry : std::span(entries).subspan(begin, count)) {
      try {
        sequences.push_back(to_sequence(spec, texts.encode(entry.text)));
        check_sequence(spec, sequences.back());
      } catch (const Error& e) {
        throw Error(e.code(), entry.where + ": " + e.what());
      }
    }
    encoder.run(sequences, std::span(rows).subspan(begin * step, count * step),
                [&](std::size_t done, std::size_t) {
                  if (progress) progress(begin + done, entries.size());
                });
  }
  vectors = VectorIndex(std::move(rows), encoder.width());
}

void SearchIndex::load(const std::string& path, Index expected_width, const std::string& source) {
  VectorIndex loaded = VectorIndex::load(path);
  if (loaded.size() != entries.size() || loaded.width() != expected_width) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: got {} rows of {} floats, expected {} rows of {} floats as {} has lines "
                    "with text and the model has features",
                    path, loaded.size(), loaded.width(), entries.size(), expected_width, source));
  }
  vectors = std::move(loaded);
}

}  // namespace tessera
