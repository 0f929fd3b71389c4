// SPDX-License-Identifier: Apache-2.0
// Writes SentencePiece models for tests: protocol buffers of the fields that Tessera reads.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

inline std::string varint(std::uint64_t x) {
  std::string out;
  for (; x >= 0x80; x >>= 7) out.push_back(static_cast<char>(x | 0x80));
  out.push_back(static_cast<char>(x));
  return out;
}
inline std::string varint_field(std::uint64_t number, std::uint64_t value) {
  return varint(number << 3) + varint(value);
}
inline std::string bytes_field(std::uint64_t number, std::string_view bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
inline std::string float_field(std::uint64_t number, float value) {
  std::string out = varint(number << 3 | 5);
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<char>(std::bit_cast<std::uint32_t>(value) >> shift & 0xFF));
  }
  return out;
}

struct SmallPiece {
  std::string piece;
  float score = 0;
  int type = 1;  // 2 unknown, 3 control, 4 user-defined
};

inline std::string piece_field(const SmallPiece& p) {
  std::string piece = bytes_field(1, p.piece) + float_field(2, p.score);
  if (p.type != 1) piece += varint_field(3, static_cast<std::uint64_t>(p.type));
  return bytes_field(1, piece);
}

struct SmallSentencePiece {
  std::vector<SmallPiece> pieces;
  std::uint64_t model_type = 1;
  std::uint64_t unk_id = 0;
  std::string charsmap;

  std::string bytes() const {
    std::string out;
    for (const SmallPiece& p : pieces) out += piece_field(p);
    // With fields that nobody reads, of every type.
    const std::string trainer = bytes_field(2, "prefix") + varint_field(3, model_type) +
                                varint_field(4, 32000) + float_field(10, 0.9995F) +
                                varint_field(40, unk_id);
    std::string normalizer = bytes_field(1, "nmt_nfkc");
    if (!charsmap.empty()) normalizer += bytes_field(2, charsmap);
    return out + bytes_field(2, trainer) + bytes_field(3, normalizer) +
           bytes_field(4, bytes_field(1, "self test"));
  }
};

}  // namespace tessera::text
