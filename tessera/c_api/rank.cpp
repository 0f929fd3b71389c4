// SPDX-License-Identifier: Apache-2.0
// Ranking: how well documents answer queries, by a reranker or by embeddings.
//
//   reranker   logit of (query, document) ─ activation of the model's files ─▶ score
//   embedder   vector of query, vectors of documents ─ similarity_fn_name ─▶ score
//   late interaction   vectors of their tokens ─ MaxSim ─▶ score
#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "runtime/base/float_environment.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/encode.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/text_parts.hpp"
#include "tessera/c_api/texts.hpp"
#include "tessera/pipeline/text_ranker.hpp"
#include "tessera/pipeline/token_vectors.hpp"
#include "tessera/pipeline/vector_index.hpp"

namespace tessera::c_api {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

struct Ranked {
  std::int64_t id = -1;  // -1: no document is left for this place
  float score = kLowest;
  float logit = kLowest;
};

/// What one call is about.
struct Ranking {
  SharedSession& session;
  const RunLimits& limits;
  const GivenTexts& queries;
  const GivenTexts& documents;
  std::size_t k;
  RankOutput output;
  ItemStatuses& items;  // of documents
  std::vector<unsigned char> query_cuts, document_cuts;
  std::vector<Ranked> ranks = {};  // (queries, k)

  const ModelObject& model() const { return *session.any().model; }
  Index max_rows() const { return session.any().session->options().max_rows; }
};

/// The rows of the texts that are computed, (kept, width).
std::vector<float> compute(const Ranking& r, const TokenizedTexts& tokens,
                           const ItemStatuses& items) {
  const std::vector<std::int64_t> offsets = items.kept_offsets(tokens.offsets);
  std::vector<float> rows(items.kept().size() * static_cast<std::size_t>(r.output.width));
  tessera_output out = TESSERA_OUTPUT_INIT;
  out.name = r.output.name;
  out.data = rows.data();
  out.capacity = rows.size();
  const Turn turn(r.session, r.limits);
  encode_sequences(turn.lane(), Sequences(tokens.ids, tokens.types, offsets, tokens.pool_from),
                   offsets, r.limits, &out, 1, items.kept().size(), {});
  return rows;
}

void merge_cuts(const std::vector<unsigned char>& cuts, std::vector<unsigned char>& all) {
  std::transform(cuts.begin(), cuts.end(), all.begin(), all.begin(),
                 [](auto a, auto b) { return static_cast<unsigned char>(a | b); });
}

void rank_pairs(Ranking& r) {
  TextOptions options = r.documents.options();
  const TextOptions first = r.queries.options();
  require(!first.truncation && !first.max_length,
          "queries.truncation and max_tokens are given, expected 0: a reranker reads pairs, which "
          "are cut as documents says");
  require(!r.queries.wants_cuts(),
          "queries.is_cut is given, expected NULL: a reranker reads pairs");
  require(!r.documents.has_prompt(),
          "documents.prompt is given, expected NULL: a reranker reads pairs, of which the query's "
          "prompt comes first");
  options.prompt = first.prompt;
  options.prompt_name = first.prompt_name;
  const TextInputs inputs(r.model().package(), options);
  for (std::size_t q = 0; q < r.queries.size(); ++q) {
    const PairFirst query = inputs.pair_start(r.queries.text(q));
    ItemStatuses every(nullptr, "document");
    ItemStatuses& items = r.items.are_wanted() ? r.items : every;
    items.begin(r.documents.size());
    TokenizedTextsBuilder pairs(items, r.max_rows(), r.limits);
    for (std::size_t d = 0; d < r.documents.size(); ++d) {
      const std::string_view document = r.documents.text(d);
      pairs.add([&] { return inputs.encode(query, document); });
    }
    const TokenizedTexts tokens = pairs.finish(r.model());
    merge_cuts(tokens.cuts, r.document_cuts);
    std::size_t at = q * r.k;
    for (const RankedText& rank :
         rank_logits(r.model().package(), compute(r, tokens, items), r.k)) {
      r.ranks[at++] = {.id = static_cast<std::int64_t>(items.kept()[rank.row]),
                       .score = static_cast<float>(rank.score),
                       .logit = *rank.logit};
    }
  }
}

void rank_token_vectors(Ranking& r) {
  const models::Package& package = r.model().package();
  const models::MultiVector& reads = package.multi_vector.value();
  const auto vectors_of = [&](const GivenTexts& texts, TextRole role, ItemStatuses& items,
                              std::vector<unsigned char>& cuts, const auto& take) {
    const TextInputs inputs(package, as(role, package, texts.options()));
    items.begin(texts.size());
    TextParts parts(r.session, items, r.limits);
    for (std::size_t t = 0; t < texts.size(); ++t) {
      parts.add([&] { return std::array{inputs.encode(texts.text(t))}; });
    }
    parts.compute(std::array{r.output.name});
    for (std::size_t t = 0; t < texts.size(); ++t) {
      for (std::size_t p = parts.begin(t); p < parts.end(t); ++p) {
        if (parts.encoding(p).is_cut) cuts[t] = 1;
        take(token_vectors(reads, parts.sequence(p), role, parts.output(p, 0)));
      }
    }
  };
  ItemStatuses every(nullptr, "query");
  std::vector<std::vector<float>> queries;
  vectors_of(r.queries, TextRole::query, every, r.query_cuts,
             [&](std::vector<float> vectors) { queries.push_back(std::move(vectors)); });
  MaxSimIndex index(r.output.width);
  vectors_of(r.documents, TextRole::document, r.items, r.document_cuts,
             [&](const std::vector<float>& vectors) { index.add(vectors); });
  const Isa isa = r.model().isa();
  for (std::size_t q = 0; q < queries.size(); ++q) {
    std::size_t at = q * r.k;
    for (const Hit& hit : index.find(queries[q], r.k, reads.is_mean, isa)) {
      r.ranks[at++] = {.id = static_cast<std::int64_t>(r.items.kept()[hit.row]),
                       .score = hit.score,
                       .logit = kLowest};
    }
  }
}

void rank_vectors(Ranking& r) {
  const models::Package& package = r.model().package();
  const auto inputs_of = [&](const GivenTexts& texts, TextRole role) {
    return TextInputs(package, as(role, package, texts.options()));
  };
  ItemStatuses every(nullptr, "query");
  const TokenizedTexts queries = tokenize(r.model(), inputs_of(r.queries, TextRole::query),
                                          r.queries, every, r.max_rows(), r.limits);
  const TokenizedTexts documents = tokenize(r.model(), inputs_of(r.documents, TextRole::document),
                                            r.documents, r.items, r.max_rows(), r.limits);
  merge_cuts(queries.cuts, r.query_cuts);
  merge_cuts(documents.cuts, r.document_cuts);
  std::vector<float> vectors = compute(r, queries, every);
  const VectorIndex index(compute(r, documents, r.items), r.output.width,
                          package.similarity_measure.value_or(models::SimilarityMeasure::cosine));
  const auto width = static_cast<std::size_t>(r.output.width);
  const std::size_t found = std::min(r.k, index.size());
  for (std::size_t q = 0; q < r.queries.size(); ++q) {
    std::size_t at = q * r.k;
    for (const Hit& hit : index.find(std::span(vectors).subspan(q * width, width), found)) {
      r.ranks[at++] = {.id = static_cast<std::int64_t>(r.items.kept()[hit.row]),
                       .score = hit.score,
                       .logit = kLowest};
    }
  }
}

}  // namespace
}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_rank_texts(tessera_session* session, const tessera_texts* queries,
                                  const tessera_texts* documents,
                                  const tessera_run_options* options, size_t k, int64_t* ids,
                                  float* scores, float* logits, size_t capacity) {
  return guard([&] {
    const FloatEnvironment floats;
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const RunLimits limits = read_run_options(options);
    const GivenTexts asked(queries, "queries"), searched(documents, "documents");
    require(!asked.has_pairs(), "queries.pairs is given, expected NULL");
    require(!searched.has_pairs(), "documents.pairs is given, expected NULL");
    require(searched.size() > 0, "documents.count is 0, expected at least 1");
    require(k >= 1 && k <= searched.size(), "k is {}, expected 1 to {} (documents)", k,
            searched.size());
    require(limits.item_status == nullptr || asked.size() == 1,
            "item_status is given with {} queries, expected 1, or NULL", asked.size());
    const models::Package& package = object->any().model->package();
    if (!package.routes.empty()) {
      throw Error(ErrorCode::unsupported_model,
                  fmt::format("session: got a model of route \"{}\" of a Router, whose queries and "
                              "documents take routes of their own, expected a model without; "
                              "tessera_compare() compares the embeddings of two models",
                              package.route));
    }
    const RankOutput output = rank_output(package);
    require(output.is_of_pairs || logits == nullptr,
            "logits is given, expected NULL: the model compares embeddings");
    std::size_t count = 0;
    require(!__builtin_mul_overflow(asked.size(), k, &count) && count <= capacity,
            "ids: capacity is {}, expected at least {} x {}", capacity, asked.size(), k);
    const std::span<std::int64_t> out_ids = checked_span(ids, count, "ids");
    const auto out_scores = checked_span(scores, scores == nullptr ? 0 : count, "scores");
    const auto out_logits = checked_span(logits, logits == nullptr ? 0 : count, "logits");

    ItemStatuses items(limits.item_status, "document");
    Ranking ranking{.session = *object,
                    .limits = limits,
                    .queries = asked,
                    .documents = searched,
                    .k = k,
                    .output = output,
                    .items = items,
                    .query_cuts = std::vector<unsigned char>(asked.size()),
                    .document_cuts = std::vector<unsigned char>(searched.size()),
                    .ranks = std::vector<Ranked>(count)};
    if (output.is_of_pairs) {
      rank_pairs(ranking);
    } else if (output.is_of_tokens) {
      rank_token_vectors(ranking);
    } else {
      rank_vectors(ranking);
    }
    items.write();
    asked.write_cuts(ranking.query_cuts);
    searched.write_cuts(ranking.document_cuts);
    for (std::size_t i = 0; i < count; ++i) {
      out_ids[i] = ranking.ranks[i].id;
      if (scores != nullptr) out_scores[i] = ranking.ranks[i].score;
      if (logits != nullptr) out_logits[i] = ranking.ranks[i].logit;
    }
  });
}
