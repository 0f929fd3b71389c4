// SPDX-License-Identifier: Apache-2.0
#include "models/text/sentencepiece.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/models/text/small_sentencepiece.hpp"

namespace tessera::text {
namespace {

constexpr std::size_t kMany = 1000;

SmallSentencePiece small_model() {
  SmallSentencePiece m;
  m.pieces = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}, {"▁a", -1.5F}, {"<x>", 0, 4}};
  m.unk_id = 3;
  m.charsmap = "a map";
  return m;
}

TEST(SentencePieceTest, ReadsWhatATokenizerIsMadeOf) {
  const std::string bytes = small_model().bytes();
  const SentencePieceModel m = parse_sentencepiece(bytes, "spiece.model", kMany);
  ASSERT_EQ(m.pieces.size(), 5u);
  EXPECT_EQ(m.pieces[3].piece, "▁a");
  EXPECT_EQ(m.pieces[3].score, -1.5);
  EXPECT_EQ(m.pieces[3].type, SentencePieceModel::Type::normal);
  EXPECT_EQ(m.pieces[0].type, SentencePieceModel::Type::unknown);
  EXPECT_EQ(m.pieces[1].type, SentencePieceModel::Type::control);
  EXPECT_EQ(m.pieces[4].type, SentencePieceModel::Type::user_defined);
  EXPECT_EQ(m.model_type, 1);
  EXPECT_EQ(m.unk_id, 3);
  EXPECT_EQ(m.precompiled_charsmap, "a map");
}

TEST(SentencePieceTest, WhatIsNotThereHasTheDefaultsOfTheFormat) {
  const SentencePieceModel m = parse_sentencepiece("", "spiece.model", kMany);
  EXPECT_TRUE(m.pieces.empty());
  EXPECT_EQ(m.model_type, SentencePieceModel::kUnigram);
  EXPECT_EQ(m.unk_id, 0);
  const SentencePieceModel negative =
      parse_sentencepiece(bytes_field(2, varint_field(40, ~std::uint64_t{0})), "x", kMany);
  EXPECT_EQ(negative.unk_id, -1);
}

std::string error_of_bytes(const std::string& bytes, std::size_t max_pieces = kMany) {
  try {
    parse_sentencepiece(bytes, "spiece.model", max_pieces);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
    return e.what();
  }
  return "no error";
}

TEST(SentencePieceTest, LyingFilesAreNamedWithTheirPlace) {
  EXPECT_EQ(error_of_bytes("\x0A\x05"
                           "abc"),
            "spiece.model: before byte 2 there is a value of 5 bytes, expected at most 3, which "
            "are left");
  // A length of 2⁶⁴ − 1 asks for no memory.
  EXPECT_EQ(error_of_bytes("\x0A" + varint(~std::uint64_t{0}) + "abc"),
            "spiece.model: before byte 11 there is a value of 18446744073709551615 bytes, expected "
            "at most 3, which are left");
  // A piece may not reach over the message that it is in.
  EXPECT_NE(error_of_bytes(bytes_field(1,
                                       "\x0A\x09"
                                       "abc") +
                           "0123456789")
                .find("value of 9 bytes"),
            std::string::npos);
  EXPECT_NE(error_of_bytes("\x0A").find("a varint without an end"), std::string::npos);
  EXPECT_NE(error_of_bytes(std::string(11, '\xFF')).find("more than 10 bytes"), std::string::npos);
  EXPECT_NE(error_of_bytes(std::string(1, '\0')).find("field number 0"), std::string::npos);
  EXPECT_NE(error_of_bytes("\x0B").find("field 1 of type 3, expected 0, 1, 2 or 5"),
            std::string::npos);
  EXPECT_NE(error_of_bytes(varint_field(1, 7)).find("field 1 of type 0, expected type 2"),
            std::string::npos);
  EXPECT_NE(error_of_bytes(bytes_field(1, bytes_field(1, "a") + varint_field(2, 0)))
                .find("field 2 of type 0, expected type 5"),
            std::string::npos);
}

TEST(SentencePieceTest, BadPiecesAreNamed) {
  const auto with = [](const SmallPiece& p) { return error_of_bytes(piece_field(p)); };
  EXPECT_NE(with({""}).find("an empty piece"), std::string::npos);
  EXPECT_NE(with({"\xFF"}).find("a piece that is not UTF-8"), std::string::npos);
  EXPECT_NE(with({"a", std::numeric_limits<float>::quiet_NaN()})
                .find("the score nan of piece \"a\", expected a finite number"),
            std::string::npos);
  EXPECT_NE(with({"a", -std::numeric_limits<float>::infinity()}).find("the score -inf"),
            std::string::npos);
  EXPECT_NE(with({"a", 0, 7}).find("a piece of type 7, expected 1 to 6"), std::string::npos);
  EXPECT_NE(error_of_bytes(piece_field({"a"}) + piece_field({"b"}) + piece_field({"a"}))
                .find("piece 2, \"a\", which is an earlier one again, expected distinct pieces"),
            std::string::npos);
  EXPECT_NE(error_of_bytes(piece_field({"a"}) + piece_field({"b"}), 1).find("expected at most 1"),
            std::string::npos);
}

// Cut anywhere, a file ends between two fields of the model or inside one.
TEST(SentencePieceTest, TruncatedFilesAreCorruptOrShorter) {
  const std::string whole = small_model().bytes();
  std::size_t corrupt = 0;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    try {
      EXPECT_LE(parse_sentencepiece(std::string_view(whole).substr(0, n), "x", kMany).pieces.size(),
                5u);
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::corrupt_file);
      ++corrupt;
    }
  }
  EXPECT_EQ(corrupt, whole.size() - 8);  // eight fields
}

TEST(SentencePieceTest, RandomBytesAreReadOrRefused) {
  std::minstd_rand random(9);
  const std::string whole = small_model().bytes();
  for (int round = 0; round < 50000; ++round) {
    std::string bytes = whole;
    for (auto n = 1 + random() % 5; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    try {
      for (const auto& p : parse_sentencepiece(bytes, "x", kMany).pieces) {
        ASSERT_FALSE(p.piece.empty());
      }
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::corrupt_file);
    }
  }
}

}  // namespace
}  // namespace tessera::text
