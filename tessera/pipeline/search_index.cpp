// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/search_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/embedding_writer.hpp"

namespace tessera {
namespace {

constexpr std::size_t kWindow = 4096;  // entries that are tokenized and computed together

}  // namespace

std::vector<Entry> read_entries(const RecordInput& input,
                                const std::function<void(const BadRecord&)>& bad) {
  RecordReader reader(input.path, input.options);
  std::vector<Entry> entries;
  Record record;
  while (true) {
    try {
      if (!reader.next(record)) break;
    } catch (const BadRecord& error) {
      bad(error);
      continue;
    }
    if (record.text.empty()) continue;
    Entry entry{.line = record.line,
                .where = std::move(record.where),
                .text = std::move(record.text),
                .columns = std::move(record.columns),
                .id = std::move(record.id)};
    if (record.pair && entry.columns.empty()) entry.columns.push_back(std::move(*record.pair));
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: got no line with text, expected at least one to search in", input.path));
  }
  return entries;
}

std::vector<float> embed_entries(std::span<const Entry> entries, const TextInputs& texts,
                                 TextEncoder& encoder, const ProgressCallback& progress) {
  const auto step = static_cast<std::size_t>(encoder.width());
  const TokenSpec& spec = require_tokens(encoder.package().program);
  std::vector<float> rows(entries.size() * step);
  std::vector<TokenSequence> sequences;
  for (std::size_t begin = 0; begin < entries.size(); begin += kWindow) {
    const std::size_t count = std::min(kWindow, entries.size() - begin);
    sequences.clear();
    for (const Entry& entry : entries.subspan(begin, count)) {
      about(entry.where, [&] { sequences.push_back(to_sequence(spec, texts.encode(entry.text))); });
    }
    about_sequences([&](std::size_t i) { return entries[begin + i].where; },
                    [&] {
                      encoder.run(sequences, std::span(rows).subspan(begin * step, count * step),
                                  [&](std::size_t done, std::size_t) {
                                    if (progress) progress(begin + done, entries.size());
                                  });
                    });
  }
  return rows;
}

std::vector<float> load_rows(const std::string& path, Index width) {
  const NpyMatrix matrix = read_npy(path);
  if (matrix.width != width) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got rows of {} floats, expected {} as the model has features",
                            path, matrix.width, width));
  }
  const std::size_t count = matrix.rows * static_cast<std::size_t>(width);
  return {matrix.values.get(), matrix.values.get() + count};
}

}  // namespace tessera
