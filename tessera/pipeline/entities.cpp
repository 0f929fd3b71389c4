// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/entities.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {
namespace {

constexpr std::array kNames{"none", "simple", "first", "average", "max"};
constexpr const char* kOutside = "O";

std::size_t largest(const std::vector<double>& scores) {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

/// "B-PER" → begins, "PER"; a label without either prefix goes on.
struct Tag {
  bool begins;
  std::string_view name;
};
Tag tag_of(std::string_view label) {
  const bool begins = label.starts_with("B-");
  if (begins || label.starts_with("I-")) label.remove_prefix(2);
  return {begins, label};
}

/// Overlapping entities of the windows of one text: one of each chain is left.
std::vector<Entity> without_overlaps(std::vector<Entity> entities) {
  if (entities.empty()) return entities;
  std::stable_sort(entities.begin(), entities.end(),
                   [](const Entity& a, const Entity& b) { return a.begin < b.begin; });
  std::vector<Entity> out{entities.front()};
  for (Entity& entity : entities) {
    Entity& last = out.back();
    if (last.begin <= entity.begin && entity.begin < last.end) {
      const std::uint32_t length = entity.end - entity.begin, kept = last.end - last.begin;
      if (length > kept || (length == kept && entity.score > last.score)) last = entity;
    } else if (&entity != &entities.front()) {
      out.push_back(entity);
    }
  }
  return out;
}

}  // namespace

const char* to_string(EntityGrouping grouping) noexcept {
  return kNames[static_cast<std::size_t>(grouping)];
}

std::optional<EntityGrouping> grouping_from_string(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<EntityGrouping>(i);
  }
  return std::nullopt;
}

void require_labelled_tokens(const models::Package& package) {
  if (package.task != models::Task::token_classification) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{} finds no entities: got the outputs {}, expected logits of a class for "
                    "token classification",
                    package.architecture, listed_outputs(package.program)));
  }
  if (package.lower_case_first) {
    throw Error(ErrorCode::unsupported_model,
                "got do_lower_case of sentence_bert_config.json, expected texts that are read as "
                "given: entities are places in them");
  }
  if (!package.tokenizer) throw Error(ErrorCode::not_found, package.tokenizer_problem);
}

struct EntityFinder::Piece {
  std::uint32_t begin, end;
  bool goes_on;  // does not begin a word
  std::vector<double> scores;
};

EntityFinder::EntityFinder(text::Tokenizer tokenizer, std::vector<std::string> labels,
                           EntityGrouping grouping)
    : tokenizer_(std::move(tokenizer)), labels_(std::move(labels)), grouping_(grouping) {}

bool EntityFinder::goes_on(const std::u32string& text, std::int32_t id, std::uint32_t begin,
                           std::uint32_t end) const {
  if (id == tokenizer_.unk_id()) return false;
  if (tokenizer_.info().marks_continuations) {
    return text::count_code_points(tokenizer_.token(id)) != end - begin;
  }
  return begin > 0 && text.substr(begin - 1, 2).find(U' ') == std::u32string::npos;
}

std::vector<EntityFinder::Piece> EntityFinder::tokens(const std::u32string& text,
                                                      const EntityWindow& window) const {
  const text::Encoding& encoding = window.encoding;
  std::vector<Piece> pieces;
  for (std::size_t t = 0; t < encoding.size(); ++t) {
    if (encoding.special_mask[t] != 0) continue;
    const auto [begin, end] = encoding.offsets[t];
    pieces.push_back({begin, end, goes_on(text, encoding.ids[t], begin, end),
                      softmax(window.logits.row(static_cast<Index>(t)))});
  }
  return pieces;
}

EntityFinder::Piece EntityFinder::word(std::span<const Piece> tokens) const {
  Piece word = tokens.front();
  word.end = tokens.back().end;
  if (grouping_ == EntityGrouping::max) {
    const auto highest = [](const Piece& piece) { return piece.scores[largest(piece.scores)]; };
    word.scores = std::max_element(tokens.begin(), tokens.end(), [&](const auto& a, const auto& b) {
                    return highest(a) < highest(b);
                  })->scores;
  } else if (grouping_ == EntityGrouping::average) {
    for (std::size_t label = 0; label < word.scores.size(); ++label) {
      double sum = 0.0;
      for (const Piece& token : tokens) sum += token.scores[label];
      word.scores[label] = sum / static_cast<double>(tokens.size());
    }
  }
  return word;
}

std::vector<Entity> EntityFinder::groups(const std::vector<Piece>& pieces) const {
  std::vector<Entity> out;
  for (std::size_t i = 0; i < pieces.size();) {
    const std::string_view label = labels_[largest(pieces[i].scores)], name = tag_of(label).name;
    double sum = 0.0;
    std::size_t end = i;
    do {
      sum += pieces[end].scores[largest(pieces[end].scores)];
      ++end;
      if (end == pieces.size()) break;
      const Tag next = tag_of(labels_[largest(pieces[end].scores)]);
      if (next.begins || next.name != name) break;
    } while (true);
    const std::string_view shown = label.substr(label.find('-') + 1);
    if (shown != kOutside) {
      out.push_back({pieces[i].begin, pieces[end - 1].end, std::string(shown),
                     sum / static_cast<double>(end - i)});
    }
    i = end;
  }
  return out;
}

std::vector<Entity> EntityFinder::entities(const std::u32string& text,
                                           const EntityWindow& window) const {
  std::vector<Piece> pieces = tokens(text, window);
  if (grouping_ == EntityGrouping::none) {
    std::vector<Entity> out;
    for (const Piece& piece : pieces) {
      const std::size_t best = largest(piece.scores);
      if (labels_[best] == kOutside) continue;
      out.push_back({piece.begin, piece.end, labels_[best], piece.scores[best]});
    }
    return out;
  }
  if (grouping_ == EntityGrouping::simple) return groups(pieces);
  std::vector<Piece> words;
  for (std::size_t i = 0; i < pieces.size();) {
    std::size_t end = i + 1;
    while (end < pieces.size() && pieces[end].goes_on) ++end;
    words.push_back(word(std::span(pieces).subspan(i, end - i)));
    i = end;
  }
  return groups(words);
}

std::vector<Entity> EntityFinder::operator()(std::string_view text,
                                             std::span<const EntityWindow> windows) const {
  const std::u32string characters = text::code_points(text);
  std::vector<Entity> all;
  for (const EntityWindow& window : windows) {
    for (Entity& entity : entities(characters, window)) all.push_back(std::move(entity));
  }
  return windows.size() > 1 ? without_overlaps(std::move(all)) : all;
}

}  // namespace tessera
