// SPDX-License-Identifier: Apache-2.0
// search: what an index is of, the similarity and the prompts that the model's files name.
#include <gmock/gmock.h>

#include <cmath>
#include <regex>

#include "tessera/pipeline/embedding_writer.hpp"
#include "tests/models/text/tokenizer_files.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class IndexTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    file("notes.txt", "hello world\nbrew tea\nthe cat sat on the mat\n\na\n");
  }
  std::string search(const std::string& more) {
    return "search model --index notes.txt -q --format jsonl --top-k 4 " + more;
  }
  /// Of the one answer: line and score of each hit.
  std::vector<std::pair<int, double>> hits(const std::string& more) {
    const CommandResult result = tessera(search(more));
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<std::pair<int, double>> found;
    const std::regex hit("\"line\": ([0-9]+), \"score\": ([-0-9.e]+)");
    for (std::sregex_iterator at(result.out.begin(), result.out.end(), hit), end; at != end; ++at) {
      found.emplace_back(std::stoi((*at)[1]), std::stod((*at)[2]));
    }
    return found;
  }
  void sentence_config(const std::string& members) {
    file("model/config_sentence_transformers.json", "{" + members + "}");
  }
  std::vector<std::vector<float>> embed(const std::string& lines, const std::string& flags = "") {
    file("some.txt", lines);
    std::vector<std::vector<float>> rows;
    for (const std::string& line :
         lines_of(tessera("embed model some.txt --format text " + flags).out)) {
      rows.push_back(numbers_of(line));
    }
    return rows;
  }
};

TEST_F(IndexTest, ATextThatIsNotToBeCutAndTooLongIsLeftOutOfTheIndex) {
  const std::string expected = tessera(search("'brew tea' --truncation none")).out;
  std::string longest;
  for (int i = 0; i < 2000; ++i) longest += "a ";
  file("notes.txt", "hello world\nbrew tea\nthe cat sat on the mat\n\na\n" + longest + "\n");
  const auto answers = [&](const std::string& more) {
    const CommandResult result = tessera(search("'brew tea' --truncation none " + more));
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.err, testing::HasSubstr("notes.txt: line 6: the text has "));
    EXPECT_THAT(result.err, testing::HasSubstr("notes.txt: 1 line was not indexed"));
    EXPECT_EQ(result.out, expected) << more;
  };
  answers("");
  answers("--save-index index.npy");
  answers("--load-index index.npy");
}

TEST_F(IndexTest, SavedVectorsAreThoseOfEmbedBitForBit) {
  file("model/modules.json", std::regex_replace(read_file(path("model/modules.json")),
                                                std::regex(R"(,\s*\{"idx": 2[^}]*\})"), ""));
  file("same.txt", "hello world\nbrew tea\nthe cat sat on the mat\na\n");
  ASSERT_EQ(tessera("embed model same.txt --format npy -o embed.npy").status, 0);
  for (const char* measure : {"\"cosine\"", "\"dot\"", "\"euclidean\""}) {
    sentence_config(std::string("\"similarity_fn_name\": ") + measure);
    ASSERT_EQ(tessera(search("--save-index index.npy tea")).status, 0);
    EXPECT_EQ(read_file(path("index.npy")), read_file(path("embed.npy"))) << measure;
    EXPECT_EQ(tessera(search("--load-index index.npy tea")).out, tessera(search("tea")).out);
  }
}

TEST_F(IndexTest, AnIndexKnowsWhatItIsOfAndRefusesOthers) {
  ASSERT_EQ(tessera(search("--save-index index.npy tea")).status, 0);
  const auto refused = [&](const std::string& flags, const std::string& part) {
    expect_failure(tessera(search("--load-index index.npy tea " + flags)), 1, part);
  };
  const auto works = [&] {
    EXPECT_EQ(tessera(search("--load-index index.npy tea")).out, tessera(search("tea")).out);
  };
  works();
  refused("--index-prompt 'a '",
          "index.npy: the index was made for another \"prompt\": got \"\", "
          "expected \"a \"");
  refused("--max-length 4", "\"cutting\"");
  const std::string lines = read_file(path("notes.txt"));
  for (const char* other : {"hello world\n", "brew tea\nhello world\nthe cat sat on the mat\na\n",
                            "hello world\nbrew tea\nthe cat sat on the mat\nb\n"}) {
    file("notes.txt", other);
    refused("", "\"lines\"");
  }
  file("notes.txt", lines);
  works();
  sentence_config("\"similarity_fn_name\": \"dot\"");
  refused("", "\"similarity\": got \"cosine\", expected \"dot\"");
  std::filesystem::remove(path("model/config_sentence_transformers.json"));
  const std::string weights = read_file(path("model/model.safetensors"));
  std::string changed = weights;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  file("model/model.safetensors", changed);
  refused("", "\"model\"");
  file("model/model.safetensors", weights);
  const std::string vocabulary = read_file(path("model/vocab.txt"));
  file("model/vocab.txt", std::regex_replace(vocabulary, std::regex("mat"), "map"));
  refused("", "\"model\"");
  file("model/vocab.txt", vocabulary);
  works();
  std::string rows = read_file(path("index.npy"));
  std::swap(rows[rows.size() - 4], rows[rows.size() - 8]);
  file("index.npy", rows);
  refused("", "\"vectors\"");
  std::filesystem::remove(path("index.npy.json"));
  refused("", "index.npy.json: no such file");
}

TEST_F(IndexTest, ScoresAreOfTheSimilarityThatTheFilesName) {
  file("model/modules.json", std::regex_replace(read_file(path("model/modules.json")),
                                                std::regex(R"(,\s*\{"idx": 2[^}]*\})"), ""));
  const auto rows = embed("hello world\nbrew tea\nthe cat sat on the mat\na\ntea\n");
  const std::vector<int> line{1, 2, 3, 5};
  const auto expected = [&](const std::string& measure, std::size_t i) {
    double dot = 0, a = 0, b = 0, squares = 0, sizes = 0;
    for (std::size_t j = 0; j < rows[i].size(); ++j) {
      const double x = static_cast<double>(rows[i][j]), y = static_cast<double>(rows[4][j]);
      dot += x * y, a += x * x, b += y * y, squares += (x - y) * (x - y), sizes += std::abs(x - y);
    }
    return measure == "cosine"      ? dot / std::sqrt(a * b)
           : measure == "dot"       ? dot
           : measure == "euclidean" ? -std::sqrt(squares)
                                    : -sizes;
  };
  for (const char* measure : {"cosine", "dot", "euclidean", "manhattan"}) {
    sentence_config(std::string("\"similarity_fn_name\": \"") + measure + "\"");
    const auto found = hits("tea");
    ASSERT_EQ(found.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_GE(found[i == 0 ? 0 : i - 1].second, found[i].second);
      for (std::size_t k = 0; k < 4; ++k) {
        if (line[k] != found[i].first) continue;
        EXPECT_NEAR(found[i].second, expected(measure, k), 2e-5);
      }
    }
  }
}

TEST_F(IndexTest, PromptsOfQueriesAndDocumentsAreTakenByTheirNames) {
  const auto plain = hits("tea"), query = hits("tea --prompt 'hello '"),
             both = hits("tea --prompt 'hello ' --index-prompt 'the '");
  EXPECT_NE(plain, query);
  EXPECT_NE(query, both);
  sentence_config(R"("prompts": {"query": "hello "})");
  EXPECT_EQ(hits("tea"), query);
  EXPECT_EQ(hits("tea --prompt ''"), plain);
  for (const char* name : {"document", "passage", "corpus"}) {
    sentence_config(std::string(R"("prompts": {"query": "hello ", ")") + name + "\": \"the \"}");
    EXPECT_EQ(hits("tea"), both) << name;
    EXPECT_EQ(hits("tea --index-prompt ''"), query) << name;
  }
  sentence_config(R"("prompts": {"query": "hello ", "passage": "a ", "document": "the "})");
  EXPECT_EQ(hits("tea"), both) << "document comes before passage";
  sentence_config(R"("prompts": {"other": "hello "}, "default_prompt_name": "other")");
  EXPECT_EQ(hits("tea"), hits("tea --prompt 'hello ' --index-prompt 'hello '"));
}

TEST_F(IndexTest, CsvFilesAndOtherEncodingsAreSearched) {
  file("films.csv", "year,text\n1999,\"the cat, sat on\nthe mat\"\n2001,brew tea\n");
  const CommandResult csv = tessera("search model --index films.csv --header -q tea --top-k 1");
  ASSERT_EQ(csv.status, 0) << csv.err;
  EXPECT_THAT(csv.out, HasSubstr("2001 | brew tea"));
  file("latin.txt", "caf\xE9\n");
  expect_failure(tessera("search model --index latin.txt -q tea"), 1, "--encoding");
  EXPECT_THAT(tessera("search model --index latin.txt -q tea --encoding latin-1").out,
              HasSubstr("caf\u00E9"));
  expect_failure(tessera("search model --index notes.txt -q --save-index notes.txt tea"), 2,
                 "--save-index");
}

TEST_F(IndexTest, TablesAndJsonLinesAreReadAsEmbedReadsThem) {
  const auto search = [&](const std::string& arguments) {
    return tessera("search model -q --format jsonl --top-k 9 " + arguments);
  };
  file("films.csv", "id,text,year\n7,tea,1999\n8,the cat,2001\n");
  const CommandResult named = search("--index films.csv tea");
  ASSERT_EQ(named.status, 0) << named.err;
  EXPECT_THAT(named.out, testing::ContainsRegex(
                             "\\{\"line\": 2, \"id\": \"7\", \"score\": (1|0[.]999999[0-9]*), "
                             "\"text\": \"tea\", \"columns\": \\[\"7\", \"1999\"\\]\\}"));
  EXPECT_THAT(named.out, testing::Not(HasSubstr("\"line\": 1,"))) << "the header";
  EXPECT_THAT(search("--index films.csv --column year tea").out, HasSubstr("\"text\": \"2001\""));
  EXPECT_THAT(search("--index films.csv --text-key year tea").out, HasSubstr("\"text\": \"2001\""));
  expect_failure(search("--index films.csv --column plot tea"), 1,
                 "expected one of id, text, year");

  file("bad.csv", "id,text\n1,tea\n2\n3,a,b\n4,cat\n");
  const CommandResult ragged = search("--index bad.csv tea");
  EXPECT_EQ(ragged.status, 1);
  EXPECT_THAT(ragged.err, testing::AllOf(HasSubstr("bad.csv: line 3: got 1 field, expected 2"),
                                         HasSubstr("bad.csv: line 4: got 3 fields"),
                                         HasSubstr("bad.csv: 2 lines were not indexed")));
  EXPECT_THAT(ragged.out, testing::AllOf(HasSubstr("\"line\": 2,"), HasSubstr("\"line\": 5,")));

  file("notes.jsonl", "{\"id\": [1], \"text\": \"tea\"}\n{bad\n\n{\"text\": \"the cat\"}\n");
  const CommandResult json = search("--index notes.jsonl tea");
  EXPECT_EQ(json.status, 1);
  EXPECT_THAT(json.err, HasSubstr("notes.jsonl: line 2: "));
  EXPECT_THAT(json.out,
              testing::AllOf(testing::ContainsRegex(
                                 "\\{\"line\": 1, \"id\": \\[1\\], \"score\": (1|0[.]999999)"),
                             HasSubstr("{\"line\": 4, \"score\"")));
  file("body.jsonl", "{\"body\": \"tea\", \"key\": 5}\n");
  EXPECT_THAT(search("--index body.jsonl --text-key body --id-key key tea").out,
              HasSubstr("\"id\": 5"));

  file("quoted.tsv", "a\t\"the\tcat\"\n");
  EXPECT_THAT(search("--index quoted.tsv tea").out, HasSubstr("\"text\": \"the\\tcat\""));
  file("plain.txt", "a\t\"tea\"\n");
  EXPECT_THAT(search("--index plain.txt --column 2 tea").out,
              HasSubstr("\"text\": \"\\\"tea\\\"\""));
}

TEST_F(IndexTest, WhatWasCutIsSaidAtTheEnd) {
  const std::string many =
      "tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea "
      "tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea";
  file("long.txt", "tea\n" + many + "\n" + many + "\n");
  const CommandResult embed = tessera("embed model long.txt");
  EXPECT_EQ(embed.status, 0);
  const auto answers = lines_of(embed.out);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_THAT(answers[0], testing::StartsWith("{\"embedding\": "));
  EXPECT_THAT(answers[1], testing::StartsWith("{\"cut\": true, \"embedding\": "));
  write_model(
      path("labels"),
      {.architecture = "BertForSequenceClassification", .labels = 3, .has_sentence_files = false});
  const auto labels = lines_of(tessera("classify labels long.txt --format jsonl").out);
  ASSERT_EQ(labels.size(), 3U);
  EXPECT_THAT(labels[0], testing::StartsWith("{\"labels\": "));
  EXPECT_THAT(labels[2], testing::StartsWith("{\"cut\": true, \"labels\": "));
  EXPECT_THAT(embed.err, HasSubstr("tessera embed: 2 of 3 texts were cut to 24 tokens "
                                   "(model_max_length of tokenizer_config.json)"));
  EXPECT_EQ(tessera("embed model notes.txt").err, "");
  EXPECT_THAT(tessera("search model -q --index long.txt tea").err,
              HasSubstr("2 of 3 texts were cut to 24 tokens"));
  file("model/tokenizer_config.json", "{\"do_lower_case\": true}");
  EXPECT_THAT(tessera("embed model long.txt").err, HasSubstr("(position table)"));
  EXPECT_THAT(tessera("embed model long.txt --max-length 5").err,
              HasSubstr("to 5 tokens (as asked for)"));
  expect_bad_lines(tessera("embed model long.txt --truncation none"), 1,
                   "36 tokens, expected at most 24");
}

TEST_F(IndexTest, NoTruncationTakesATextThatFitsIntoThePositionTable) {
  file("model/tokenizer_config.json", "{\"do_lower_case\": true, \"model_max_length\": 6}");
  file("one.txt", "the cat sat on the mat the cat\n");
  const CommandResult cut = tessera("embed model one.txt"),
                      whole = tessera("embed model one.txt --truncation none");
  EXPECT_THAT(cut.err, HasSubstr("1 of 1 texts were cut to 6 tokens"));
  EXPECT_EQ(whole.status, 0);
  EXPECT_EQ(whole.err, "");
  EXPECT_EQ(whole.out, tessera("embed model one.txt --max-length 24").out);
  EXPECT_NE(whole.out, cut.out);
}

TEST_F(IndexTest, TheEndThatIsCutIsTheOneThatTheConfigNames) {
  file("one.txt", "the cat sat on the mat the cat\n");
  file("model/tokenizer_config.json",
       R"({"do_lower_case": true, "model_max_length": 6, "truncation_side": "left"})");
  const auto vector_of = [](const std::string& out) {
    return out.substr(out.find("\"embedding\""));
  };
  const std::string left = vector_of(tessera("embed model one.txt").out);
  file("end.txt", "the mat the cat\n");
  EXPECT_EQ(left, vector_of(tessera("embed model end.txt").out));
  EXPECT_NE(left, vector_of(tessera("embed model one.txt --truncation-side right").out));
}

TEST_F(IndexTest, ElseTheEndThatTokenizerJsonCutsOff) {
  text::JsonSections sections;
  sections.truncation =
      R"({"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 0})";
  file("model/tokenizer.json", sections.text());
  file("one.txt", "hello world foo\n");
  file("end.txt", "world foo\n");
  const auto vector_of = [](const std::string& out) {
    return out.substr(out.find("\"embedding\""));
  };
  EXPECT_EQ(vector_of(tessera("embed model one.txt --max-length 4").out),
            vector_of(tessera("embed model end.txt").out));
}

TEST_F(IndexTest, InfoSaysWhereValuesComeFrom) {
  sentence_config(R"("similarity_fn_name": "dot")");
  const CommandResult info = tessera("info model");
  EXPECT_THAT(info.out,
              AllOf(HasSubstr("model_max_length of tokenizer_config.json"),
                    HasSubstr("dot (similarity_fn_name of config_sentence_transformers.json)")));
}

}  // namespace
}  // namespace tessera::test
