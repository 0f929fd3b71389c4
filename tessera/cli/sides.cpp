// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/sides.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tessera/pipeline/text_ranker.hpp"

namespace tessera::cli {
namespace {

/// Queries come one at a time, of as many tokens as the model takes: a batch for more is not held.
EncoderOptions one_at_a_time(EncoderOptions options, const models::Package& package) {
  options.batch_tokens = std::min(options.batch_tokens, package.max_tokens);
  options.batch_sequences = 1;
  return options;
}

/// Of a cap on both sides: what the longest query takes, at most half of what the weights leave.
std::size_t share_of_queries(const SidePackages& packages, const EncoderOptions& queries,
                             const EncoderOptions& documents, std::size_t cap) {
  const MemoryBytes wanted = memory_bytes(*packages.queries, queries, 1);
  const std::size_t weights =
      wanted.weights() + memory_bytes(*packages.documents, documents, 1).weights();
  if (weights >= cap) {
    throw Error(ErrorCode::out_of_memory,
                fmt::format("weights of queries and documents take {} bytes, expected less than "
                            "the memory cap {}",
                            weights, cap));
  }
  return wanted.weights() + std::min(wanted.arena, (cap - weights) / 2);
}

}  // namespace

SidePackages open_sides(const ModelFlags& model) {
  const auto open = [&](models::Route route) {
    return model.open_package(models::Tower::automatic, route);
  };
  SidePackages sides{.documents = open(models::Route::document), .queries = {}};
  if (!sides.documents->routes.empty()) sides.queries = open(models::Route::query);
  if (!sides.queries || sides.queries->route == sides.documents->route) {
    sides.queries = sides.documents;
    return sides;
  }
  const models::Package &documents = *sides.documents, &queries = *sides.queries;
  require_embedding(documents);
  require_embedding(queries);
  const Index expected = rank_output(documents).width, got = rank_output(queries).width;
  if (got == expected) return sides;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{}: embeddings of route \"{}\" have {} columns, expected {} as those of "
                          "\"{}\"",
                          model.model, queries.route, got, expected, documents.route));
}

SideEncoders::SideEncoders(const SidePackages& packages, const EncoderOptions& options) {
  if (packages.queries == packages.documents) {
    documents_.emplace(packages.documents, options);
    return;
  }
  EncoderOptions of_queries = options, of_documents = options;
  of_queries.session.plan = nullptr;
  const std::size_t cap = options.session.memory_cap_bytes;
  if (cap != 0) {
    of_queries = one_at_a_time(std::move(of_queries), *packages.queries);
    of_queries.session.memory_cap_bytes = share_of_queries(packages, of_queries, of_documents, cap);
    of_documents.session.memory_cap_bytes = cap - of_queries.session.memory_cap_bytes;
  }
  const auto open = [&](const char* side, const auto& package, const EncoderOptions& with) {
    try {
      return TextEncoder(package, with);
    } catch (const Error& error) {
      if (cap == 0 || error.code() != ErrorCode::out_of_memory) throw;
      throw Error(error.code(), fmt::format("the side of {}, memory cap {} divided between queries "
                                            "and documents: {}",
                                            side, cap, error.what()));
    }
  };
  documents_.emplace(open("documents", packages.documents, of_documents));
  queries_.emplace(open("queries", packages.queries, of_queries));
}

}  // namespace tessera::cli
