// SPDX-License-Identifier: Apache-2.0
#include "models/text/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "models/text/regex_syntax.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

using Clock = std::chrono::steady_clock;

// A search without a match goes on at most this far at a time, and the clock is read after so many
// matches. Each place of a window may take all the steps that one place is allowed.
constexpr std::size_t kWindow = 64;
constexpr unsigned kMatchesPerLook = 256;

constexpr std::size_t kJitStackFirst = std::size_t{32} << 10;
constexpr std::size_t kJitStackMost = std::size_t{256} << 20;

struct Free {
  void operator()(pcre2_code* x) const noexcept { pcre2_code_free(x); }
  void operator()(pcre2_compile_context* x) const noexcept { pcre2_compile_context_free(x); }
  void operator()(pcre2_match_context* x) const noexcept { pcre2_match_context_free(x); }
  void operator()(pcre2_match_data* x) const noexcept { pcre2_match_data_free(x); }
  void operator()(pcre2_jit_stack* x) const noexcept { pcre2_jit_stack_free(x); }
};

PCRE2_SPTR bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(error, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

template <class T>
T* require(T* pointer) {
  if (pointer == nullptr) throw Error(ErrorCode::out_of_memory, "regular expression: no memory");
  return pointer;
}

}  // namespace

struct Regex::Compiled {
  std::string pattern;
  RegexLimits limits;
  std::unique_ptr<pcre2_code, Free> code;
};

Regex::Regex(std::string_view pattern, std::string_view where, const RegexLimits& limits)
    : Regex(pattern, to_pcre2(pattern, where), where, limits) {}

Regex Regex::literal(std::string_view text, std::string_view where) {
  return Regex(text, literal_pattern(text), where, RegexLimits{});
}

Regex::Regex(std::string_view shown, const std::string& translated, std::string_view where,
             const RegexLimits& limits) {
  const std::unique_ptr<pcre2_compile_context, Free> context(
      require(pcre2_compile_context_create(nullptr)));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE at = 0;
  std::unique_ptr<pcre2_code, Free> code(pcre2_compile(
      bytes_of(translated), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C,
      &error, &at, context.get()));
  if (!code) {
    const bool is_beyond_pcre2 = error == PCRE2_ERROR_LOOKBEHIND_NOT_FIXED_LENGTH ||
                                 error == PCRE2_ERROR_LOOKBEHIND_TOO_COMPLICATED ||
                                 error == PCRE2_ERROR_PATTERN_TOO_LARGE ||
                                 error == PCRE2_ERROR_PATTERN_TOO_COMPLICATED;
    throw Error(is_beyond_pcre2 ? ErrorCode::unsupported_model : ErrorCode::corrupt_file,
                fmt::format("{} is \"{}\", expected a regular expression that PCRE2 compiles: {}",
                            where, shown.substr(0, 500), message_of(error)));
  }
  // Without a JIT (another machine, a kernel that forbids it) the interpreter finds the same.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  auto compiled = std::make_shared<Compiled>();
  compiled->pattern = shown;
  compiled->limits = limits;
  compiled->code = std::move(code);
  compiled_ = std::move(compiled);
}

const std::string& Regex::pattern() const noexcept {
  return compiled_->pattern;
}

struct RegexSearch::State {
  explicit State(std::shared_ptr<const Regex::Compiled> regex)
      : compiled(std::move(regex)),
        data(require(pcre2_match_data_create(1, nullptr))),
        context(require(pcre2_match_context_create(nullptr))) {
    pcre2_set_match_limit(context.get(), compiled->limits.steps);
    pcre2_set_heap_limit(context.get(), compiled->limits.heap_kib);
  }

  [[noreturn]] void give_up(std::string_view why) const {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("tokenizer: the regular expression \"{}\" was given up at byte {} of a "
                            "text of {} ({}), expected one that matches or fails sooner",
                            compiled->pattern.substr(0, 500), from, text.size(), why));
  }

  void look_at_clock() const {
    const auto allowed = compiled->limits.time +
                         compiled->limits.time_per_mib * static_cast<std::int64_t>(all_bytes >> 20);
    if (Clock::now() - begun > allowed) {
      give_up(fmt::format("after {} ms", allowed.count()));
    }
  }

  // Whether there is a match that begins at `from` or in the window behind it.
  bool search(std::size_t last_begin) {
    pcre2_set_offset_limit(context.get(), last_begin);
    std::uint32_t options = PCRE2_NO_UTF_CHECK;
    int result = pcre2_match(compiled->code.get(), bytes_of(text), text.size(), from, options,
                             data.get(), context.get());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && !jit_stack) {
      jit_stack.reset(require(pcre2_jit_stack_create(kJitStackFirst, kJitStackMost, nullptr)));
      pcre2_jit_stack_assign(context.get(), nullptr, jit_stack.get());
      result = pcre2_match(compiled->code.get(), bytes_of(text), text.size(), from, options,
                           data.get(), context.get());
    }
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      options |= PCRE2_NO_JIT;
      result = pcre2_match(compiled->code.get(), bytes_of(text), text.size(), from, options,
                           data.get(), context.get());
    }
    if (result >= 0) return true;
    if (result != PCRE2_ERROR_NOMATCH) give_up(message_of(result));
    return false;
  }

  std::shared_ptr<const Regex::Compiled> compiled;
  std::unique_ptr<pcre2_match_data, Free> data;
  std::unique_ptr<pcre2_match_context, Free> context;
  std::unique_ptr<pcre2_jit_stack, Free> jit_stack;
  std::string_view text;
  std::size_t from = 0;
  std::optional<std::size_t> last_end;  // of the match before
  Clock::time_point begun = Clock::now();
  std::size_t all_bytes = 0;  // of this text and those before
  unsigned matches = 0;
};

RegexSearch::RegexSearch(const Regex& regex) : state_(std::make_unique<State>(regex.compiled_)) {}
RegexSearch::~RegexSearch() = default;
RegexSearch::RegexSearch(RegexSearch&&) noexcept = default;
RegexSearch& RegexSearch::operator=(RegexSearch&&) noexcept = default;

void RegexSearch::start(std::string_view text) {
  state_->text = text;
  state_->from = 0;
  state_->last_end.reset();
  state_->matches = 0;
  state_->all_bytes += text.size();
  state_->look_at_clock();
}

// As rust-onig's FindMatches: an empty match where the one before ends does not count, and the
// search goes on behind the next character.
std::optional<RegexSearch::Match> RegexSearch::next() {
  State& s = *state_;
  while (s.from <= s.text.size()) {
    const std::size_t last_begin = std::min(s.from + kWindow, s.text.size());
    if (!s.search(last_begin)) {
      if (last_begin == s.text.size()) break;
      s.look_at_clock();
      s.from = last_begin + 1;
      while (s.from < s.text.size() &&
             (static_cast<unsigned char>(s.text[s.from]) & 0xC0) == 0x80) {
        ++s.from;
      }
      continue;
    }
    if (++s.matches % kMatchesPerLook == 0) s.look_at_clock();
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(s.data.get());
    const Match match{range[0], range[1]};
    if (match.begin == match.end && s.last_end == match.end) {
      if (match.end == s.text.size()) break;
      s.from = match.end + decode_utf8(s.text.data() + match.end).length;
      continue;
    }
    s.from = match.end;
    s.last_end = match.end;
    return match;
  }
  s.from = s.text.size() + 1;
  return std::nullopt;
}

}  // namespace tessera::text
