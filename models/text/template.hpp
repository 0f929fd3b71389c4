// SPDX-License-Identifier: Apache-2.0
// What surrounds the sequences: the "post_processor" of a tokenizer.json as one list of pieces.
//
//   BertProcessing      [CLS]:0 A:0 [SEP]:0          [CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1
//   RobertaProcessing   <s>:0 A:0 </s>:0             <s>:0 A:0 </s>:0 </s>:0 B:0 </s>:0
//   none                A:0                          A:0 B:1
//   TemplateProcessing  as written
// The number behind a colon is the type id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::text {

struct TemplatePiece {
  enum class Kind : std::uint8_t { first, second, special };
  Kind kind;
  std::int32_t type_id = 0;
  std::vector<std::int32_t> ids;  ///< of a special piece
};

struct Template {
  std::vector<TemplatePiece> single;
  std::vector<TemplatePiece> pair;
  /// RobertaProcessing: white space that an added token took with it is cut off its offsets …
  bool trim_offsets = false;
  /// … except for a single leading space of the first token.
  bool add_prefix_space = false;

  std::size_t special_count(bool is_pair) const noexcept;

  static Template bert(std::int32_t cls, std::int32_t sep);
  static Template roberta(std::int32_t cls, std::int32_t sep);
  static Template none();
};

}  // namespace tessera::text
