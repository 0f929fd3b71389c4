// SPDX-License-Identifier: Apache-2.0
// Answers and entities, as places in the caller's texts, and labels that are asked for.
#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "models/text/unicode.hpp"
#include "runtime/base/float_environment.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/text_parts.hpp"
#include "tessera/pipeline/entities.hpp"
#include "tessera/pipeline/question_answering.hpp"
#include "tessera/pipeline/zero_shot.hpp"

namespace tessera::c_api {
namespace {

constexpr tessera_span kNoSpan{0, 0, 0, 0, -std::numeric_limits<float>::infinity(), -1};

/// One call: the texts, and what becomes of each.
struct Call {
  Call(tessera_session* handle, const tessera_texts* given, const tessera_run_options* options)
      : session(session_table().get(handle)),
        limits(read_run_options(options)),
        texts(given, "texts"),
        items(limits.item_status, "text") {
    items.begin(texts.size());
  }

  const models::Package& package() const { return session->any().model->package(); }
  TextParts parts() { return {*session, items, limits}; }

  std::shared_ptr<SharedSession> session;
  RunLimits limits;
  GivenTexts texts;
  ItemStatuses items;
};

AnswerOptions read_answer_options(const tessera_answer_options& given, std::size_t k) {
  require(given.max_answer_tokens >= 0, "max_answer_tokens is {}, expected at least 1, or 0",
          given.max_answer_tokens);
  AnswerOptions options;
  options.count = k;
  options.may_be_none = checked_flag(given.may_be_none, "may_be_none");
  if (given.max_answer_tokens > 0) {
    options.max_tokens = static_cast<std::size_t>(given.max_answer_tokens);
  }
  return options;
}

/// `bytes`: where the code points of the text begin.
tessera_span span_of(const std::vector<std::uint32_t>& bytes, std::uint32_t begin,
                     std::uint32_t end, double score, std::int32_t label) {
  return {begin, end, bytes[begin], bytes[end], static_cast<float>(score), label};
}

/// nullopt for −1.
std::optional<std::size_t> read_stride(std::int64_t stride) {
  require(stride >= -1, "stride is {}, expected at least 0, or -1", stride);
  return stride < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(stride));
}

/// The class of the model that has the name of a group: "PER" is B-PER.
std::int32_t class_of(const std::vector<std::string>& labels, const std::string& name) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == name || labels[i].substr(labels[i].find('-') + 1) == name) {
      return static_cast<std::int32_t>(i);
    }
  }
  return -1;
}

std::vector<text::Encoding> entity_windows(const TextInputs& inputs, std::string_view text,
                                           std::optional<std::size_t> stride) {
  if (stride) return inputs.encode_windows(text, {}, *stride);
  std::vector<text::Encoding> one;
  one.push_back(inputs.encode(text));
  return one;
}

}  // namespace
}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_find_answers(tessera_session* session, const tessera_texts* texts,
                                    const tessera_run_options* options,
                                    const tessera_answer_options* answer_options, size_t k,
                                    tessera_span* answers, size_t capacity) {
  return guard([&] {
    const FloatEnvironment floats;
    Call call(session, texts, options);
    tessera_answer_options given = TESSERA_ANSWER_OPTIONS_INIT;
    if (answer_options != nullptr) given = read_struct(answer_options, "tessera_answer_options");
    require(k >= 1, "k is 0, expected at least 1");
    require(call.texts.size() == 0 || call.texts.has_pairs(),
            "texts.pairs is NULL, expected the context of each question");
    const TextOptions reading = call.texts.options();
    require(!reading.truncation && !call.texts.has_prompt() && !call.texts.wants_cuts(),
            "texts: got truncation, a prompt or is_cut, expected none: questions are read as they "
            "are, contexts in windows");
    std::size_t count = 0;
    require(!__builtin_mul_overflow(call.texts.size(), k, &count) && count <= capacity,
            "answers: capacity is {}, expected at least {} x {}", capacity, call.texts.size(), k);
    const std::span<tessera_span> out = checked_span(answers, count, "answers");
    const QuestionAnswering answering(call.package(), {.max_length = reading.max_length,
                                                       .stride = read_stride(given.stride),
                                                       .answers = read_answer_options(given, k)});
    TextParts parts = call.parts();
    for (std::size_t s = 0; s < call.texts.size(); ++s) {
      const std::string_view question = call.texts.text(s), context = call.texts.pair(s);
      parts.add([&] { return answering.windows(question, context); });
    }
    constexpr std::array<const char*, 2> kOutputs{"start_logits", "end_logits"};
    parts.compute(kOutputs);
    std::vector<tessera_span> found(count, kNoSpan);
    for (std::size_t s = 0; s < call.texts.size(); ++s) {
      std::vector<AnswerWindow> windows;
      for (std::size_t p = parts.begin(s); p < parts.end(s); ++p) {
        windows.push_back({parts.encoding(p), parts.output(p, 0), parts.output(p, 1)});
      }
      if (windows.empty()) continue;
      call.limits.check();
      const auto bytes = text::code_point_offsets(call.texts.pair(s));
      std::size_t place = s * k;
      for (const Answer& answer : answering.answers(call.texts.pair(s), windows)) {
        found[place++] = span_of(bytes, answer.begin, answer.end, answer.score, -1);
      }
    }
    call.items.write();
    std::copy(found.begin(), found.end(), out.begin());
  });
}

tessera_status tessera_find_entities(tessera_session* session, const tessera_texts* texts,
                                     const tessera_run_options* options, tessera_grouping grouping,
                                     int64_t stride, tessera_span* entities, size_t capacity,
                                     int64_t* offsets) {
  return guard([&] {
    const FloatEnvironment floats;
    Call call(session, texts, options);
    const auto how =
        static_cast<EntityGrouping>(checked_enum(grouping, TESSERA_GROUP_MAX, "tessera_grouping"));
    const std::optional<std::size_t> windows = read_stride(stride);
    require(!windows || how != EntityGrouping::none,
            "stride is {} with TESSERA_GROUP_NONE, expected -1", stride);
    require(!call.texts.has_pairs(), "texts.pairs is given, expected NULL");
    require(!call.texts.has_prompt(),
            "texts.prompt is given, expected NULL: places are those of the text as given");
    checked(offsets, "offsets");
    const auto out = checked_span(entities, capacity, "entities");
    const models::Package& package = call.package();
    require_labelled_tokens(package);
    const TextInputs inputs(package, call.texts.options());
    TextParts parts = call.parts();
    for (std::size_t s = 0; s < call.texts.size(); ++s) {
      const std::string_view text = call.texts.text(s);
      parts.add([&] { return entity_windows(inputs, text, windows); });
    }
    constexpr std::array<const char*, 1> kOutputs{"logits"};
    parts.compute(kOutputs);
    const EntityFinder finder(*package.tokenizer, package.labels, how);
    std::vector<std::vector<Entity>> found;
    std::vector<unsigned char> cuts;
    std::size_t count = 0;
    for (std::size_t s = 0; s < call.texts.size(); ++s) {
      std::vector<EntityWindow> of_text;
      cuts.push_back(0);
      for (std::size_t p = parts.begin(s); p < parts.end(s); ++p) {
        of_text.push_back({parts.encoding(p), parts.output(p, 0)});
        if (parts.encoding(p).is_cut) cuts.back() = 1;
      }
      call.limits.check();
      found.push_back(finder(text::replace_invalid_utf8(call.texts.text(s)), of_text));
      count += found.back().size();
    }
    require(count <= capacity, "entities: capacity is {}, expected at least {}", capacity, count);
    call.items.write();
    call.texts.write_cuts(cuts);
    std::size_t place = 0;
    offsets[0] = 0;
    for (std::size_t s = 0; s < found.size(); ++s) {
      const auto bytes = text::code_point_offsets(call.texts.text(s));
      for (const Entity& entity : found[s]) {
        out[place++] = span_of(bytes, entity.begin, entity.end, entity.score,
                               class_of(package.labels, entity.label));
      }
      offsets[s + 1] = static_cast<std::int64_t>(place);
    }
  });
}

tessera_status tessera_classify_texts(tessera_session* session, const tessera_texts* texts,
                                      const tessera_run_options* options, const char* const* labels,
                                      size_t label_count, const char* hypothesis,
                                      uint32_t are_independent, float* probabilities,
                                      size_t capacity) {
  return guard([&] {
    const FloatEnvironment floats;
    Call call(session, texts, options);
    require(!call.texts.has_pairs(), "texts.pairs is given, expected NULL");
    const models::Package& package = call.package();
    const ZeroShot zero_shot(package, read_names(labels, label_count, "labels"),
                             hypothesis == nullptr ? ZeroShot::kTemplate : hypothesis,
                             checked_flag(are_independent, "are_independent"));
    std::size_t count = 0;
    require(!__builtin_mul_overflow(call.texts.size(), label_count, &count) && count <= capacity,
            "probabilities: capacity is {}, expected at least {} x {}", capacity, call.texts.size(),
            label_count);
    const std::span<float> out = checked_span(probabilities, count, "probabilities");
    TextOptions reading = call.texts.options();
    if (reading.truncation != text::TruncationStrategy::do_not_truncate) {
      reading.truncation = text::TruncationStrategy::only_first;  // so that no label is cut
    }
    const TextInputs inputs(package, reading);
    TextParts parts = call.parts();
    for (std::size_t s = 0; s < call.texts.size(); ++s) {
      const std::string_view text = call.texts.text(s);
      parts.add([&] {
        const PairFirst premise = inputs.pair_start(text);
        std::vector<text::Encoding> encodings;
        for (const std::string& each : zero_shot.hypotheses()) {
          encodings.push_back(inputs.encode(premise, each));
        }
        return encodings;
      });
    }
    constexpr std::array<const char*, 1> kOutputs{"logits"};
    parts.compute(kOutputs);
    call.items.write();
    std::vector<unsigned char> cuts;
    for (std::size_t s = 0; s < call.texts.size(); ++s) {
      std::vector<std::span<const float>> logits;
      cuts.push_back(0);
      for (std::size_t p = parts.begin(s); p < parts.end(s); ++p) {
        logits.push_back(parts.output(p, 0).row(0));
        if (parts.encoding(p).is_cut) cuts.back() = 1;
      }
      if (logits.empty()) continue;
      const std::vector<double> scores = zero_shot(logits);
      std::transform(scores.begin(), scores.end(),
                     out.begin() + static_cast<std::ptrdiff_t>(s * label_count),
                     [](double score) { return static_cast<float>(score); });
    }
    call.texts.write_cuts(cuts);
  });
}
