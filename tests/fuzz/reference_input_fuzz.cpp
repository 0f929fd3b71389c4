// SPDX-License-Identifier: Apache-2.0
// `tessera run`: the tensors that a reference was called with. Any safetensors file gives sequences that
// the model takes, or an Error. The input is the header; the length in front of it is right, and so many
// bytes (the first of the input) repeat behind it.
#include <cstdint>
#include <cstring>
#include <map>
#include <span>

#include "runtime/base/files.hpp"
#include "tessera/pipeline/reference_tensors.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {
namespace {

struct Fixture {
  std::string config = read_committed("tests/golden/data/bert-model/config.json");
  std::string weights = read_committed("tests/golden/data/bert-model/model.safetensors");
  MemoryFiles files{{{"config.json", std::as_bytes(std::span(config))},
                     {"model.safetensors", std::as_bytes(std::span(weights))}}};
  models::Package package = models::open_package(files.directory());
};

}  // namespace

void run(std::string_view input) {
  static const Fixture with;
  if (input.size() < 3) return;
  const auto size = static_cast<unsigned char>(input[0]);
  const std::string_view values = input.substr(1, 2), header = input.substr(3);
  const auto length = static_cast<std::uint64_t>(header.size());
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file += header;
  for (unsigned i = 0; i < size; ++i) file += i % 8 < values.size() ? values[i % 8] : '\0';
  const MemoryFiles files({{"in.safetensors", std::as_bytes(std::span(file))}});
  const ReferenceInput read =
      ReferenceInput::open(files.directory() / "in.safetensors", with.package);
  require(std::ssize(read.tokens) == read.sequences, "there is one sequence for each row");
  for (const TokenSequence& sequence : read.tokens) {
    require(std::ssize(sequence.ids) <= read.padded_tokens, "a sequence is inside its row");
  }
}

Seeds seeds() {
  using std::string_literals::operator""s;
  return {
      {"ids", "\x30\5\0"s +
                  R"({"input_ids": {"dtype": "I64", "shape": [2, 3], "data_offsets": [0, 48]}})"},
      {"all", "\xC0\1\0"s +
                  R"({"input_ids": {"dtype": "I64", "shape": [2, 3], "data_offsets": [0, 48]},
 "attention_mask": {"dtype": "I64", "shape": [2, 3], "data_offsets": [48, 96]},
 "token_type_ids": {"dtype": "I64", "shape": [2, 3], "data_offsets": [96, 144]},
 "position_ids": {"dtype": "I64", "shape": [2, 3], "data_offsets": [144, 192]}})"},
      {"bool", "\x20\0\1"s +
                   R"({"input_ids": {"dtype": "I32", "shape": [1, 6], "data_offsets": [0, 24]},
 "attention_mask": {"dtype": "BOOL", "shape": [1, 6], "data_offsets": [24, 30]},
 "x": {"dtype": "U8", "shape": [2], "data_offsets": [30, 32]}})"}};
}

}  // namespace tessera::fuzz
