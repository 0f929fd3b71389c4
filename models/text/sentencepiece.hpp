// SPDX-License-Identifier: Apache-2.0
// A SentencePiece model file: the fields of its ModelProto that a tokenizer is made of.
//
// The file is a protocol buffer, a sequence of fields: a varint (number << 3 | type), then a value
// of that type: 0 a varint, 1 eight bytes, 2 a varint length and as many bytes, 5 four bytes.
//
//   ModelProto       1 pieces (repeated)   2 trainer_spec   3 normalizer_spec
//   SentencePiece    1 piece (string)      2 score (float)  3 type
//   TrainerSpec      3 model_type          40 unk_id
//   NormalizerSpec   2 precompiled_charsmap (bytes)
//
// Other fields are skipped; their lengths are checked like all others. (google/sentencepiece,
// src/sentencepiece_model.proto)
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tessera::text {

/// Views are into the bytes that it was read from.
struct SentencePieceModel {
  enum class Type : std::uint8_t { normal = 1, unknown, control, user_defined, unused, byte };
  struct Piece {
    std::string_view piece;  ///< UTF-8, not empty, distinct
    double score = 0;        ///< finite
    Type type = Type::normal;
  };
  static constexpr std::int64_t kUnigram = 1;

  std::vector<Piece> pieces;
  std::int64_t model_type = kUnigram;
  std::int64_t unk_id = 0;
  std::string_view precompiled_charsmap;
};

/// Errors    corrupt_file: a value that ends behind the file or the message it is in, a field of
///           another type, a group, a piece that is empty, there twice or not UTF-8, a score that
///           is no finite number, more than `max_pieces` pieces. `where` opens the message.
SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view where,
                                       std::size_t max_pieces);

}  // namespace tessera::text
