// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/question_answering.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "models/text/unicode.hpp"
#include "tessera/pipeline/encoder.hpp"

namespace tessera {
namespace {

const models::Package& require_answers(const models::Package& package) {
  const auto refuse = [&](const std::string& got, const char* expected) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: {} answers no questions: got {}, expected {}",
                            package.directory.string(), package.architecture, got, expected));
  };
  if (package.task != models::Task::question_answering) {
    refuse("no start_logits and end_logits among " + listed_outputs(package.program),
           "a class for question answering");
  }
  if (package.lower_case_first) {
    refuse("do_lower_case of sentence_bert_config.json",
           "texts that are read as given, since answers are places in them");
  }
  if (package.tokenizer && package.tokenizer->text_padding().side == text::Side::left) {
    refuse("padding_side left in tokenizer_config.json",
           "right: of the other the reference reads the context before the question");
  }
  return package;
}

TextOptions text_options(const models::Package& package, const QuestionOptions& options) {
  TextOptions out;
  out.max_length =
      options.max_length.value_or(std::min(QuestionAnswering::kWindow, package.max_tokens));
  out.truncation = text::TruncationStrategy::only_second;
  out.prompt = "";
  return out;
}

}  // namespace

QuestionAnswering::QuestionAnswering(const models::Package& package, const QuestionOptions& options)
    : package_(require_answers(package)),
      inputs_(package, text_options(package, options)),
      stride_(options.stride.value_or(
          std::min(static_cast<std::size_t>(inputs_.max_tokens()) / 2, kStride))),
      options_(options.answers) {}

std::vector<text::Encoding> QuestionAnswering::windows(std::string_view question,
                                                       std::string_view context) const {
  if (question.empty()) {
    throw Error(ErrorCode::invalid_argument, "got an empty question, expected a text");
  }
  if (context.empty()) {
    throw Error(ErrorCode::invalid_argument, "got an empty context, expected a text");
  }
  return inputs_.encode_windows(question, context, stride_);
}

std::vector<Answer> QuestionAnswering::answers(std::string_view context,
                                               std::span<const AnswerWindow> windows) const {
  return find_answers(text::replace_invalid_utf8(context), windows, package_.tokenizer->cls_id(),
                      options_);
}

}  // namespace tessera
