// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/answers.hpp"

#include <fmt/format.h>

#include <iterator>

#include "models/text/unicode.hpp"
#include "tessera/pipeline/json_text.hpp"
#include "tessera/pipeline/score_text.hpp"

namespace tessera {
namespace {

constexpr std::size_t kShownCharacters = 100;  // of a text, in the answer for people

// How many decimals tell falling scores apart, four at least and nine at most.
int decimals_of(const std::vector<double>& scores) {
  int decimals = 4;
  for (; decimals < 9; ++decimals) {
    const auto text = [&](double score) { return fmt::format("{:.{}f}", score, decimals); };
    bool tells = true;
    for (std::size_t i = 1; i < scores.size() && tells; ++i) {
      tells = scores[i] == scores[i - 1] || text(scores[i]) != text(scores[i - 1]);
    }
    if (tells) break;
  }
  return decimals;
}

std::vector<RankedText> ranks_of(const std::vector<Hit>& hits) {
  std::vector<RankedText> ranks;
  for (const Hit& hit : hits) {
    ranks.push_back({.row = hit.row, .score = static_cast<double>(hit.score)});
  }
  return ranks;
}

}  // namespace

std::string one_line(const std::string& text, std::size_t most) {
  std::string line = text::replace_invalid_utf8(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  if (text::count_code_points(line) <= most) return line;
  return std::string(code_points(line, 0, most - 3)) + "...";
}

std::string hits_text(const std::string& query, const std::vector<Hit>& hits,
                      const std::vector<Entry>& entries) {
  return ranks_text(query, ranks_of(hits), entries);
}

std::string hits_json(const std::string& query, const std::vector<Hit>& hits,
                      const std::vector<Entry>& entries) {
  return ranks_json(query, ranks_of(hits), entries);
}

std::string ranks_text(const std::string& query, const std::vector<RankedText>& ranks,
                       const std::vector<Entry>& entries) {
  std::string out = fmt::format("query: {}\n", one_line(query, kShownCharacters));
  std::vector<double> scores;
  for (const RankedText& rank : ranks) scores.push_back(rank.score);
  const int decimals = decimals_of(scores);
  for (std::size_t place = 0; place < ranks.size(); ++place) {
    const Entry& entry = entries[ranks[place].row];
    fmt::format_to(std::back_inserter(out), "{:>3}  {:{}.{}f}  ", place + 1, ranks[place].score,
                   decimals + 3, decimals);
    for (const std::string& column : entry.columns)
      out += one_line(column, kShownCharacters) + " | ";
    out += one_line(entry.text, kShownCharacters) + "\n";
  }
  return out;
}

std::string ranks_json(const std::string& query, const std::vector<RankedText>& ranks,
                       const std::vector<Entry>& entries) {
  std::string out = "{\"query\": ";
  append_json_string(out, query);
  out += ", \"hits\": [";
  for (std::size_t place = 0; place < ranks.size(); ++place) {
    const RankedText& rank = ranks[place];
    const Entry& entry = entries[rank.row];
    fmt::format_to(std::back_inserter(out), "{}{{\"line\": {}, ", place == 0 ? "" : ", ",
                   entry.line);
    if (!entry.id.empty()) out += fmt::format("\"id\": {}, ", entry.id);
    out += "\"score\": ";
    if (rank.logit) {
      out += score_text(rank.score) + ", \"logit\": ";
      append_json_float(out, *rank.logit);
    } else {
      append_json_float(out, static_cast<float>(rank.score));
    }
    out += ", \"text\": ";
    append_json_string(out, entry.text);
    out += ", \"columns\": [";
    for (std::size_t i = 0; i < entry.columns.size(); ++i) {
      if (i != 0) out += ", ";
      append_json_string(out, entry.columns[i]);
    }
    out += "]}";
  }
  return out + "]}\n";
}

std::string fits_text(const std::string& path, std::span<const std::string> texts,
                      std::span<const float> logits, const models::Similarity& similarity) {
  const std::vector<double> scores = probabilities(similarity, logits);
  std::string out;
  for (const std::size_t t : ranked(scores, scores.size())) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\n", path, texts[t],
                   score_text(static_cast<double>(logits[t])), probability_text(scores[t]));
  }
  return out;
}

std::string fits_json(const std::string& path, std::span<const std::string> texts,
                      std::span<const float> logits, const models::Similarity& similarity) {
  const std::vector<double> scores = probabilities(similarity, logits);
  std::string out = "{\"path\": ";
  append_json_string(out, path);
  out += ", \"texts\": [";
  bool is_first = true;
  for (const std::size_t t : ranked(scores, scores.size())) {
    out += is_first ? "{\"text\": " : ", {\"text\": ";
    append_json_string(out, texts[t]);
    out += ", \"logit\": ";
    append_json_float(out, logits[t]);
    out += ", \"probability\": ";
    out += score_text(scores[t]) + '}';
    is_first = false;
  }
  return out + "]}\n";
}

}  // namespace tessera
