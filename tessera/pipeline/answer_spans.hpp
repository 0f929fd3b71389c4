// SPDX-License-Identifier: Apache-2.0
//
// Answers of a question-answering head: the spans of the context that begin and end best.
//
//   p(i) = softmax over the context and [CLS] of start_logits, q(j) of end_logits, window by window
//   score(i, j) = p(i) · q(j),   i ≤ j < i + max_tokens,   i and j in the context
//   no answer: p([CLS]) · q([CLS]), the least of the windows
//
// Of each window the best 2 · count + 10 count. A span is widened to the words that it begins and ends in;
// answers that are the same text, letters without their case, are one, where the first of them
// stands, and their scores are added: so windows that overlap can give more than 1.
// transformers 4.57, pipelines/question_answering.py. Not as there: spans of score 0, which end
// before they begin or are too long, are none, also where fewer than `count` are left.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.hpp"
#include "runtime/base/tensor_view.hpp"

namespace tessera {

struct AnswerOptions {
  std::size_t count = 1;        ///< answers of a question, at most
  std::size_t max_tokens = 15;  ///< of an answer
  bool may_be_none = false;     ///< "no answer" is one of the answers
};

struct Answer {
  std::uint32_t begin, end;  ///< code points of the context; 0, 0: there is none
  std::string text;
  double score;
};

/// One window of the context. Logits are (T, 1); `encoding` is of text::Tokenizer::encode_windows().
struct AnswerWindow {
  const text::Encoding& encoding;
  TensorView<const float> start_logits, end_logits;
};

/// The answers, one at least, best first, equal scores in the order of the windows and places. `context`: valid
/// UTF-8; `cls_id`: of the token that stands for no answer, at the head of each window.
std::vector<Answer> find_answers(std::string_view context, std::span<const AnswerWindow> windows,
                                 std::optional<std::int32_t> cls_id, const AnswerOptions& options);

}  // namespace tessera
