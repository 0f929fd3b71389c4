// SPDX-License-Identifier: Apache-2.0
// Documents by how well they answer a query, by what a model is.
//
//   reranker (one logit)   logit of (query, document) ─ activation of the model's files ─▶ score
//   multiple choice        likewise; softmax over the documents, of which one is the answer
//   embedder               vector of query, vectors of documents ─ similarity_fn_name ─▶ score
//   late interaction       vectors of their tokens ─ MaxSim ─▶ score
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/scoring.hpp"
#include "tessera/pipeline/search_index.hpp"

namespace tessera {

/// The output that a model ranks texts by.
struct RankOutput {
  const char* name;  ///< "logits", "embedding" or "token_embeddings"
  Index width;
  bool is_of_pairs;  ///< a reranker or a multiple choice: it reads query and document together
  bool is_of_tokens = false;  ///< late interaction
};
/// Throws Error{unsupported_model} for a model that has none of them.
RankOutput rank_output(const models::Package& package);

struct RankedText {
  std::size_t row;  ///< of the documents
  double score;
  std::optional<float> logit = {};  ///< of a reranker
};

/// The `count` best of a reranker's logits by their scores, falling, ties by place; NaN comes last.
std::vector<RankedText> rank_logits(const models::Package& package, std::span<const float> logits,
                                    std::size_t count);

class TextRanker {
 public:
  /// `encoder` computes rank_output() of documents, `query_encoder` that of queries: the same one but
  /// where a Router has a route for each. Both outlive the object. `query`, `documents`: of embedders,
  /// with the prompts that the model's files have for them unless one is chosen. A reranker cuts pairs
  /// as `query` says, after its prompt; a prompt of `documents` is Error{invalid_argument}.
  /// `store`: of late interaction, how the vectors of documents are kept.
  TextRanker(TextEncoder& encoder, TextEncoder& query_encoder, const TextOptions& query,
             const TextOptions& documents, VectorStore store = VectorStore::f32);

  /// What is ranked from now on. An embedder embeds them here: those that it does not take leave
  /// `entries`, and `bad` is told.
  void take(std::vector<Entry> entries, const BadEntry& bad, const ProgressCallback& progress = {});
  const std::vector<Entry>& entries() const noexcept { return entries_; }

  /// The `count` best, falling, ties by row. `bad` is told of documents that the model does not take
  /// beside this query. Throws Error{invalid_argument} for a query that it does not take.
  std::vector<RankedText> rank(std::string_view query, std::size_t count, const BadEntry& bad,
                               const ProgressCallback& progress = {});

  const TextInputs& query_inputs() const noexcept { return query_inputs_; }
  /// Of an embedder.
  const TextInputs& document_inputs() const noexcept { return *document_inputs_; }
  bool reads_pairs() const noexcept { return output_.is_of_pairs; }
  /// Of late interaction.
  const MaxSimIndex& token_index() const noexcept { return *token_vectors_; }

 private:
  std::vector<RankedText> rank_pairs(std::string_view query, std::size_t count, const BadEntry& bad,
                                     const ProgressCallback& progress);

  TextEncoder &encoder_, &query_encoder_;
  RankOutput output_;
  TextInputs query_inputs_;
  std::optional<TextInputs> document_inputs_;
  std::vector<Entry> entries_;
  VectorIndex vectors_;
  VectorStore store_;
  std::optional<MaxSimIndex> token_vectors_;  // of late interaction
};

}  // namespace tessera
