// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/csv_reader.hpp"

#include <gmock/gmock.h>

#include "tests/support/temporary.hpp"

namespace tessera::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Row = std::vector<std::string>;

class CsvReaderTest : public testing::Test {
 protected:
  // All rows; a bad one as its message.
  std::vector<Row> read(const std::string& content, CsvFormat format = {}) {
    directory_.write("in.csv", content);
    LineReader lines((directory_ / "in.csv").string());
    CsvReader reader(lines, format);
    std::vector<Row> rows;
    while (true) {
      Row row;
      try {
        if (!reader.next(row)) return rows;
        rows.push_back(row);
      } catch (const BadRecord& error) {
        rows.push_back({error.what()});
      }
    }
  }
  TemporaryDirectory directory_;
};

TEST_F(CsvReaderTest, ReadsWhatRfc4180Says) {
  EXPECT_THAT(read("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n"),
              ElementsAre(Row{"aaa", "bbb", "ccc"}, Row{"zzz", "yyy", "xxx"}));
  EXPECT_THAT(read("aaa,bbb\nzzz,yyy"), ElementsAre(Row{"aaa", "bbb"}, Row{"zzz", "yyy"}));
  EXPECT_THAT(read("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nz,y,x"),
              ElementsAre(Row{"aaa", "b\r\nbb", "ccc"}, Row{"z", "y", "x"}));
  EXPECT_THAT(read("\"aaa\",\"b\"\"bb\",\"\"\"\"\n"), ElementsAre(Row{"aaa", "b\"bb", "\""}));
  EXPECT_THAT(read(" a , \n"), ElementsAre(Row{" a ", " "})) << "blanks are part of a field";
}

TEST_F(CsvReaderTest, EmptyFieldsAndLinesStay) {
  EXPECT_THAT(read(",\n"), ElementsAre(Row{"", ""}));
  EXPECT_THAT(read("\"\"\n"), ElementsAre(Row{""}));
  EXPECT_THAT(read("a,\"\"\n\n,b"), ElementsAre(Row{"a", ""}, Row{}, Row{"", "b"}));
  EXPECT_THAT(read("\"\n\n\"\n"), ElementsAre(Row{"\n\n"}));
  EXPECT_THAT(read(""), ElementsAre());
}

TEST_F(CsvReaderTest, TabsAndQuotesAsTold) {
  EXPECT_THAT(read("a,b\t\"c\td\"\n", {.separator = '\t'}), ElementsAre(Row{"a,b", "c\td"}));
  EXPECT_THAT(read("\"a\t\"\"\n", {.separator = '\t', .has_quotes = false}),
              ElementsAre(Row{"\"a", "\"\""}));
}

TEST_F(CsvReaderTest, ABadRowIsNamedAndTheNextIsRead) {
  const auto rows = read("a,b\"c\nx\n\"a\"b,c\ny\n\"1\n2\n\"z,\n3,\"open\n4\n");
  ASSERT_EQ(rows.size(), 6U);
  EXPECT_THAT(rows[0][0], HasSubstr("in.csv: line 1: field 2: got a quote within"));
  EXPECT_THAT(rows[1], ElementsAre("x"));
  EXPECT_THAT(rows[2][0], HasSubstr("line 3: field 1: got 'b' behind the closing quote"));
  EXPECT_THAT(rows[3], ElementsAre("y"));
  EXPECT_THAT(rows[4][0], HasSubstr("line 5: field 1: got 'z'")) << "where the row begins";
  EXPECT_THAT(rows[5][0],
              HasSubstr("line 8: field 2: got an opening quote and no other up to line 9"));
}

TEST_F(CsvReaderTest, WhatCannotBeShownIsNamedByItsNumber) {
  EXPECT_THAT(read("\"a\"\td\n")[0][0], HasSubstr("got byte 0x09 behind the closing quote"));
  EXPECT_THAT(read("\"a\"\x1B[2J\n")[0][0], HasSubstr("got byte 0x1B behind"));
  EXPECT_THAT(read("\"a\"\xC3\xA9\n")[0][0], HasSubstr("got byte 0xC3 behind"));
}

}  // namespace
}  // namespace tessera::test
