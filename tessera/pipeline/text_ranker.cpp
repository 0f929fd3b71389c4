// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/text_ranker.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/token_vectors.hpp"

namespace tessera {
namespace {

TextOptions options_of_query(const models::Package& package, bool is_of_pairs,
                             const TextOptions& query, const TextOptions& documents) {
  if (!is_of_pairs) return as(TextRole::query, package, query);
  if (documents.prompt || documents.prompt_name) {
    throw Error(ErrorCode::invalid_argument,
                "prompt of documents: got one, expected none: a reranker reads pairs, of which the "
                "query's prompt comes first");
  }
  return query;
}

}  // namespace

RankOutput rank_output(const models::Package& package) {
  const Program& program = package.program;
  const auto width_of = [&](Index output) {
    const auto o = static_cast<std::size_t>(output);
    return program.values[static_cast<std::size_t>(program.outputs[o].value)].width;
  };
  const Index tokens = program.find_output(models::kTokenVectors);
  if (tokens != kNone) return {models::kTokenVectors, width_of(tokens), false, true};
  const Index logits = program.find_output("logits"), embedding = program.find_output("embedding");
  const bool classifies = package.task == models::Task::sequence_classification && logits != kNone;
  const bool chooses = package.task == models::Task::multiple_choice;
  if ((classifies && width_of(logits) == 1) || chooses) return {"logits", 1, true};
  if (package.top_k > 0) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{} ranks no texts: got top_k {}, expected 0: embeddings are compared "
                            "whole",
                            package.architecture, package.top_k));
  }
  // Qwen3-Reranker is published so: it answers yes or no, and the mean of its states ranks nothing.
  if (package.architecture.ends_with("ForCausalLM") && !package.embedding_from_files) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format(
            "{} ranks no texts: got a language model without an embedding of its own, expected "
            "a tokenizer with \"yes\" and \"no\" and no class asked for (Qwen3-Reranker), a "
            "modules.json, or a pooling that is asked for",
            package.architecture));
  }
  if (!classifies && embedding != kNone) return {"embedding", width_of(embedding), false};
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{} ranks no texts: got {}, expected one logit (a reranker), a "
                          "multiple choice or an embedding",
                          package.architecture,
                          classifies ? fmt::format("{} labels", width_of(logits))
                                     : listed_outputs(program)));
}

std::vector<RankedText> rank_logits(const models::Package& package, std::span<const float> logits,
                                    std::size_t count) {
  std::vector<double> scores;
  if (package.task == models::Task::multiple_choice) {
    scores = softmax(logits);
  } else {
    const Scoring scoring(package, 1);
    for (const float& logit : logits) scores.push_back(scoring(std::span(&logit, 1))[0]);
  }
  for (double& score : scores) {
    if (std::isnan(score)) score = -std::numeric_limits<double>::infinity();
  }
  std::vector<RankedText> ranks;
  for (const std::size_t i : ranked(scores, count)) {
    ranks.push_back({.row = i, .score = scores[i], .logit = logits[i]});
  }
  return ranks;
}

TextRanker::TextRanker(TextEncoder& encoder, TextEncoder& query_encoder, const TextOptions& query,
                       const TextOptions& documents, VectorStore store)
    : encoder_(encoder),
      query_encoder_(query_encoder),
      output_(rank_output(encoder.package())),
      query_inputs_(
          query_encoder.package(),
          options_of_query(query_encoder.package(), output_.is_of_pairs, query, documents)),
      store_(store) {
  if (output_.is_of_pairs) return;
  document_inputs_.emplace(encoder.package(), as(TextRole::document, encoder.package(), documents));
}

void TextRanker::take(std::vector<Entry> entries, const BadEntry& bad,
                      const ProgressCallback& progress) {
  entries_ = std::move(entries);
  if (output_.is_of_pairs) return;
  if (output_.is_of_tokens) {
    token_vectors_ =
        embed_entry_tokens(entries_, *document_inputs_, encoder_, store_, bad, progress);
    return;
  }
  const auto measure =
      encoder_.package().similarity_measure.value_or(models::SimilarityMeasure::cosine);
  vectors_ = VectorIndex(embed_entries(entries_, *document_inputs_, encoder_, bad, progress),
                         encoder_.width(), measure);
}

std::vector<RankedText> TextRanker::rank(std::string_view query, std::size_t count,
                                         const BadEntry& bad, const ProgressCallback& progress) {
  if (output_.is_of_pairs) return rank_pairs(query, count, bad, progress);
  const TokenSequence sequence =
      to_sequence(require_tokens(query_encoder_.package().program), query_inputs_.encode(query));
  std::vector<Hit> hits;
  if (output_.is_of_tokens) {
    const models::MultiVector& reads = encoder_.package().multi_vector.value();
    std::vector<float> vectors;
    encoder_.run(std::span(&sequence, 1), [&](std::size_t, Results results) {
      vectors = token_vectors(reads, sequence, TextRole::query, results[0]);
    });
    hits = token_vectors_->find(vectors, count, reads.is_mean, encoder_.model().isa());
  } else {
    std::vector<float> vector(static_cast<std::size_t>(query_encoder_.width()));
    query_encoder_.run(std::span(&sequence, 1), vector);
    hits = vectors_.find(vector, std::min(count, vectors_.size()));
  }
  std::vector<RankedText> ranks;
  for (const Hit& hit : hits) {
    ranks.push_back({.row = hit.row, .score = static_cast<double>(hit.score)});
  }
  return ranks;
}

std::vector<RankedText> TextRanker::rank_pairs(std::string_view query, std::size_t count,
                                               const BadEntry& bad,
                                               const ProgressCallback& progress) {
  const Program& program = encoder_.package().program;
  const TokenSpec& spec = require_tokens(program);
  const TextCheck check(encoder_);
  const PairFirst start = query_inputs_.pair_start(query);
  std::vector<TokenSequence> sequences;
  std::vector<std::size_t> rows;  // of sequences
  for (std::size_t row = 0; row < entries_.size(); ++row) {
    try {
      about(entries_[row].where, [&] {
        TokenSequence sequence = to_sequence(spec, query_inputs_.encode(start, entries_[row].text));
        check(sequence);
        sequences.push_back(std::move(sequence));
        rows.push_back(row);
      });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      bad(error);
    }
  }
  std::vector<float> logits(sequences.size());
  encoder_.run(sequences, logits, progress);
  std::vector<RankedText> ranks = rank_logits(encoder_.package(), logits, count);
  for (RankedText& rank : ranks) rank.row = rows[rank.row];
  return ranks;
}

}  // namespace tessera
