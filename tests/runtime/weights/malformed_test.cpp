// SPDX-License-Identifier: Apache-2.0
// The reader against tests/data/malformed_safetensors (verdicts of a strict reader) and against
// mutations of valid files: it accepts or throws Error, and never reads outside the file.
#include <gmock/gmock.h>

#include <random>
#include <sstream>
#include <vector>

#include "tests/runtime/weights/files.hpp"

namespace tessera {
namespace {

using test::file_of;
using test::message_of;
using testing::HasSubstr;

const std::filesystem::path kFolder = TESSERA_SOURCE_DIR "/tests/data/malformed_safetensors";

struct Verdict {
  std::string file;
  std::string verdict;  // accept, reject, either, reject-or-unused
  std::string reason;
};

void PrintTo(const Verdict& v, std::ostream* out) {
  *out << v.file << ": " << v.verdict;
}

std::vector<Verdict> read_verdicts() {
  std::ifstream in(kFolder / "INDEX.tsv");
  std::vector<Verdict> result;
  std::string line;
  std::getline(in, line);  // the column names
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    Verdict v;
    std::getline(fields, v.file, '\t');
    std::getline(fields, v.verdict, '\t');
    std::getline(fields, v.reason);
    result.push_back(v);
  }
  return result;
}

/// Sums all bytes of all tensors, so that a wrong pointer or size is met by the sanitizers.
std::uint64_t touch(const SafetensorsFile& file) {
  std::uint64_t sum = 0;
  for (const StoredTensor& tensor : file.tensors()) {
    EXPECT_EQ(file.find(tensor.name), &tensor);
    EXPECT_EQ(static_cast<std::uint64_t>(tensor.elements()) *
                  static_cast<std::uint64_t>(bits_of(tensor.type)),
              tensor.bytes * 8);
    for (std::size_t i = 0; i < tensor.bytes; ++i) sum += std::to_integer<unsigned>(tensor.data[i]);
  }
  return sum;
}

class MalformedTest : public testing::TestWithParam<Verdict> {};

TEST_P(MalformedTest, VerdictIsThatOfAStrictReader) {
  const Verdict& expected = GetParam();
  const std::filesystem::path path = kFolder / expected.file;
  ASSERT_TRUE(std::filesystem::exists(path));
  bool accepted = false;
  try {
    touch(SafetensorsFile::open(path));
    accepted = true;
  } catch (const Error& e) {
    EXPECT_STREQ(to_string(e.code()), "corrupt_file");
    EXPECT_THAT(e.what(), HasSubstr(path.string() + ": "));
    EXPECT_THAT(e.what(), HasSubstr("expected"));
  }
  if (expected.verdict == "accept") {
    EXPECT_TRUE(accepted) << expected.reason;
  }
  if (expected.verdict.starts_with("reject")) {
    EXPECT_FALSE(accepted) << expected.reason;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, MalformedTest, testing::ValuesIn(read_verdicts()),
                         [](const testing::TestParamInfo<Verdict>& p) {
                           return p.param.file.substr(0, p.param.file.find('.'));
                         });

TEST(MalformedSetTest, IndexAndFilesAgree) {
  const std::vector<Verdict> verdicts = read_verdicts();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    files += entry.path().extension() == ".safetensors" ? 1U : 0U;
  }
  EXPECT_EQ(verdicts.size(), files);
  EXPECT_GE(files, 50U);
}

/// A header, the bytes after it, and what the message must say.
struct Case {
  const char* name;
  std::string header;
  std::size_t buffer_bytes;
  const char* message;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class MalformedHeaderTest : public testing::TestWithParam<Case> {};

TEST_P(MalformedHeaderTest, IsRefusedWithAReason) {
  const Case& c = GetParam();
  const test::TemporaryDirectory folder;
  const auto path = folder / "x.safetensors";
  test::write_text(path, file_of(c.header, c.buffer_bytes));
  const std::string message =
      message_of(ErrorCode::corrupt_file, [&] { SafetensorsFile::open(path); });
  EXPECT_THAT(message, HasSubstr(path.string() + ": "));
  EXPECT_THAT(message, HasSubstr(c.message));
}

std::string tensor_a(const char* dtype, const char* shape, const char* offsets) {
  return std::string(R"({"a":{"dtype":")") + dtype + R"(","shape":)" + shape +
         R"(,"data_offsets":)" + offsets + "}}";
}

INSTANTIATE_TEST_SUITE_P(
    Headers, MalformedHeaderTest,
    testing::Values(
        Case{"NulAfterTheObject", std::string("{}\0\0", 4), 0, "malformed"},
        Case{"NulInAName", std::string("{\"a\0b\":1}", 9), 0, "malformed"},
        Case{"ByteOrderMark", "\xEF\xBB\xBF{}", 0, "begins with"},
        Case{"EscapedNulIsANameButNotAnObject", R"({"a\u0000b":1})", 0, R"("a\u0000b")"},
        Case{"MetadataTwice", R"({"__metadata__":{},"__metadata__":{}})", 0, "twice"},
        Case{"MetadataKeyTwice", R"({"__metadata__":{"k":"1","k":"2"}})", 0, "twice"},
        Case{"MetadataNumber", R"({"__metadata__":{"k":1}})", 0, R"("k" is 1, expected a string)"},
        Case{"FieldTwice", R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
             1, "occur 2, 1, 1 times"},
        Case{"LowerCaseType", tensor_a("f32", "[1]", "[0,4]"), 4, R"(dtype is "f32")"},
        Case{"HoleInFront", tensor_a("U8", "[4]", "[4,8]"), 8, "hole"},
        Case{"EmptyTensorBehindTheEnd", tensor_a("F32", "[0]", "[4,4]"), 0, "<= 0"},
        Case{"FloatOffsets", tensor_a("U8", "[1]", "[0.0,1.0]"), 1, "0.0"},
        Case{"OffsetAbove64Bits", tensor_a("U8", "[1]", "[0,18446744073709551616]"), 1, "2^63-1"},
        Case{"ExtentAbove63Bits", tensor_a("U8", "[9223372036854775808]", "[0,1]"), 1, "2^63-1"},
        Case{"BooleanExtent", tensor_a("U8", "[true]", "[0,1]"), 1, "true"},
        Case{"ThreeOffsets", tensor_a("U8", "[1]", "[0,1,1]"), 1, "[0,1,1]"},
        Case{"HalfAByte", tensor_a("F4", "[3]", "[0,2]"), 2, "12 bits"},
        Case{"ZeroTimesTooMuch", tensor_a("F32", "[0,4611686018427387904,4]", "[0,0]"), 0, "2^63"},
        Case{"DeepArray",
             tensor_a("U8", (std::string(5000, '[') + std::string(5000, ']')).c_str(), "[0,1]"), 1,
             "deep"},
        Case{"OnlyALengthPrefixOfAHugeName", R"({")" + std::string(5000, 'n') + R"(":1})", 0,
             "..."}),
    [](const testing::TestParamInfo<Case>& p) { return p.param.name; });

TEST(MalformedFileTest, WhatPeopleMistakeForACheckpointIsNamed) {
  const test::TemporaryDirectory folder;
  const auto path = folder / "x.safetensors";
  test::write_text(path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  EXPECT_THAT(message_of(ErrorCode::corrupt_file, [&] { SafetensorsFile::open(path); }),
              HasSubstr("Git LFS pointer"));
  test::write_text(path, std::string("PK\x03\x04") + std::string(60, '\x7f'));
  EXPECT_THAT(message_of(ErrorCode::corrupt_file, [&] { SafetensorsFile::open(path); }),
              HasSubstr("zip archive"));
}

/// Random edits of valid files: flips, cuts, insertions, copied runs, changed digits.
std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  const std::string_view alphabet = "{}[]\",:0123456789-+.eE\\u \x00\xff\xc0\x80";
  const std::size_t edits = 1 + below(4);
  for (std::size_t i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t at = below(text.size());
    switch (below(6)) {
      case 0:
        text[at] = static_cast<char>(below(256));
        break;
      case 1:
        text[at] = alphabet[below(alphabet.size())];
        break;
      case 2:
        text.erase(at, 1 + below(8));
        break;
      case 3:
        text.insert(at, 1, alphabet[below(alphabet.size())]);
        break;
      case 4:
        text.insert(at, text.substr(below(text.size()), 1 + below(40)));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

TEST(MalformedFuzzTest, MutationsOfValidFilesAreAcceptedOrRefusedCleanly) {
  const test::TemporaryDirectory folder;
  const auto path = folder / "x.safetensors";
  std::vector<std::string> seeds;
  for (const Verdict& v : read_verdicts()) {
    if (v.verdict == "accept") seeds.push_back(test::read_text(kFolder / v.file));
  }
  ASSERT_FALSE(seeds.empty());
  std::mt19937 random(20240607);
  int accepted = 0;
  constexpr int kRuns = 6000;
  for (int run = 0; run < kRuns; ++run) {
    std::string text = mutated(seeds[static_cast<std::size_t>(run) % seeds.size()], random);
    if (run % 2 == 0 &&
        text.size() >= 8) {  // repair the length, to get deeper than the first check
      const std::size_t end = text.rfind('}');
      const auto length =
          static_cast<std::uint64_t>(end == std::string::npos || end < 8 ? 0 : end - 7);
      std::memcpy(text.data(), &length, sizeof length);
    }
    test::write_text(path, text);
    try {
      touch(SafetensorsFile::open(path));
      ++accepted;
    } catch (const Error& e) {
      ASSERT_STREQ(to_string(e.code()), "corrupt_file") << e.what();
    }
  }
  EXPECT_GT(accepted, 0);  // edits of data bytes and names leave a file valid
  EXPECT_LT(accepted, kRuns / 2);
}

}  // namespace
}  // namespace tessera
