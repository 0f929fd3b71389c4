// SPDX-License-Identifier: Apache-2.0
#include "models/text/sentencepiece.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <string>
#include <unordered_set>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera::text {
namespace {

enum class Wire : std::uint8_t { varint = 0, eight_bytes = 1, bytes = 2, four_bytes = 5 };

struct Field {
  std::uint64_t number;
  Wire wire;
  std::uint64_t varint;    // of a varint
  std::string_view bytes;  // of the others
};

// Takes the fields of one message, in order. `rest` lies in the file, so that every complaint can
// say where.
class Message {
 public:
  Message(std::string_view where, const char* file, std::string_view bytes)
      : where_(where), file_(file), rest_(bytes) {}

  bool is_done() const noexcept { return rest_.empty(); }

  Field next() {
    const std::uint64_t key = varint();
    Field field{key >> 3, static_cast<Wire>(key & 7), 0, {}};
    if (field.number == 0 || field.number >= 1U << 29) {
      complain(fmt::format("field number {}", field.number), "1 to 536870911");
    }
    switch (field.wire) {
      case Wire::varint:
        field.varint = varint();
        break;
      case Wire::eight_bytes:
        field.bytes = take(8);
        break;
      case Wire::bytes:
        field.bytes = take(varint());
        break;
      case Wire::four_bytes:
        field.bytes = take(4);
        break;
      default:
        complain(fmt::format("field {} of type {}", field.number, key & 7), "0, 1, 2 or 5");
    }
    return field;
  }

  Message message(const Field& field) const { return {where_, file_, bytes(field)}; }
  std::string_view bytes(const Field& field) const {
    expect(field, Wire::bytes);
    return field.bytes;
  }
  std::int64_t integer(const Field& field) const {
    expect(field, Wire::varint);
    return static_cast<std::int64_t>(field.varint);
  }
  float number(const Field& field) const {
    expect(field, Wire::four_bytes);
    std::uint32_t bits = 0;
    for (std::size_t i = 4; i-- > 0;) {
      bits = bits << 8 | static_cast<unsigned char>(field.bytes[i]);
    }
    return std::bit_cast<float>(bits);
  }

  [[noreturn]] void complain(const std::string& got, std::string_view expected) const {
    throw Error(ErrorCode::corrupt_file, fmt::format("{}: before byte {} there is {}, expected {}",
                                                     where_, rest_.data() - file_, got, expected));
  }

 private:
  void expect(const Field& field, Wire wire) const {
    if (field.wire == wire) return;
    complain(fmt::format("field {} of type {}", field.number, static_cast<int>(field.wire)),
             fmt::format("type {}", static_cast<int>(wire)));
  }

  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) {
      complain(fmt::format("a value of {} bytes", count),
               fmt::format("at most {}, which are left", rest_.size()));
    }
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(count));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) complain("a varint without an end", "one of at most 10 bytes");
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    complain("a varint of more than 10 bytes", "at most 10");
  }

  std::string_view where_;
  const char* file_;  // where the file begins
  std::string_view rest_;
};

SentencePieceModel::Piece read_piece(Message message) {
  SentencePieceModel::Piece out;
  while (!message.is_done()) {
    const Field field = message.next();
    if (field.number == 1) {
      out.piece = message.bytes(field);
    } else if (field.number == 2) {
      out.score = static_cast<double>(message.number(field));
    } else if (field.number == 3) {
      const std::int64_t type = message.integer(field);
      if (type < 1 || type > static_cast<int>(SentencePieceModel::Type::byte)) {
        message.complain(fmt::format("a piece of type {}", type), "1 to 6");
      }
      out.type = static_cast<SentencePieceModel::Type>(type);
    }
  }
  if (out.piece.empty()) message.complain("an empty piece", "at least one character");
  if (!is_utf8(out.piece)) message.complain("a piece that is not UTF-8", "UTF-8");
  if (!std::isfinite(out.score)) {
    message.complain(fmt::format("the score {} of piece \"{}\"", out.score, out.piece),
                     "a finite number");
  }
  return out;
}

void read_trainer_spec(Message message, SentencePieceModel& out) {
  while (!message.is_done()) {
    const Field field = message.next();
    if (field.number == 3) out.model_type = message.integer(field);
    if (field.number == 40) out.unk_id = message.integer(field);
  }
}

void read_normalizer_spec(Message message, SentencePieceModel& out) {
  while (!message.is_done()) {
    const Field field = message.next();
    if (field.number == 2) out.precompiled_charsmap = message.bytes(field);
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view where,
                                       std::size_t max_pieces) {
  SentencePieceModel out;
  std::unordered_set<std::string_view> known;
  Message message(where, bytes.data(), bytes);
  while (!message.is_done()) {
    const Field field = message.next();
    if (field.number == 1) {
      const SentencePieceModel::Piece piece = read_piece(message.message(field));
      if (!known.insert(piece.piece).second) {
        message.complain(fmt::format("piece {}, \"{}\", which is an earlier one again",
                                     out.pieces.size(), piece.piece),
                         "distinct pieces");
      }
      if (out.pieces.size() == max_pieces) {
        message.complain("one piece more", fmt::format("at most {}", max_pieces));
      }
      out.pieces.push_back(piece);
    } else if (field.number == 2) {
      read_trainer_spec(message.message(field), out);
    } else if (field.number == 3) {
      read_normalizer_spec(message.message(field), out);
    }
  }
  return out;
}

}  // namespace tessera::text
