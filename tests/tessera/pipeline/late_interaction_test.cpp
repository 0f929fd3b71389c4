// SPDX-License-Identifier: Apache-2.0
// ColBERT: the conformance case at every level, and the three ways in which directories say the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/base/error.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/text_inputs.hpp"
#include "tessera/pipeline/token_vectors.hpp"
#include "tests/golden/compare_run.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tensors.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

const fs::path kCase = fs::path(TESSERA_SOURCE_DIR) / "tests/golden/data/colbert-bert";

std::vector<float> vectors_of(TextEncoder& encoder, const TokenSequence& sequence, TextRole role) {
  std::vector<float> vectors;
  encoder.run(std::span(&sequence, 1), [&](std::size_t, Results results) {
    vectors = token_vectors(*encoder.package().multi_vector, sequence, role, results[0]);
  });
  return vectors;
}

EncoderOptions at(Isa isa) {
  EncoderOptions options;
  options.model.isa = isa;
  options.session.outputs = {models::kTokenVectors};
  return options;
}

class LateInteractionTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(LateInteractionTest);

TEST_P(LateInteractionTest, VectorsOfTheConformanceCaseAreTheReferences) {
  models::Package package = models::open_package(kCase);
  EXPECT_EQ(package.architecture, "HF_ColBERT");
  ASSERT_TRUE(package.multi_vector.has_value());
  package.multi_vector->skipped = {11, 12, 13};
  const TokenSpec spec = require_tokens(package.program);
  TextEncoder encoder(std::make_shared<const models::Package>(std::move(package)), at(GetParam()));
  std::size_t compared = 0, unattended = 0;
  for (const std::string run :
       {"", "left_pad.", "max_len.", "query_mask_tokens.", "seq1.", "single."}) {
    const auto open = [&](const char* what) {
      return SafetensorsFile::open(kCase / (what + run + "safetensors"));
    };
    const SafetensorsFile given = open("inputs."), expected = open("embeddings.");
    const StoredInputs inputs = read_inputs(given);
    for (const auto& [name, role] : {std::pair{"query_vectors", TextRole::query},
                                     std::pair{"document_vectors", TextRole::document}}) {
      const std::vector<float> all = elements_of<float>(*expected.find(name));
      const auto width = static_cast<std::size_t>(encoder.width());
      for (Index s = 0; s < inputs.sequences; ++s) {
        text::Encoding encoding;
        std::vector<float> rows;
        Ids positions;
        for (Index t = 0; t < inputs.tokens; ++t) {
          const auto i = static_cast<std::size_t>(s * inputs.tokens + t);
          const bool attended = inputs.mask.empty() || inputs.mask[i] == 1;
          const bool is_filled = run == "query_mask_tokens.";
          if (!attended && !(is_filled && role == TextRole::query)) continue;
          const auto id = static_cast<std::int32_t>(inputs.ids[i]);
          encoding.ids.push_back(id);
          positions.push_back(static_cast<std::int32_t>(t));
          if (!attended) ++encoding.unattended;
          if (role == TextRole::document && id >= 11 && id <= 13) continue;
          rows.insert(rows.end(), all.begin() + static_cast<std::ptrdiff_t>(i * width),
                      all.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
        }
        unattended += static_cast<std::size_t>(encoding.unattended);
        encoding.type_ids.assign(encoding.size(), 0);
        TokenSequence sequence = to_sequence(spec, encoding);
        if (run == "left_pad.") sequence.positions = positions;
        const std::vector<float> vectors = vectors_of(encoder, sequence, role);
        ASSERT_EQ(vectors.size(), rows.size()) << run << name;
        EXPECT_LE(distance(vectors, rows), kGoldenTolerance) << run << name << s;
        compared += vectors.size() / width;
      }
    }
  }
  EXPECT_GT(compared, 200U);
  EXPECT_GT(unattended, 20U);
}

TEST(LateInteractionSequenceTest, TokensThatNobodyAttendsToComeFirstAndStandWhereTheyStood) {
  text::Encoding encoding;
  encoding.ids = {5, 6, 4, 4};
  encoding.unattended = 2;
  const TokenSequence sequence = to_sequence({.vocab_size = 10, .max_tokens = 8}, encoding);
  EXPECT_THAT(sequence.ids, ElementsAre(4, 4, 5, 6));
  EXPECT_THAT(sequence.positions, ElementsAre(2, 3, 0, 1));
  EXPECT_THAT(sequence.columns, ElementsAre(2, 3, 0, 1));  // windows and biases go by them
  EXPECT_EQ(sequence.query_only, 2);
}

/// The conformance case with a vocabulary of a few words, in one of the layouts.
class Directory {
 public:
  Directory() {
    const std::vector<const char*> words{"[PAD]",     "[UNK]",     "[CLS]", "[SEP]", "[MASK]",
                                         "[unused0]", "[unused1]", "hello", "world", "tea",
                                         ".",         ",",         "brew",  "!"};
    std::string text;
    for (const char* word : words) text += std::string(word) + "\n";
    files.write("vocab.txt", text);
    files.write("tokenizer_config.json", R"({"do_lower_case": true, "model_max_length": 40})");
    fs::copy(kCase / "config.json", files.path() / "config.json");
    fs::copy(kCase / "model.safetensors", files.path() / "model.safetensors");
  }
  void add_dense(const std::string& folder, const std::string& more = "") {
    fs::create_directories(files.path() / folder);
    const Checkpoint whole = Checkpoint::open(kCase);
    const StoredTensor& weight = whole.at("linear.weight");
    Tensors tensors;
    tensors["linear.weight"] = {weight.shape, elements_of<float>(weight)};
    write_tensors(files.path() / folder / "model.safetensors", tensors);
    files.write(folder + "/config.json",
                R"({"in_features": 32, "out_features": 12, "bias": false, )" + more +
                    R"("activation_function": "torch.nn.modules.linear.Identity"})");
  }
  models::Package open() const { return models::open_package(files.path()); }
  std::string refusal() const {
    try {
      open();
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  }

  TemporaryDirectory files;
};

struct Read {
  Ids query, document;
  std::vector<float> query_vectors, document_vectors;
};

Read read(const models::Package& opened) {
  const auto package = std::make_shared<const models::Package>(opened);
  TextEncoder encoder(package, at(best_isa()));
  const auto one = [&](TextRole role, const char* text, Ids& ids) {
    const TextInputs inputs(*package, as(role, *package, {}));
    const text::Encoding encoding = inputs.encode(text);
    ids = encoding.ids;
    return vectors_of(encoder, to_sequence(require_tokens(package->program), encoding), role);
  };
  Read out;
  out.query_vectors = one(TextRole::query, "hello tea!", out.query);
  out.document_vectors = one(TextRole::document, "Brew tea, world.", out.document);
  return out;
}

TEST(LateInteractionDirectoryTest, StanfordsLayoutHasMarkersExpansionAndASkipList) {
  Directory directory;
  directory.files.write("artifact.metadata",
                        R"({"query_maxlen": 8, "doc_maxlen": 30, "mask_punctuation": true,
                            "attend_to_mask_tokens": false, "similarity": "cosine"})");
  const models::Package package = directory.open();
  EXPECT_EQ(package.embedding_description, "dense 32 to 12, normalised");
  EXPECT_EQ(package.program.find_output("embedding"), kNone);
  const Read is = read(package);
  EXPECT_THAT(is.query, ElementsAre(2, 5, 7, 9, 13, 3, 4, 4));
  EXPECT_THAT(is.document, ElementsAre(2, 6, 12, 9, 11, 8, 10, 3));
  EXPECT_EQ(is.query_vectors.size(), 8U * 12) << "of [MASK] too";
  EXPECT_EQ(is.document_vectors.size(), 6U * 12) << "but of no punctuation";
  const TextInputs queries(package, as(TextRole::query, package, {}));
  EXPECT_EQ(queries.encode("hello hello hello hello hello hello hello").size(), 8U);
  EXPECT_EQ(queries.cut(), 1U);
}

TEST(LateInteractionDirectoryTest, TheOtherLayoutsSayTheSame) {
  Directory stanford;
  stanford.files.write("artifact.metadata", R"({"query_maxlen": 8, "doc_maxlen": 30})");
  const Read expected = read(stanford.open());

  Directory pylate;
  pylate.add_dense("1_Dense");
  pylate.files.write(
      "modules.json",
      R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                         {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"}])");
  pylate.files.write("config_sentence_transformers.json",
                     R"({"model_type": "ColBERT", "prompts": {}, "similarity_fn_name": "MaxSim",
                         "query_prefix": "[unused0]", "document_prefix": "[unused1]",
                         "query_length": 8, "document_length": 30, "do_query_expansion": true,
                         "attend_to_expansion_tokens": false})");

  Directory native;
  native.add_dense("1_Dense", R"("module_input_name": "token_embeddings", )");
  native.files.write(
      "modules.json",
      R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
                         {"idx": 1, "name": "1", "path": "1_Dense", "type": "sentence_transformers.base.modules.dense.Dense"},
                         {"idx": 2, "name": "2", "path": "2_Mask", "type": "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"},
                         {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.base.modules.normalize.Normalize"}])");
  native.files.write(
      "sentence_bert_config.json",
      R"({"document_length": 30, "query_expansion": {"strategy": "fixed", "attend": false, "token": null, "length": 8}})");
  // There the tokenizer's own files say that a marker is one token.
  native.files.write("tokenizer_config.json",
                     R"({"do_lower_case": true, "model_max_length": 40,
                         "additional_special_tokens": ["[unused0]", "[unused1]"]})");
  fs::create_directories(native.files.path() / "2_Mask");
  fs::create_directories(native.files.path() / "3_Normalize");
  native.files.write(
      "2_Mask/config.json",
      R"({"skiplist_words": [".", ",", "!"], "skiplist_tasks": ["document"], "keep_only_token_ids": null})");
  native.files.write("3_Normalize/config.json", R"({"module_input_name": "token_embeddings"})");
  native.files.write("config_sentence_transformers.json",
                     R"({"model_type": "MultiVectorEncoder", "similarity_fn_name": "maxsim",
                         "prompts": {"query": "[unused0] ", "document": "[unused1] "}})");
  for (Directory* each : {&pylate, &native}) {
    const Read got = read(each->open());
    EXPECT_EQ(got.query, expected.query);
    EXPECT_EQ(got.document, expected.document);
    EXPECT_EQ(got.query_vectors, expected.query_vectors);
    EXPECT_EQ(got.document_vectors, expected.document_vectors);
  }
  native.files.write("config_sentence_transformers.json",
                     R"({"similarity_fn_name": "meanmaxsim", "prompts": {}})");
  EXPECT_TRUE(native.open().multi_vector->is_mean);
  native.files.write(
      "sentence_bert_config.json",
      R"({"document_length": 9, "query_length": 6, "query_expansion": {"strategy": "min", "length": 4, "attend": true}})");
  const models::Package longer = native.open();
  const TextInputs queries(longer, as(TextRole::query, longer, {}));
  EXPECT_THAT(queries.encode("tea").ids, ElementsAre(2, 9, 3, 4));
  EXPECT_EQ(queries.encode("tea").unattended, 0);
  EXPECT_EQ(queries.encode("tea tea tea tea tea tea").size(), 6U) << "longer ones pass";
  TextOptions shorter = as(TextRole::query, longer, {});
  shorter.max_length = 3;
  EXPECT_EQ(TextInputs(longer, shorter).encode("tea tea tea tea").size(), 4U)
      << "never below the length of the expansion";
  shorter.role = TextRole::document;
  EXPECT_EQ(TextInputs(longer, shorter).encode("tea tea tea tea").size(), 3U);
  shorter.max_length.reset();
  EXPECT_EQ(TextInputs(longer, shorter).max_tokens(), 9);
  EXPECT_EQ(TextInputs(longer, {}).max_tokens(), 40) << "neither a query nor a document";
  native.files.write("sentence_bert_config.json",
                     R"({"query_length": 3, "query_expansion": {"strategy": "min", "length": 4}})");
  EXPECT_THAT(native.refusal(), HasSubstr("query_length"));
  native.files.write("sentence_bert_config.json",
                     R"({"query_expansion": {"strategy": "min", "length": 4, "attends": true}})");
  EXPECT_THAT(native.refusal(), HasSubstr("attends"));
  native.files.write("sentence_bert_config.json", "{}");
  native.files.write("3_Normalize/config.json", "{}");
  EXPECT_THAT(native.refusal(), HasSubstr("token_embeddings"));
}

TEST(LateInteractionDirectoryTest, VectorsHaveLengthOneWhereAModuleSaysSo) {
  Directory directory;
  directory.add_dense("1_Dense");
  directory.files.write(
      "modules.json",
      R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                            {"idx": 1, "name": "1", "path": "1_Dense", "type": "sentence_transformers.models.Dense"},
                            {"idx": 2, "name": "2", "path": "2_Mask", "type": "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"}])");
  fs::create_directories(directory.files.path() / "2_Mask");
  directory.files.write("2_Mask/config.json", R"({"skiplist_words": []})");
  EXPECT_EQ(directory.open().embedding_description, "dense 32 to 12");
  EXPECT_EQ(read(directory.open()).query.size(), 5U) << "nobody says that queries are filled up";
  directory.files.write("config_sentence_transformers.json", R"({"model_type": "ColBERT"})");
  EXPECT_FALSE(directory.open().multi_vector->expansion) << "without any key of PyLate's";
  directory.files.write("config_sentence_transformers.json",
                        R"({"model_type": "ColBERT", "query_length": 9, "document_length": 12})");
  EXPECT_EQ(directory.open().multi_vector->expansion->length, 9);
  directory.files.write("sentence_bert_config.json", R"({"document_length": 7})");
  EXPECT_EQ(directory.open().multi_vector->document_length, 7) << "the Transformer's own file wins";
  directory.files.write("tokenizer_config.json",
                        R"({"do_lower_case": true, "padding_side": "left"})");
  EXPECT_THAT(directory.refusal(), HasSubstr("padding_side"));
}

TEST(LateInteractionDirectoryTest, WhatIsNotUnderstoodIsNamed) {
  Directory directory;
  directory.files.write("artifact.metadata", R"({"similarity": "l2"})");
  EXPECT_THAT(directory.refusal(), HasSubstr("artifact.metadata: \"similarity\" is \"l2\""));
  directory.files.write("artifact.metadata", R"({"query_maxlen": 1})");
  EXPECT_THAT(directory.refusal(), HasSubstr("query_maxlen"));
  directory.files.write("artifact.metadata", "{}");
  EXPECT_EQ(directory.refusal(), "none");
  directory.add_dense("1_Dense");
  directory.files.write(
      "modules.json",
      R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                            {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
                            {"idx": 2, "name": "2", "path": "2_Pooling", "type": "sentence_transformers.models.Pooling"}])");
  EXPECT_THAT(directory.refusal(), HasSubstr("module 2 (\"2_Pooling\") is of one vector"));
}

TEST(LateInteractionDirectoryTest, ExpansionThatNobodyAttendsToChangesNoOtherVector) {
  Directory directory;
  directory.files.write("artifact.metadata", R"({"query_maxlen": 12})");
  const models::Package expanded = directory.open();
  directory.files.write("artifact.metadata", R"({"query_maxlen": 4})");
  const Read a = read(expanded);
  directory.files.write("artifact.metadata", R"({"query_maxlen": 6})");
  const Read b = read(directory.open());
  EXPECT_EQ(a.query.size(), 12U);
  EXPECT_EQ(b.query.size(), 6U);
  EXPECT_EQ(std::vector<float>(a.query_vectors.begin(), a.query_vectors.begin() + 6 * 12),
            b.query_vectors);
}

}  // namespace
}  // namespace tessera::test
