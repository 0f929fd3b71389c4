// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/sides.hpp"

#include <fmt/format.h>

#include "tessera/pipeline/text_ranker.hpp"

namespace tessera::cli {

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

SideEncoders::SideEncoders(const SidePackages& packages, const EncoderOptions& options)
    : documents_(packages.documents, options) {
  if (packages.queries == packages.documents) return;
  EncoderOptions others = options;
  others.session.plan = nullptr;
  queries_.emplace(packages.queries, others);
}

}  // namespace tessera::cli
