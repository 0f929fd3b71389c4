// SPDX-License-Identifier: Apache-2.0
// Every WordPiece, BPE and Unigram vector of the shared reference data: what Hugging Face
// tokenizers 0.23.2 gives. Skipped where the data is not there. TESSERA_SHARED names another place
// for it.
#include <gtest/gtest.h>
#include <simdjson.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "models/text/base64.hpp"
#include "models/text/tokenizer.hpp"
#include "runtime/base/error.hpp"
#include "tests/models/text/small_sentencepiece.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::text {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;

fs::path shared_tokenizers() {
  const char* named = std::getenv("TESSERA_SHARED");
  return fs::path(named != nullptr ? named : TESSERA_SHARED_DIR) / "tokenizers";
}

std::string read_gzip(const fs::path& file) {
  std::string out;
  gzFile in = gzopen(file.c_str(), "rb");
  if (in == nullptr) return out;
  std::vector<char> buffer(std::size_t{1} << 16);
  for (int n = 0; (n = gzread(in, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
  gzclose(in);
  return out;
}

std::map<std::int64_t, std::string> read_texts() {
  std::map<std::int64_t, std::string> texts;
  dom::parser parser;
  const dom::object object = parser.parse(read_gzip(shared_tokenizers() / "vectors/texts.json.gz"));
  for (const auto& [key, value] : object) {
    texts.emplace(std::stoll(std::string(key)), std::string(std::string_view(value)));
  }
  return texts;
}

template <class T>
std::vector<T> numbers(dom::element array) {
  std::vector<T> out;
  for (const std::int64_t x : dom::array(array)) out.push_back(static_cast<T>(x));
  return out;
}

std::vector<std::uint32_t> flat(const std::vector<std::array<std::uint32_t, 2>>& offsets) {
  std::vector<std::uint32_t> out;
  for (const auto& [begin, end] : offsets) out.insert(out.end(), {begin, end});
  return out;
}

std::optional<dom::element> member(const dom::element& line, const char* key) {
  dom::element value;
  if (line[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

EncodeOptions options_of(const dom::element& line) {
  EncodeOptions options;
  options.use_file_truncation = false;  // as the vectors were made
  options.add_special_tokens = bool(line["special"]);
  const auto truncation = member(line, "trunc");
  if (!truncation) return options;
  options.max_length = std::uint64_t((*truncation)["max"]);
  const std::string_view strategy = (*truncation)["strategy"];
  options.truncation = strategy == "longest_first" ? TruncationStrategy::longest_first
                       : strategy == "only_first"  ? TruncationStrategy::only_first
                                                   : TruncationStrategy::only_second;
  options.truncation_side =
      std::string_view((*truncation)["side"]) == "left" ? Side::left : Side::right;
  return options;
}

// Tessera does not pad; the vectors say to which length and with which id they do.
void pad(const dom::element& line, Encoding& e) {
  const auto padding = member(line, "pad");
  if (!padding) return;
  const std::size_t length = std::uint64_t((*padding)["length"]);
  if (length <= e.size()) return;
  e.ids.resize(length, static_cast<std::int32_t>(std::int64_t((*padding)["id"])));
  e.type_ids.resize(length, 0);
  e.attention_mask.resize(length, 0);
}

// Returns whether `tokenizer` gives what `line` says.
bool check(const Tokenizer& tokenizer, const std::map<std::int64_t, std::string>& texts,
           const dom::element& line) {
  const std::string& first = texts.at(std::int64_t(line["i"]));
  const auto second = member(line, "j");
  const EncodeOptions options = options_of(line);
  Encoding e;
  try {
    e = second ? tokenizer.encode_pair(first, texts.at(std::int64_t(*second)), options)
               : tokenizer.encode(first, options);
  } catch (const Error& error) {
    EXPECT_TRUE(member(line, "error")) << error.what();
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return member(line, "error").has_value();
  }
  EXPECT_FALSE(member(line, "error")) << "expected an error";
  pad(line, e);
  bool same = !member(line, "error");
  const auto compare = [&](const auto& got, const char* key) {
    using T = typename std::decay_t<decltype(got)>::value_type;
    const auto expected = member(line, key);
    if (!expected) return;
    EXPECT_EQ(got, numbers<T>(*expected)) << key;
    same = same && got == numbers<T>(*expected);
  };
  compare(e.ids, "ids");
  compare(e.type_ids, "types");
  compare(e.attention_mask, "mask");
  compare(flat(e.offsets), "offsets");
  return same;
}

// Checks every line and returns how many there are.
std::size_t check_all(const Tokenizer& tokenizer, const std::string& vectors) {
  const std::map<std::int64_t, std::string> texts = read_texts();
  dom::parser parser;
  const simdjson::padded_string content(
      read_gzip(shared_tokenizers() / "vectors" / (vectors + ".jsonl.gz")));
  dom::document_stream lines = parser.parse_many(content);
  std::size_t count = 0;
  std::size_t failures = 0;
  for (const dom::element line : lines) {
    SCOPED_TRACE(::testing::Message()
                 << vectors << " line " << count + 1 << ", i " << std::int64_t(line["i"]));
    ++count;
    if (!check(tokenizer, texts, line) && ++failures >= 5) {
      ADD_FAILURE() << "and so on";
      break;
    }
  }
  return count;
}

class VectorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(shared_tokenizers() / "vectors")) GTEST_SKIP() << "no shared reference data";
  }
  static Tokenizer load(const std::string& name) {
    return Tokenizer::from_directory(shared_tokenizers() / "files" / name);
  }
};

constexpr std::size_t kLines = 2639;
constexpr std::size_t kLinesOfNewer = 2650;

TEST_F(VectorsTest, BertBaseUncasedFromTokenizerJson) {
  EXPECT_EQ(check_all(load("bert-base-uncased"), "bert-base-uncased"), kLines);
}

TEST_F(VectorsTest, BertBaseUncasedFromVocabTxt) {
  const test::TemporaryDirectory directory;
  fs::copy_file(shared_tokenizers() / "files/bert-base-uncased/vocab.txt",
                directory.path() / "vocab.txt");
  EXPECT_EQ(check_all(Tokenizer::from_directory(directory.path()), "bert-base-uncased"), kLines);
}

TEST_F(VectorsTest, BertBaseCasedFromVocabTxt) {
  const test::TemporaryDirectory directory;
  fs::copy_file(shared_tokenizers() / "files/bert-base-cased/vocab.txt",
                directory.path() / "vocab.txt");
  directory.write("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_EQ(check_all(Tokenizer::from_directory(directory.path()), "bert-base-cased"), kLines);
}

TEST_F(VectorsTest, BertMultilingualUncasedFromTokenizerJson) {
  EXPECT_EQ(check_all(load("bert-multilingual-uncased"), "bert-multilingual-uncased"), kLines);
}

TEST_F(VectorsTest, RobertaBaseFromTokenizerJson) {
  EXPECT_EQ(check_all(load("roberta-base"), "roberta-base"), kLines);
}

TEST_F(VectorsTest, RobertaBaseFromVocabJsonAndMergesTxt) {
  const test::TemporaryDirectory directory;
  for (const char* file : {"vocab.json", "merges.txt"}) {
    fs::copy_file(shared_tokenizers() / "files/roberta-base" / file, directory.path() / file);
  }
  EXPECT_EQ(check_all(Tokenizer::from_directory(directory.path()), "roberta-base"), kLines);
}

// A tokenizer whose tokenizer.json is stored compressed, as it is published.
std::string compressed_json(const std::string& name) {
  return read_gzip(shared_tokenizers() / "files" / name / "tokenizer.json.gz");
}

Tokenizer tokenizer_of_json(const std::string& json) {
  const test::TemporaryDirectory directory;
  directory.write("tokenizer.json", json);
  return Tokenizer::from_directory(directory.path());
}

// What stands between `from` and the next `to`.
std::string_view between(const std::string& json, std::string_view from, std::string_view to) {
  const std::size_t begin = json.find(from) + from.size();
  return std::string_view(json).substr(begin, json.find(to, begin) - begin);
}

// The SentencePiece model that the tokenizer.json of an XLM-R was converted from.
std::string xlm_roberta_model(const std::string& json) {
  dom::parser parser;
  const dom::element root = parser.parse(json);
  SmallSentencePiece out;
  for (const dom::element entry : dom::array(root["model"]["vocab"])) {
    const std::string_view piece = entry.at(0);
    out.pieces.push_back({std::string(piece), static_cast<float>(double(entry.at(1)))});
  }
  out.pieces.pop_back();                     // <mask>
  out.pieces.erase(out.pieces.begin() + 1);  // <pad>
  out.pieces[0] = {"<unk>", 0, 2};
  out.pieces[1] = {"<s>", 0, 3};
  out.pieces[2] = {"</s>", 0, 3};
  out.charsmap = decode_base64(root["normalizer"]["precompiled_charsmap"]).value();
  return out.bytes();
}

constexpr const char* kXlmR = "xlmr-paraphrase-multilingual-mpnet-base-v2";

TEST_F(VectorsTest, XlmRoberta) {
  EXPECT_EQ(check_all(tokenizer_of_json(compressed_json(kXlmR)), kXlmR), kLines);
}

// The tokenizer.json of XLM-R with other steps before its model.
std::string xlm_roberta_with(const std::string& further_normalizers) {
  const std::string json = compressed_json(kXlmR);
  return R"({"version": "1.0", "added_tokens":)" +
         std::string(between(json, R"("added_tokens":)", R"(,"normalizer":)")) +
         R"(, "normalizer": {"type": "Sequence", "normalizers": [)" +
         std::string(between(json, R"("normalizer":)", R"(,"pre_tokenizer":)")) +
         further_normalizers + R"(]}, "pre_tokenizer": {"type": "Metaspace", )" +
         R"("replacement": "\u2581", "add_prefix_space": true}, "post_processor":)" +
         std::string(between(json, R"(,"post_processor":)", "\n"));
}

// The form of bge-reranker and multilingual-e5, as xlmr-replace-metaspace.patch.json says it.
TEST_F(VectorsTest, XlmRobertaWithReplaceAndMetaspaceAlone) {
  const std::string json =
      xlm_roberta_with(R"(, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})");
  EXPECT_EQ(check_all(tokenizer_of_json(json), "xlmr-replace-metaspace"), kLines);
}

// sentencepiece.bpe.model alone gives what the tokenizer.json that transformers writes for it does.
// There are no vectors of that form, but tokenizers 0.23.2 gave the same for all these texts.
TEST_F(VectorsTest, XlmRobertaFromItsSentencePieceModel) {
  const test::TemporaryDirectory directory;
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "XLMRobertaTokenizer"})");
  directory.write("sentencepiece.bpe.model", xlm_roberta_model(compressed_json(kXlmR)));
  const Tokenizer from_model = Tokenizer::from_directory(directory.path());
  const Tokenizer from_json = tokenizer_of_json(xlm_roberta_with(
      R"(, {"type": "Strip", "strip_left": false, "strip_right": true},
           {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"})"));
  EXPECT_EQ(from_model.vocab_size(), 250002u);
  for (const auto& [i, text] : read_texts()) {
    const Encoding a = from_model.encode_pair(text, "b");
    const Encoding b = from_json.encode_pair(text, "b");
    EXPECT_EQ(a.ids, b.ids) << i;
    EXPECT_EQ(a.offsets, b.offsets) << i;
    EXPECT_EQ(a.type_ids, b.type_ids) << i;
  }
}

TEST_F(VectorsTest, T5Small) {
  EXPECT_EQ(check_all(tokenizer_of_json(compressed_json("t5-small")), "t5-small"), kLinesOfNewer);
}

TEST_F(VectorsTest, NeoXFromTokenizerJson) {
  EXPECT_EQ(check_all(tokenizer_of_json(compressed_json("20B_tokenizer")), "20B_tokenizer"),
            kLinesOfNewer);
}

TEST_F(VectorsTest, ModernBertLikeFromTokenizerJson) {
  EXPECT_EQ(check_all(tokenizer_of_json(compressed_json("modernbert-like")), "modernbert-like"),
            kLinesOfNewer);
}

TEST_F(VectorsTest, Phi3MiniFromTokenizerJson) {
  EXPECT_EQ(check_all(tokenizer_of_json(compressed_json("phi-3-mini")), "phi-3-mini"),
            kLinesOfNewer);
}

// Its vocabulary and normaliser are those of bert-base-uncased.
TEST_F(VectorsTest, MiniLmFromTokenizerJson) {
  EXPECT_EQ(check_all(load("all-MiniLM-L6-v2"), "bert-base-uncased"), kLines);
}

TEST_F(VectorsTest, MiniLmTruncatesAndPadsTo128AsItsFileSays) {
  const Tokenizer mini = load("all-MiniLM-L6-v2");
  const Tokenizer bert = load("bert-base-uncased");
  EXPECT_EQ(mini.info().truncation->max_length, 128u);
  EncodeOptions padded;
  padded.use_file_padding = true;
  std::size_t longer = 0;
  for (const auto& [i, text] : read_texts()) {
    std::vector<std::int32_t> ids = bert.encode(text).ids;
    const std::size_t length = std::min<std::size_t>(ids.size(), 128);
    if (ids.size() > 128) {
      ++longer;
      ids.resize(127);
      ids.push_back(102);
    }
    EXPECT_EQ(mini.encode(text).ids, ids) << i;
    ids.resize(128, 0);
    const Encoding e = mini.encode(text, padded);
    EXPECT_EQ(e.ids, ids) << i;
    EXPECT_EQ(std::count(e.attention_mask.begin(), e.attention_mask.end(), 1),
              std::ptrdiff_t(length))
        << i;
  }
  EXPECT_GT(longer, 0u);
}

}  // namespace
}  // namespace tessera::text
