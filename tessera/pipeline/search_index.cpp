// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/search_index.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/embedding_writer.hpp"

namespace tessera {
namespace {

constexpr std::size_t kWindow = 4096;  // entries that are tokenized and computed together

}  // namespace

void SearchIndex::embed(const TextInputs& texts, TextEncoder& encoder,
                        const ProgressCallback& progress) {
  width = encoder.width();
  const auto step = static_cast<std::size_t>(width);
  const TokenSpec& spec = require_tokens(encoder.package().program);
  rows.assign(entries.size() * step, 0.0F);
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
  normalize_rows(rows, width);
}

void SearchIndex::load(const std::string& path, Index expected_width, const std::string& source) {
  const NpyMatrix matrix = read_npy(path);
  if (matrix.rows != entries.size() || matrix.width != expected_width) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: got {} rows of {} floats, expected {} rows of {} floats as {} has lines "
                    "with text and the model has features",
                    path, matrix.rows, matrix.width, entries.size(), expected_width, source));
  }
  width = expected_width;
  rows.assign(matrix.values.get(),
              matrix.values.get() + matrix.rows * static_cast<std::size_t>(width));
}

void SearchIndex::save(ByteSink& out) const {
  const auto step = static_cast<std::size_t>(width);
  const auto writer = MatrixWriter::create(MatrixFormat::npy, out, width);
  for (std::size_t begin = 0; begin < rows.size(); begin += step) {
    writer->write_row(std::span(rows).subspan(begin, step), std::nullopt);
  }
  writer->finish();
}

std::vector<Hit> SearchIndex::find(std::span<float> query, std::size_t count) const {
  normalize_rows(query, width);
  return best_rows(rows, query, count);
}

}  // namespace tessera
