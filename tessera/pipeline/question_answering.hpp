// SPDX-License-Identifier: Apache-2.0
// Questions and contexts of any length, through a question-answering head, to answers.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tessera/pipeline/answer_spans.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {

struct QuestionOptions {
  std::optional<Index> max_length =
      {};  ///< tokens of a window; nullopt: 384, or what the model takes
  std::optional<std::size_t> stride = {};  ///< nullopt: 128, or half of max_length if that is less
  AnswerOptions answers = {};
};

class QuestionAnswering {
 public:
  static constexpr Index kWindow = 384;
  static constexpr std::size_t kStride = 128;

  /// `package` must outlive it. Throws Error: unsupported_model for another head, or texts that are not
  /// read as they are given; not_found without a tokenizer; invalid_argument for a limit that the
  /// model cannot keep.
  QuestionAnswering(const models::Package& package, const QuestionOptions& options);

  /// The windows of `context` after `question`. Throws Error{invalid_argument}: an empty text, a
  /// question that leaves no room for the stride.
  std::vector<text::Encoding> windows(std::string_view question, std::string_view context) const;

  /// The answers in these windows.
  std::vector<Answer> answers(std::string_view context,
                              std::span<const AnswerWindow> windows) const;

 private:
  const models::Package& package_;
  TextInputs inputs_;
  std::size_t stride_;
  AnswerOptions options_;
};

}  // namespace tessera
