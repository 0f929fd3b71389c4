// SPDX-License-Identifier: Apache-2.0
// A regular expression of a tokenizer file, and its matches in a text.
//
// PCRE2 (by JIT where the machine has one) finds them; regex_syntax.hpp says what that takes. A
// text is searched once from left to right. A pattern that backtracks without end is an error:
// steps are limited for each place where a match may begin, time for the whole text.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tessera::text {

struct RegexLimits {
  /// Of one place: what Oniguruma allows too.
  std::uint32_t steps = 10'000'000;
  std::uint32_t heap_kib = std::uint32_t{512} << 10;
  /// Of all texts of one RegexSearch, the words of one text. The clock is looked at before each and
  /// between windows of it: within a window steps are the limit.
  std::chrono::milliseconds time{10'000};
  /// On top of that, for every MiB of it.
  std::chrono::milliseconds time_per_mib{10'000};
};

/// Immutable: copies share it, and any number of threads may search with it at once.
class Regex {
 public:
  /// `where` opens complaints ("tokenizer.json: pre_tokenizer.pattern.Regex").
  ///
  /// Errors    corrupt_file: not a regular expression; unsupported_model: one that PCRE2 cannot
  ///           express. Both show the pattern.
  Regex(std::string_view pattern, std::string_view where, const RegexLimits& limits = {});
  /// Matches `text` itself.
  static Regex literal(std::string_view text, std::string_view where);

  /// As the file has it.
  const std::string& pattern() const noexcept;

 private:
  friend class RegexSearch;
  struct Compiled;

  Regex(std::string_view shown, const std::string& translated, std::string_view where,
        const RegexLimits& limits);

  std::shared_ptr<const Compiled> compiled_;
};

/// The search of one caller, through one text or the words of one; its time begins when it is made.
class RegexSearch {
 public:
  struct Match {
    std::size_t begin;  ///< in bytes
    std::size_t end;    ///< may be `begin`, but not where the match before ends
  };

  explicit RegexSearch(const Regex& regex);
  ~RegexSearch();
  RegexSearch(RegexSearch&&) noexcept;
  RegexSearch& operator=(RegexSearch&&) noexcept;

  /// Begins anew with `text`, valid UTF-8 that must outlive the matches.
  void start(std::string_view text);

  /// The next match, leftmost first.
  ///
  /// Errors    invalid_argument: a limit was reached; shows the pattern and the place.
  std::optional<Match> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::text
