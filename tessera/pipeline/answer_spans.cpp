// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/answer_spans.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "models/text/python_text.hpp"
#include "models/text/unicode.hpp"

namespace tessera {
namespace {

struct Span {
  std::size_t begin, end;  // tokens, both in it
  double score;
};

/// Softmax of `logits` (T, 1) over the tokens of the context, and the first where it is [CLS].
std::vector<double> probabilities(const TensorView<const float>& logits,
                                  const text::Encoding& encoding, bool has_cls) {
  std::vector<double> p(encoding.size(), 0.0);
  const auto each = [&](const auto& body) {
    if (has_cls) body(std::size_t{0});
    for (std::size_t t = encoding.last_text[0]; t < encoding.last_text[1]; ++t) body(t);
  };
  const auto logit = [&](std::size_t t) {
    return static_cast<double>(logits.row(static_cast<Index>(t))[0]);
  };
  double largest = -std::numeric_limits<double>::infinity(), sum = 0.0;
  each([&](std::size_t t) { largest = std::max(largest, logit(t)); });
  each([&](std::size_t t) { sum += p[t] = std::exp(logit(t) - largest); });
  each([&](std::size_t t) { p[t] /= sum; });
  return p;
}

/// So many spans of a window are looked at: some of them become the same answer.
std::size_t candidates_of(const AnswerOptions& options) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / 2 - 10;
  return 2 * std::min(options.count, kMost) + 10;
}

/// The candidates: the spans of the highest score, falling, ties by place.
std::vector<Span> best_spans(const std::vector<double>& p, const std::vector<double>& q,
                             const std::array<std::uint32_t, 2>& context,
                             const AnswerOptions& options) {
  const std::size_t most = candidates_of(options);
  std::vector<Span> spans;  // a heap: the worst is at its front
  const auto is_better = [](const Span& a, const Span& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  };
  for (std::size_t i = context[0]; i < context[1]; ++i) {
    const std::size_t end = std::min<std::size_t>(context[1], i + options.max_tokens);
    for (std::size_t j = i; j < end; ++j) {
      const Span span{i, j, p[i] * q[j]};
      if (!(span.score > 0.0)) continue;
      if (spans.size() == most) {
        if (!is_better(span, spans.front())) continue;
        std::pop_heap(spans.begin(), spans.end(), is_better);
        spans.pop_back();
      }
      spans.push_back(span);
      std::push_heap(spans.begin(), spans.end(), is_better);
    }
  }
  std::sort_heap(spans.begin(), spans.end(), is_better);
  return spans;
}

/// The code points of the words that the span begins and ends in.
std::pair<std::uint32_t, std::uint32_t> words_of(const Span& span, const text::Encoding& encoding) {
  std::size_t first = span.begin, last = span.end;
  while (encoding.opens_word[first] == 0) --first;
  while (last + 1 < encoding.last_text[1] && encoding.opens_word[last + 1] == 0) ++last;
  return {encoding.offsets[first][0], encoding.offsets[last][1]};
}

}  // namespace

std::vector<Answer> find_answers(std::string_view context, std::span<const AnswerWindow> windows,
                                 std::optional<std::int32_t> cls_id, const AnswerOptions& options) {
  std::vector<Answer> answers;
  std::unordered_map<std::string, std::size_t>
      known;  // place in answers by the text, in lower case
  const std::vector<std::uint32_t> bytes = text::code_point_offsets(context);
  double no_answer = std::numeric_limits<double>::infinity();
  for (const AnswerWindow& window : windows) {
    const text::Encoding& encoding = window.encoding;
    const bool has_cls = cls_id && encoding.size() > 0 && encoding.ids[0] == *cls_id;
    const std::vector<double> p = probabilities(window.start_logits, encoding, has_cls),
                              q = probabilities(window.end_logits, encoding, has_cls);
    no_answer = std::min(no_answer, has_cls ? p[0] * q[0] : 0.0);
    for (const Span& span : best_spans(p, q, encoding.last_text, options)) {
      const auto [begin, end] = words_of(span, encoding);
      std::string answer(context.substr(bytes[begin], bytes[end] - bytes[begin]));
      const auto [at, is_new] = known.try_emplace(text::lower_case(answer), answers.size());
      if (is_new) {
        answers.push_back({begin, end, std::move(answer), span.score});
      } else {
        answers[at->second].score += span.score;
      }
    }
  }
  if (options.may_be_none) {
    answers.push_back({0, 0, "", no_answer});
  } else if (answers.empty()) {  // no token may be in one
    answers.push_back({0, 0, "", 0.0});
  }
  std::stable_sort(answers.begin(), answers.end(),
                   [](const Answer& a, const Answer& b) { return a.score > b.score; });
  if (answers.size() > options.count) answers.resize(options.count);
  return answers;
}

}  // namespace tessera
