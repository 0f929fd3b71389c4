// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/search_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/token_vectors.hpp"

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

namespace {

/// The entries [begin, end) whose texts the model takes, moved to `kept`, which counts on; what the
/// model reads of them goes to `take`.
template <class Take>
void keep_good(std::vector<Entry>& entries, std::size_t begin, std::size_t end, std::size_t& kept,
               const TextInputs& texts, const TextEncoder& encoder, const BadEntry& bad,
               Take&& take) {
  const TokenSpec& spec = require_tokens(encoder.package().program);
  const TextCheck check(encoder);
  for (std::size_t i = begin; i < end; ++i) {
    try {
      about(entries[i].where, [&] {
        TokenSequence sequence = to_sequence(spec, texts.encode(entries[i].text));
        check(sequence);
        take(std::move(sequence));
      });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      bad(error);
      continue;
    }
    if (kept != i) entries[kept] = std::move(entries[i]);
    ++kept;
  }
}

}  // namespace

std::vector<float> embed_entries(std::vector<Entry>& entries, const TextInputs& texts,
                                 TextEncoder& encoder, const BadEntry& bad,
                                 const ProgressCallback& progress) {
  const auto step = static_cast<std::size_t>(encoder.width());
  std::vector<float> rows;
  rows.reserve(entries.size() * step);
  std::vector<TokenSequence> sequences;
  std::size_t kept = 0;
  for (std::size_t begin = 0; begin < entries.size(); begin += kWindow) {
    const std::size_t first = kept, end = std::min(begin + kWindow, entries.size());
    sequences.clear();
    keep_good(entries, begin, end, kept, texts, encoder, bad,
              [&](TokenSequence sequence) { sequences.push_back(std::move(sequence)); });
    rows.resize(kept * step);
    encoder.run(sequences, std::span(rows).subspan(first * step),
                [&](std::size_t done, std::size_t) {
                  if (progress) progress(begin + done, entries.size());
                });
  }
  entries.resize(kept);
  if (entries.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "index: got no text that the model takes, expected at least one to search in");
  }
  return rows;
}

MaxSimIndex embed_entry_tokens(std::vector<Entry>& entries, const TextInputs& texts,
                               TextEncoder& encoder, VectorStore store, const BadEntry& bad,
                               const ProgressCallback& progress) {
  MaxSimIndex index(encoder.width(), store);
  const models::MultiVector& reads = encoder.package().multi_vector.value();
  std::vector<TokenSequence> sequences;
  std::vector<std::vector<float>> vectors;  // of sequences
  std::size_t kept = 0;
  for (std::size_t begin = 0; begin < entries.size(); begin += kWindow) {
    const std::size_t end = std::min(begin + kWindow, entries.size());
    sequences.clear();
    keep_good(entries, begin, end, kept, texts, encoder, bad,
              [&](TokenSequence sequence) { sequences.push_back(std::move(sequence)); });
    vectors.assign(sequences.size(), {});
    encoder.run(
        sequences,
        [&](std::size_t s, Results results) {
          vectors[s] = token_vectors(reads, sequences[s], TextRole::document, results[0]);
        },
        [&](std::size_t done, std::size_t) {
          if (progress) progress(begin + done, entries.size());
        });
    for (const std::vector<float>& each : vectors) index.add(each);
  }
  entries.resize(kept);
  if (entries.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "index: got no text that the model takes, expected at least one to search in");
  }
  return index;
}

void leave_out_bad_entries(std::vector<Entry>& entries, const TextInputs& texts,
                           const TextEncoder& encoder, const BadEntry& bad) {
  std::size_t kept = 0;
  keep_good(entries, 0, entries.size(), kept, texts, encoder, bad, [](const TokenSequence&) {});
  entries.resize(kept);
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
