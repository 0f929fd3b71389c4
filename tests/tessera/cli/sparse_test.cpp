// SPDX-License-Identifier: Apache-2.0
// embed of a sparse model: tokens and weights, as the dense row has them.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>

#include "runtime/meters/callgrind.hpp"
#include "runtime/weights/stored_zip.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/sparse.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SparseTest, TheHeaviestComeFirstAndZerosDoNot) {
  const float nan = std::nanf("");
  const std::vector<float> row{0.0F, 2.0F, -1.0F, 2.0F, 0.0F, 7.5F, -0.0F};
  std::vector<SparseElement> found;
  heaviest(row, found);
  EXPECT_THAT(found, ElementsAre(SparseElement{5, 7.5F}, SparseElement{1, 2.0F},
                                 SparseElement{3, 2.0F}, SparseElement{2, -1.0F}));
  heaviest(std::vector<float>{1.0F, nan, 3.0F, nan, 0.0F}, found);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].id, 1);
  EXPECT_EQ(found[1].id, 3);
  EXPECT_EQ(found[2], (SparseElement{2, 3.0F}));
}

class SparseCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    std::filesystem::copy(TESSERA_SOURCE_DIR "/tests/golden/data/splade-bert", path("splade"),
                          std::filesystem::copy_options::recursive);
    std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nbrew\ntea\nthe\ncat\nhello\nworld\n";
    for (int id = 11; id < 140; ++id) words += fmt::format("w\"{}\n", id);
    file("splade/vocab.txt", words);
    file("texts.txt", "brew tea\nthe cat\n\nhello world tea\n");
  }
};

TEST_F(SparseCliTest, TokensAndWeightsAreThoseOfTheDenseRow) {
  ASSERT_EQ(tessera("embed splade texts.txt -o dense.npy").status, 0);
  const NpyMatrix dense = read_npy(path("dense.npy"));
  ASSERT_EQ(dense.rows, 4U);
  const CommandResult all = tessera("embed splade texts.txt");
  ASSERT_EQ(all.status, 0) << all.err;
  const std::vector<std::string> lines = lines_of(all.out);
  ASSERT_EQ(lines.size(), 4U);
  const std::regex element(
      "\"token\": (\"(?:[^\"\\\\]|\\\\.)*\"), \"id\": ([0-9]+), \"weight\": ([-0-9.e]+)");
  for (std::size_t r = 0; r < lines.size(); ++r) {
    EXPECT_THAT(lines[r], testing::StartsWith("{\"sparse\": ["));
    std::vector<SparseElement> expected;
    heaviest({dense.values.get() + r * static_cast<std::size_t>(dense.width),
              static_cast<std::size_t>(dense.width)},
             expected);
    EXPECT_FALSE(expected.empty());
    std::size_t i = 0;
    for (std::sregex_iterator at(lines[r].begin(), lines[r].end(), element), end; at != end;
         ++at, ++i) {
      ASSERT_LT(i, expected.size());
      EXPECT_EQ(std::stol((*at)[2]), expected[i].id);
      if (expected[i].id > 10) {
        EXPECT_EQ((*at)[1], fmt::format("\"w\\\"{}\"", expected[i].id));
      }
      EXPECT_EQ(std::stof((*at)[3]), expected[i].weight);
    }
    EXPECT_EQ(i, expected.size());
  }
  const CommandResult best = tessera("embed splade texts.txt --top-k 2 --with-text");
  ASSERT_EQ(best.status, 0) << best.err;
  EXPECT_THAT(lines_of(best.out)[0],
              testing::StartsWith("{\"text\": \"brew tea\", \"sparse\": [{"));
  EXPECT_EQ(std::count(best.out.begin(), best.out.end(), '{'), 4 * 3);
}

TEST_F(SparseCliTest, TheHeaviestAreTheFirstOfAll) {
  const std::vector<std::string> all = lines_of(tessera("embed splade texts.txt").out);
  for (const int k : {1, 2, 17, 140}) {
    for (const char* threads : {"1", "2"}) {
      const CommandResult best =
          tessera(fmt::format("embed splade texts.txt --top-k {} --threads {}", k, threads));
      ASSERT_EQ(best.status, 0) << best.err;
      const std::vector<std::string> lines = lines_of(best.out);
      ASSERT_EQ(lines.size(), all.size());
      for (std::size_t i = 0; i < lines.size(); ++i) {
        std::string expected = all[i];
        std::size_t at = 0;
        for (int n = 0; n < k && at != std::string::npos; ++n) at = expected.find('}', at + 1);
        const std::size_t end = at == std::string::npos ? at : expected.find(", {", at);
        if (end != std::string::npos) expected.replace(end, std::string::npos, "]}");
        EXPECT_EQ(lines[i], expected) << k;
      }
    }
  }
  EXPECT_THAT(tessera("plan splade --no-measure --top-k 3 --json").out,
              HasSubstr(", top 3 in heaps\""));
}

TEST_F(SparseCliTest, WithoutATokenizerThereAreIdsAlone) {
  const std::string golden = TESSERA_SOURCE_DIR "/tests/golden/data/splade-bert";
  file("ids.txt", "2 17 19 3\n");
  const CommandResult one = tessera("embed " + golden + " --ids --top-k 1 < ids.txt");
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_THAT(one.out, testing::StartsWith("{\"sparse\": [{\"id\": "));
}

TEST_F(SparseCliTest, CsrFilesAreTheElementsThatAreNotZero) {
  ASSERT_EQ(tessera("embed splade texts.txt -o dense.npy").status, 0);
  const NpyMatrix dense = read_npy(path("dense.npy"));
  const CommandResult result = tessera("embed splade texts.txt -o sparse.npz");
  ASSERT_EQ(result.status, 0) << result.err;
  const std::string file = read_file(path("sparse.npz"));
  std::map<std::string, std::string> members;
  for (const ZipMember& member : read_stored_zip(std::as_bytes(std::span(file)), "sparse.npz")) {
    EXPECT_EQ(member.crc, zip_crc(member.data)) << member.name;
    members[member.name] = {reinterpret_cast<const char*>(member.data.data()), member.data.size()};
  }
  std::string indices, indptr(8, '\0'), data, shape;
  const auto append = [](std::string& to, auto value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  for (std::size_t i = 0; i < dense.rows * static_cast<std::size_t>(dense.width); ++i) {
    const auto column = static_cast<Index>(i) % dense.width;
    if (dense.values[i] != 0.0F) {
      append(indices, static_cast<std::int32_t>(column));
      append(data, dense.values[i]);
    }
    if (column + 1 == dense.width) append(indptr, static_cast<std::int64_t>(data.size() / 4));
  }
  append(shape, std::int64_t{4}), append(shape, std::int64_t{dense.width});
  const std::string count = fmt::format("({},)", data.size() / 4);
  EXPECT_EQ(members.size(), 5U);
  EXPECT_TRUE(members["indices.npy"] == npy_header("<i4", count) + indices);
  EXPECT_TRUE(members["indptr.npy"] == npy_header("<i8", "(5,)") + indptr);
  EXPECT_TRUE(members["format.npy"] == npy_header("|S3", "()") + "csr");
  EXPECT_TRUE(members["shape.npy"] == npy_header("<i8", "(2,)") + shape);
  EXPECT_TRUE(members["data.npy"] == npy_header("<f4", count) + data);
  ASSERT_EQ(tessera("embed splade texts.txt --top-k 3 -o three.npz").status, 0);
  EXPECT_LT(std::filesystem::file_size(path("three.npz")), file.size());
  ASSERT_EQ(sh("\"$TESSERA\" embed splade texts.txt --format npz | cat > pipe.npz").status, 0);
  EXPECT_TRUE(read_file(path("pipe.npz")) == file);
  expect_failure(tessera("embed model texts.txt -o x.npz"), 2, "expected --format npy");
  expect_failure(tessera("embed splade texts.txt --resume -o x.npz"), 2,
                 "--resume: got --format npz");
}

TEST_F(SparseCliTest, APlanNamesTheOp) {
  const CommandResult plan = tessera("plan splade --no-measure");
  ASSERT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("pooled_linear"));
  ASSERT_EQ(tessera("plan splade --no-measure --save plan.json").status, 0);
  const CommandResult with = tessera("embed splade texts.txt --plan plan.json");
  ASSERT_EQ(with.status, 0) << with.err;
  EXPECT_EQ(with.out, tessera("embed splade texts.txt").out);
}

TEST_F(SparseCliTest, ValgrindRunsTheProgramOfTheSameCount) {
  if (!meters::has_callgrind_requests()) GTEST_SKIP() << "built without Valgrind's header";
  std::filesystem::create_directories(path("bin"));
  file("bin/valgrind", "#!/bin/sh\necho \"$*\" > arguments\nexit 3\n");
  std::filesystem::permissions(path("bin/valgrind"), std::filesystem::perms::owner_all);
  const CommandResult result =
      sh("XDG_CACHE_HOME=\"$PWD\" PATH=\"$PWD/bin:$PATH\" \"$TESSERA\" profile splade --rows 9 "
         "--no-measure --meter callgrind --top-k 3");
  EXPECT_EQ(result.status, 1);
  const std::string arguments = sh("cat arguments").out;
  EXPECT_THAT(arguments, HasSubstr(" profile splade --rows 9 "));
  EXPECT_THAT(arguments, HasSubstr(" --top-k 3"));
}

TEST_F(SparseCliTest, BadCountsAreNamed) {
  expect_failure(tessera("embed model texts.txt --top-k 2"), 1,
                 "model: top_k: got 2, but no output of this BertModel is sparse");
  expect_failure(tessera("embed splade texts.txt --top-k 2 --output-name logits"), 2,
                 "--top-k: the output logits is not sparse");
  expect_failure(tessera("plan splade --no-measure --top-k 2 --output-name logits"), 2,
                 "--top-k: the output logits is not sparse");
  const std::string m3 = TESSERA_SOURCE_DIR "/tests/golden/data/bge-m3";
  for (const char* command : {"plan ", "profile ", "report ", "info "}) {
    expect_failure(tessera(command + m3 + " --top-k 2"), 2,
                   "--top-k: the output embedding is not sparse");
  }
  expect_failure(tessera("embed splade texts.txt --top-k 100000"), 1,
                 "splade: top_k: got 100000, expected 1 to 140");
  expect_failure(tessera("embed splade texts.txt --top-k 2 --format text"), 2,
                 "expected jsonl or npz");
  expect_failure(tessera("embed splade texts.txt --top-k 0"), 2, "--top-k");
}

}  // namespace
}  // namespace tessera::test
