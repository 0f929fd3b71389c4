// SPDX-License-Identifier: Apache-2.0
//
// Routers: which route is taken, that its modules are those of a directory of their own, and what is
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/models/checkpoint_copy.hpp"
#include "tests/models/sentence/static_directory.hpp"

namespace tessera::test {
namespace {

using models::Package;
using models::Route;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::vector<std::vector<std::int32_t>> kSequences{{4, 5, 4, 8}, {7, 3}, {6}};

/// A Router of static embeddings, one per route, whose tables differ.
class RouterTest : public testing::Test {
 protected:
  static constexpr std::int64_t kWidth = 6;

  void SetUp() override {
    write_modules("");
    for (const char* route : {"query", "document", "text", "other"}) {
      write_static(directory_ / id(route), table(route));
    }
    write_config(R"("query": ["query_0_StaticEmbedding"],
                    "document": ["document_0_StaticEmbedding"])",
                 R"("default_route": "document")");
  }
  static std::string id(const std::string& route) { return route + "_0_StaticEmbedding"; }
  static Tensor table(const std::string& route) {
    return static_table(kWidth, std::hash<std::string>{}(route));
  }
  void write_modules(const std::string& more) {
    directory_.write(
        "modules.json",
        fmt::format("[{}{}]", module_json("sentence_transformers.models.Router", ""), more));
  }
  void write_config(const std::string& structure, const std::string& parameters) {
    std::string types;
    for (const char* route : {"query", "document", "text", "other"}) {
      types += fmt::format("{}\"{}\": \"sentence_transformers.models.StaticEmbedding\"",
                           types.empty() ? "" : ", ", id(route));
    }
    directory_.write(
        "router_config.json",
        fmt::format(R"({{"types": {{{}}}, "structure": {{{}}}, "parameters": {{{}}}}})", types,
                    structure, parameters));
  }
  Package open(Route route = Route::automatic) const {
    models::PackageOptions options;
    options.route = route;
    return models::open_package(directory_.path(), options);
  }
  std::string error(Route route = Route::automatic) const {
    return error_of([&] { open(route); });
  }
  /// Whose table the embedding of `route` is of.
  std::string taken(Route route) const {
    const Package package = open(route);
    const Matrix got = compute(package, {{4}}).at("embedding");
    for (const char* name : {"query", "document", "text", "other"}) {
      const Tensor rows = table(name);
      const std::vector<double> row(rows.data.begin() + 4 * kWidth, rows.data.begin() + 5 * kWidth);
      if (got.at(0) == row) return package.route == name ? name : "named otherwise";
    }
    return "none";
  }

  TemporaryDirectory directory_;
};

TEST_F(RouterTest, TheRouteIsThatOfTheTask) {
  EXPECT_EQ(taken(Route::query), "query");
  EXPECT_EQ(taken(Route::document), "document");
  EXPECT_EQ(taken(Route::automatic), "document");
  EXPECT_THAT(open().routes, ElementsAre("query", "document"));
}

TEST_F(RouterTest, WithoutATaskItIsTheDefaultOrTheFirst) {
  const std::string structure = R"("query": ["query_0_StaticEmbedding"],
                                   "document": ["document_0_StaticEmbedding"])";
  write_config(structure, R"("default_route": "query")");
  EXPECT_EQ(taken(Route::automatic), "query");
  write_config(structure, R"("default_route": null, "allow_empty_key": true)");
  EXPECT_EQ(taken(Route::automatic), "query");
  write_config(structure, R"("default_route": null, "allow_empty_key": false)");
  EXPECT_EQ(error(),
            "invalid_argument: router_config.json: route: got none, with allow_empty_key false and "
            "no default_route, expected one of query, document to be asked for (--as "
            "query|document)");
  EXPECT_EQ(taken(Route::query), "query");
  EXPECT_EQ(taken(Route::document), "document");
  write_config(structure, R"("default_route": "document", "allow_empty_key": false)");
  EXPECT_EQ(taken(Route::automatic), "document");
  write_config(structure,
               R"x("allow_empty_key": false, "route_mappings": {"(None, None)": "query"})x");
  EXPECT_EQ(taken(Route::automatic), "query") << "a mapping is asked before";
  for (const Route route : {Route::automatic, Route::query, Route::document}) {
    write_config(structure, R"("default_route": "passage")");
    EXPECT_EQ(error(route),
              "corrupt_file: router_config.json parameters: \"default_route\" is \"passage\", "
              "expected one of query, document");
  }
}

TEST_F(RouterTest, MappingsComeBeforeNamesTheClosestFirst) {
  const std::string structure = R"("query": ["query_0_StaticEmbedding"],
                                   "document": ["document_0_StaticEmbedding"],
                                   "text": ["text_0_StaticEmbedding"],
                                   "other": ["other_0_StaticEmbedding"])";
  const auto expect = [&](const std::string& mappings, const std::string& query,
                          const std::string& document, const std::string& automatic) {
    write_config(structure, "\"default_route\": \"other\", \"route_mappings\": {" + mappings + "}");
    EXPECT_EQ(taken(Route::query), query) << mappings;
    EXPECT_EQ(taken(Route::document), document) << mappings;
    EXPECT_EQ(taken(Route::automatic), automatic) << mappings;
  };
  expect("", "query", "document", "text");
  expect(R"x("('query', 'text')": "other", "('query', None)": "text")x", "other", "document",
         "text");
  expect(R"x("('query', None)": "other", "(None, 'text')": "query")x", "other", "query", "query");
  expect(R"x("(None, None)": "other", "(None, 'text')": "query")x", "query", "query", "query");
  expect(R"x("(None, None)": "other", "(None, 'image')": "query")x", "other", "other", "other");
  write_config(structure, R"x("route_mappings": {"(None, 'text')": "missing"})x");
  const auto is_refused = AllOf(StartsWith("corrupt_file: router_config.json parameters: "
                                           "\"route_mappings\" is "),
                                HasSubstr("expected routes of query, document, text, other"));
  EXPECT_THAT(error(), is_refused);
  // Also one that no text takes.
  write_config(structure, R"x("default_route": "query", "route_mappings": {
    "(None, 'text')": "text", "(None, 'image')": "missing"})x");
  for (const Route route : {Route::automatic, Route::query}) EXPECT_THAT(error(route), is_refused);
}

TEST_F(RouterTest, ARouteThatIsNotThereIsNamed) {
  write_config(R"("passage": ["other_0_StaticEmbedding"])", R"("default_route": "passage")");
  EXPECT_EQ(open().route, "passage");
  EXPECT_EQ(error(Route::query),
            "not_found: router_config.json: route: got \"query\", expected one of passage");
}

TEST_F(RouterTest, ModulesBehindItAreOfEveryRoute) {
  write_modules(", " + module_json("sentence_transformers.models.Normalize", "1_Normalize"));
  for (const Route route : {Route::query, Route::document}) {
    const Package package = open(route);
    EXPECT_EQ(package.embedding_description, "mean of the rows of the tokens, normalised");
    const Matrix embedded = compute(package, kSequences).at("embedding");
    ASSERT_EQ(embedded.size(), kSequences.size());
    for (const auto& row : embedded) {
      double sum = 0.0;
      for (const double v : row) sum += v * v;
      EXPECT_NEAR(sum, 1.0, 1e-6);
    }
  }
}

TEST_F(RouterTest, ARouteMayBeATransformer) {
  CheckpointCopy("bert-model").write(directory_ / "document_0_Transformer");
  directory_.write("document_1_Pooling/config.json",
                   R"({"embedding_dimension": 48, "pooling_mode": "max"})");
  directory_.write("router_config.json", R"({
    "types": {"query_0_StaticEmbedding": "sentence_transformers.models.StaticEmbedding",
              "document_0_Transformer": "sentence_transformers.base.modules.transformer.Transformer",
              "document_1_Pooling": "sentence_transformers.models.Pooling"},
    "structure": {"query": ["query_0_StaticEmbedding"],
                  "document": ["document_0_Transformer", "document_1_Pooling"]},
    "parameters": {"default_route": null}})");
  const Package package = open(Route::document);
  EXPECT_EQ(package.architecture, "BertModel");
  EXPECT_EQ(package.embedding_description, "max pooling");
  const Results results = compute(package, kSequences);
  Matrix largest;
  std::size_t begin = 0;
  for (const auto& sequence : kSequences) {
    std::vector<double> row = results.at("last_hidden_state")[begin];
    for (std::size_t t = 1; t < sequence.size(); ++t) {
      for (std::size_t j = 0; j < row.size(); ++j) {
        row[j] = std::max(row[j], results.at("last_hidden_state")[begin + t][j]);
      }
    }
    largest.push_back(row);
    begin += sequence.size();
  }
  EXPECT_EQ(max_difference(results.at("embedding"), largest), 0.0);
  EXPECT_EQ(open(Route::query).architecture, "StaticEmbedding");
}

TEST_F(RouterTest, AsymIsItsOlderNameAndConfigJsonItsOlderFile) {
  directory_.write("modules.json", modules_json({{"Asym", "0_Asym"}}));
  write_static(directory_ / "0_Asym/140", table("other"));
  directory_.write("0_Asym/config.json", R"({
    "types": {"140": "sentence_transformers.models.StaticEmbedding"},
    "structure": {"other": ["140"]}, "parameters": {"allow_empty_key": true}})");
  EXPECT_EQ(taken(Route::automatic), "other");
  EXPECT_THAT(error(Route::document), StartsWith("not_found: 0_Asym/config.json: route: got "));
}

TEST_F(RouterTest, AModelWithoutARouterReadsAllTextsAlike) {
  directory_.write("modules.json", modules_json({{"StaticEmbedding", id("text")}}));
  const Matrix automatic = compute(open(), kSequences).at("embedding");
  EXPECT_EQ(compute(open(Route::query), kSequences).at("embedding"), automatic);
  EXPECT_TRUE(open(Route::query).routes.empty());
}

TEST_F(RouterTest, WhatIsNoRouteIsRefused) {
  write_config(R"("query": [], "document": ["document_0_StaticEmbedding"])", "");
  EXPECT_THAT(error(Route::query), AllOf(StartsWith("corrupt_file: router_config.json structure: "
                                                    "\"query\" is "),
                                         HasSubstr("expected one module at least")));
  EXPECT_EQ(error(Route::document), "");
  write_config("", "");
  EXPECT_THAT(error(), AllOf(StartsWith("corrupt_file: router_config.json: \"structure\" is "),
                             HasSubstr("expected an object with a list of modules per route")));
  write_config(R"("query": ["nothing"])", "");
  EXPECT_THAT(error(), AllOf(StartsWith("corrupt_file: router_config.json types: \"nothing\" is "),
                             HasSubstr("expected the class of a module of route \"query\"")));
  std::filesystem::remove(directory_ / "router_config.json");
  EXPECT_THAT(error(), StartsWith("not_found: router_config.json: no such file"));

  const auto error_of_type = [&](const std::string& name, const std::string& type) {
    directory_.write("router_config.json",
                     fmt::format(R"({{"types": {{"{}": "{}"}}, "structure": {{"query": ["{}"]}}}})",
                                 name, type, name));
    return error();
  };
  EXPECT_THAT(error_of_type("a", "sentence_transformers.models.BoW"),
              AllOf(StartsWith("unsupported_model: router_config.json types: \"a\" is "),
                    HasSubstr("BoW"), HasSubstr("StaticEmbedding")));
  EXPECT_THAT(error_of_type("a", "sentence_transformers.models.Router"),
              HasSubstr("expected no Router within a Router"));
  EXPECT_THAT(error_of_type("../elsewhere", "sentence_transformers.models.StaticEmbedding"),
              AllOf(StartsWith("corrupt_file: router_config.json types: \"../elsewhere\" is "),
                    HasSubstr("expected a directory below that of modules.json")));
  write_modules(", " + module_json("sentence_transformers.models.Router", "other"));
  write_config(R"("query": ["query_0_StaticEmbedding"])", "");
  EXPECT_THAT(error(), AllOf(StartsWith("unsupported_model: modules.json[1]: \"type\" is "),
                             HasSubstr("expected one Router")));
  write_modules(", " + module_json("sentence_transformers.models.MultiVectorMask", "1_M"));
  EXPECT_THAT(error(), StartsWith("unsupported_model: modules.json: late interaction behind a "
                                  "Router, expected a Transformer"));
}

}  // namespace
}  // namespace tessera::test
