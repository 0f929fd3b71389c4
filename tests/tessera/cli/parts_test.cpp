// SPDX-License-Identifier: Apache-2.0
// Parts of the tool that need no model: JSON, ids, .npy, cosine, progress.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "runtime/base/error.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/pipeline/answers.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/index_identity.hpp"
#include "tessera/pipeline/json_lines.hpp"
#include "tessera/pipeline/records.hpp"
#include "tessera/pipeline/similarity.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(JsonTest, LoneSurrogatesBecomeReplacementCharacters) {
  EXPECT_EQ(replace_lone_surrogates(R"("\ud83c\udf75")"), R"("\ud83c\udf75")");
  EXPECT_EQ(replace_lone_surrogates(R"("\ud83c")"), R"("\uFFFD")");
  EXPECT_EQ(replace_lone_surrogates(R"("\udf75\ud83c\udf75")"), R"("\uFFFD\ud83c\udf75")");
  EXPECT_EQ(replace_lone_surrogates(R"("\ud83c\ud83c\udf75")"), R"("\uFFFD\ud83c\udf75")");
  EXPECT_EQ(replace_lone_surrogates(R"("\\ud83c \u00e9 \n")"), R"("\\ud83c \u00e9 \n")");
  EXPECT_EQ(replace_lone_surrogates("\"\\ud8"), "\"\\ud8");
  EXPECT_EQ(replace_lone_surrogates("\\"), "\\");
}

TEST(JsonTest, StringsAndFloatsReadBackTheSame) {
  std::string out;
  append_json_string(out, "a\"b\\c\n\x01\xFF\xC3\xA9");
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\u0001\xEF\xBF\xBD\xC3\xA9\"");
  for (const float value :
       {0.1f, -1.0f / 3, 1e-38f, 1.17549435e-38f, 3.40282347e38f, 1e-45f, 0.0f, 16777217.0f}) {
    out.clear();
    append_json_float(out, value);
    EXPECT_EQ(std::strtof(out.c_str(), nullptr), value) << out;
  }
  out.clear();
  append_json_float(out, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(out, "null");
}

TEST(JsonTest, CodePointsCutText) {
  EXPECT_EQ(code_points("a\xC3\xA9z", 1, 2), "\xC3\xA9");
  EXPECT_EQ(code_points("a\xC3\xA9z", 0, 3), "a\xC3\xA9z");
  EXPECT_EQ(code_points("a\xC3\xA9z", 2, 9), "z");
  EXPECT_EQ(code_points("abc", 2, 2), "");
  EXPECT_EQ(code_points("", 0, 1), "");
}

TEST(JsonTest, MembersAreFoundAsTheyStand) {
  const std::string json = R"( { "a" : {"b": [1, "}]\"\\", 2]} , "c":1.50,"d": "x\"," , "e":[] } )";
  EXPECT_EQ(raw_member(json, 0), R"({"b": [1, "}]\"\\", 2]})");
  EXPECT_EQ(raw_member(json, 1), "1.50");
  EXPECT_EQ(raw_member(json, 2), R"("x\",")");
  EXPECT_EQ(raw_member(json, 3), "[]");
}

TEST(JsonTest, KeysHaveTheNamesThatTheUserGives) {
  JsonLineParser parser({.text = "body", .id = "key"});
  const JsonRecord record = parser.parse(R"({"text": 1, "id": 2, "key": 1.50, "body": "x"})");
  EXPECT_EQ(record.text, "x");
  EXPECT_EQ(record.id, "1.50") << "as it stands";
  EXPECT_THROW(parser.parse(R"({"body": "x"})"), Error);
  EXPECT_EQ(JsonLineParser().parse(R"({"text": "x"})").id, "");
  EXPECT_EQ(JsonLineParser().parse(R"({"id": 1, "text": "x", "id": 2})").id, "2");
}

TEST(IdsTest, BlanksAndCommasSeparate) {
  EXPECT_THAT(parse_ids("1 2,3,, 4\t5 "), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(parse_ids(""), ElementsAre());
  EXPECT_THROW(parse_ids("1 2.5"), Error);
  EXPECT_THROW(parse_ids("1;2"), Error);
  EXPECT_THROW(parse_ids("2147483648"), Error);
}

TEST(NpyTest, HeadersAreEquallyLong) {
  for (const std::size_t rows :
       {std::size_t{0}, std::size_t{12345}, std::numeric_limits<std::size_t>::max()}) {
    EXPECT_EQ(npy_header(rows, 1 << 24).size(), 128U);
  }
}

TEST(NpyTest, MalformedFilesAreRefused) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.npy";
  test::write_file(path, npy_header(2, 3) + std::string(24, 'x'));
  EXPECT_EQ(read_npy(path).rows, 2U);
  const std::string good = npy_header(2, 3);
  for (const std::string& bad :
       {std::string(), good.substr(0, 5), good.substr(0, 60), good, good + std::string(20, 'x'),
        good + std::string(28, 'x'), npy_header(std::size_t{1} << 62, 4) + std::string(16, 'x'),
        npy_header(4, Index{1} << 62) + std::string(16, 'x'),  // 4 times that is 0
        npy_header(4, 0), npy_header(0, 0), npy_header(std::size_t{1} << 62, 0),
        std::string("\x93NUMPY\x01\x00\xff\xff", 10)}) {
    test::write_file(path, bad);
    EXPECT_THROW(read_npy(path), Error) << bad.size();
  }
  std::string wide = good;
  wide.replace(wide.find("<f4"), 3, "<f8");
  test::write_file(path, wide + std::string(48, 'x'));
  EXPECT_THROW(read_npy(path), Error);
}

// The messages are shown to people: they name what is wrong, in a line.
TEST(NpyTest, MessagesNameWhatTheHeaderClaims) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.npy";
  const auto message_of = [&](const std::string& bytes) -> std::string {
    test::write_file(path, bytes);
    try {
      read_npy(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "read";
  };
  const std::string claim = npy_header(4, Index{1} << 62) + std::string(16, 'x');
  ASSERT_EQ(claim.size(), 144U);
  EXPECT_EQ(message_of(claim),
            path + ": got rows of 4611686018427387904 floats, expected 1 to 16777216");
  EXPECT_EQ(message_of(npy_header(4, 0)), path + ": got rows of 0 floats, expected 1 to 16777216");
  std::string longest = npy_header(2, 3).substr(0, 10);
  longest[8] = longest[9] = '\xFF';
  const std::string message = message_of(longest + std::string(0xFFFE, '\1') + "}");
  EXPECT_LT(message.size(), 1000U);
  EXPECT_EQ(message.find('\1'), std::string::npos);
  EXPECT_THAT(message, testing::HasSubstr("expected a float32 matrix in C order"));
}

TEST(IndexIdentityTest, MessagesAreShort) {
  const IndexIdentity now{.model = "BertModel, 00ff",
                          .prompt = {},
                          .similarity = "cosine",
                          .cutting = {},
                          .lines = {},
                          .vectors = {}};
  IndexIdentity other = now;
  other.model = "\x1B" + std::string(5000, 'm');
  try {
    require_same("films.npy", other, now);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_LT(message.size(), 500U);
    EXPECT_THAT(message, testing::HasSubstr("another \"model\": got \"\\u001bmmm"));
    EXPECT_THAT(message, testing::HasSubstr("expected \"BertModel, 00ff\""));
  }
}

TEST(CosineTest, FindsTheBestInOrder) {
  std::vector<float> rows;
  for (int i = 0; i < 50; ++i) {
    for (int j = 0; j < 11; ++j) rows.push_back(static_cast<float>((i * 7 + j * 3) % 13 - 6));
  }
  std::fill(rows.begin() + 11 * 5, rows.begin() + 11 * 6, 0.0f);
  normalize_rows(rows, 11);
  EXPECT_EQ(rows[11 * 5], 0.0f);
  const std::vector<float> query(rows.begin() + 11 * 3, rows.begin() + 11 * 4);
  const auto hits = best_rows(rows, query, 20);
  ASSERT_EQ(hits.size(), 20U);
  EXPECT_EQ(hits[0].row, 3U);
  EXPECT_NEAR(hits[0].score, 1.0f, 1e-6f);
  EXPECT_EQ(hits[1].row, 16U) << "row 16 is row 3 again: ties by index";
  for (std::size_t i = 1; i < hits.size(); ++i) EXPECT_GE(hits[i - 1].score, hits[i].score);
  double expected = 0;
  for (std::size_t j = 0; j < 11; ++j)
    expected += static_cast<double>(rows[hits[9].row * 11 + j]) * static_cast<double>(query[j]);
  EXPECT_NEAR(hits[9].score, expected, 1e-6);  // 11 products of at most 1, unit rows
  EXPECT_EQ(best_rows(rows, query, 1000).size(), 50U);
  rows[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(best_rows(rows, query, 50).back().row, 0U);
}

TEST(CosineTest, RowsOfLengthOneStayAsTheyAre) {
  std::vector<float> rows;
  for (int i = 0; i < 7000; ++i) rows.push_back(static_cast<float>((i * 7919) % 1009 - 500));
  normalize_rows(rows, 7);
  const std::vector<float> once = rows;
  normalize_rows(rows, 7);
  EXPECT_EQ(rows, once);
}

TEST(AnswersTest, ScoresThatDifferAreShownDifferently) {
  const std::vector<Entry> entries(3, Entry{.line = 1, .where = "", .text = "x", .columns = {}});
  const auto shown = [&](std::vector<Hit> hits) { return hits_text("q", hits, entries); };
  EXPECT_EQ(shown({{0, 0.75F}, {1, 0.5F}}), "query: q\n  1   0.7500  x\n  2   0.5000  x\n");
  EXPECT_EQ(shown({{0, 0.999992F}, {1, 0.999991F}, {2, 0.5F}}),
            "query: q\n  1   0.999992  x\n  2   0.999991  x\n  3   0.500000  x\n");
  EXPECT_EQ(shown({{0, 0.5F}, {1, 0.5F}}), "query: q\n  1   0.5000  x\n  2   0.5000  x\n");
}

TEST(ProgressTest, LineSaysHowFarAndHowFast) {
  EXPECT_EQ(progress_line("embedding", 50, 0.5, 10.0),
            "embedding [############............]  50%  50 done  5/s  0:10 left");
  EXPECT_EQ(progress_line("embedding", 50, -1.0, 10.0), "embedding  50 done  5/s");
  EXPECT_THAT(progress_line("x", 1, 2.0, 1.0), HasSubstr("100%"));
}

TEST(ProgressTest, LineFitsIntoTheTerminal) {
  const std::size_t whole = progress_line("embedding", 50, 0.5, 10.0).size();
  for (std::size_t columns = 1; columns < 100; ++columns) {
    const std::string line = progress_line("embedding", 50, 0.5, 10.0, columns);
    EXPECT_LT(line.size(), columns);
    EXPECT_EQ(line.size() == whole, columns > whole) << columns;
    EXPECT_LT(progress_line("embedding", 50, -1.0, 10.0, columns).size(), columns);
  }
  EXPECT_THAT(progress_line("embedding", 50, 0.5, 10.0, 40), HasSubstr(" 50%"));
}

TEST(ProgressTest, TheLastWordCounts) {
  EXPECT_EQ(closing_line("tessera embed", 50, "text", 10.0),
            "tessera embed: 50 texts in 10.00 s (5/s)");
  EXPECT_EQ(closing_line("tessera embed", 1, "text", 2.0), "tessera embed: 1 text in 2.00 s (0/s)");
}

}  // namespace
}  // namespace tessera::cli
