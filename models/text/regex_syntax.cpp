// SPDX-License-Identifier: Apache-2.0
#include "models/text/regex_syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "models/text/regex_class.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

constexpr int kMaxClassDepth = 16;

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool is_plain(char32_t c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int digit_value(char c, int base) noexcept {
  int v = base;
  if (is_digit(c)) v = c - '0';
  if (c >= 'a' && c <= 'f') v = c - 'a' + 10;
  if (c >= 'A' && c <= 'F') v = c - 'A' + 10;
  return v < base ? v : -1;
}

// Characters that fold to several: ß to ss. Oniguruma finds either by the other, PCRE2 does not.
bool folds_to_several(char32_t c) noexcept {
  return c == 0xDF || c == 0x130 || c == 0x149 || c == 0x1F0 || c == 0x390 || c == 0x3B0 ||
         c == 0x587 || (c >= 0x1E96 && c <= 0x1E9A) || c == 0x1E9E ||
         (c >= 0x1F50 && c <= 0x1FFC) || (c >= 0xFB00 && c <= 0xFB06) ||
         (c >= 0xFB13 && c <= 0xFB17);
}

// Whether `a` and `b` in a row are what one of these folds to.
bool are_folded(char32_t a, char32_t b) noexcept {
  const auto lower = [](char32_t c) { return c >= 'A' && c <= 'Z' ? c + 0x20 : c; };
  constexpr std::u32string_view kPairs[] = {U"ss", U"ff", U"fi", U"fl", U"st"};
  return std::any_of(std::begin(kPairs), std::end(kPairs), [&](std::u32string_view pair) {
    return pair[0] == lower(a) && pair[1] == lower(b);
  });
}

void append_literal(char32_t c, std::string& out) {
  if (is_plain(c)) {
    out += static_cast<char>(c);
  } else {
    out += fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(c));
  }
}

// One pass over the pattern; `out_` grows by what each piece becomes.
class Translator {
 public:
  Translator(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where) {
    for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
      if (pattern[i] != '\\') continue;
      const char c = pattern[++i];
      refers_ = refers_ || (c >= '1' && c <= '9') || c == 'k';
    }
  }

  std::string translate() {
    groups_.push_back({});
    while (!at_end()) {
      piece();
      if (out_.size() > kMostBytes)
        unsupported("classes that need more than 1 MiB to be spelled out");
    }
    if (groups_.size() > 1) bad("a group that does not end");
    close_options();
    return std::move(out_);
  }

 private:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20;  // of what is made of a pattern
  static constexpr int kMostRepeats = 100;                         // PCRE2 nests 250 groups

  struct Options {
    bool ignore_case = false;
    bool dot_all = false;
    bool extended = false;
  };
  struct Group {
    Options outside;        // of the group, to return to
    std::size_t begin = 0;  // in out_
    int options = 0;        // groups that options without a colon have opened inside
  };

  bool at_end() const noexcept { return next_ >= pattern_.size(); }
  char peek(std::size_t ahead = 0) const noexcept {
    return next_ + ahead < pattern_.size() ? pattern_[next_ + ahead] : '\0';
  }
  bool take(std::string_view text) noexcept {
    if (!pattern_.substr(next_).starts_with(text)) return false;
    next_ += text.size();
    return true;
  }
  char32_t take_character() noexcept {
    const Decoded d = decode_utf8(pattern_.data() + next_);
    next_ += d.length;
    return d.c;
  }

  [[noreturn]] void complain(ErrorCode code, std::string_view got,
                             std::string_view expected) const {
    throw Error(code, fmt::format("{} is the regular expression \"{}\" with {} at byte {}, "
                                  "expected {}",
                                  where_, pattern_.substr(0, 500), got, next_, expected));
  }
  [[noreturn]] void bad(std::string_view got) const {
    complain(ErrorCode::corrupt_file, got, "one that Oniguruma reads");
  }
  [[noreturn]] void unsupported(std::string_view got) const {
    complain(ErrorCode::unsupported_model, got, "one that PCRE2 can express");
  }

  // What a quantifier would repeat begins here.
  void begin_atom() {
    atom_ = out_.size();
    is_quantified_ = false;
    repeats_ = 0;
  }
  void emit(std::string_view text) {
    begin_atom();
    out_ += text;
  }
  void emit_literal(char32_t c) {
    begin_atom();
    if (options_.ignore_case &&
        (folds_to_several(c) || (literal_end_ == out_.size() && are_folded(literal_, c)))) {
      unsupported("several characters that fold to one");
    }
    append_literal(c, out_);
    literal_ = c;
    literal_end_ = out_.size();
  }
  void emit_set(const CharacterSet& set, bool complement) {
    // A property outside brackets is not folded.
    const bool keeps_case = options_.ignore_case && set.has_case;
    emit((keeps_case ? "(?-i:" : "") + set.pattern(complement) + (keeps_case ? ")" : ""));
  }
  void emit_anchor(std::string_view text) {
    out_ += text;
    atom_.reset();
  }

  void piece() {
    const char c = peek();
    if (options_.extended && skip_extended()) return;
    if (c == '\\') {
      ++next_;
      escape();
    } else if (c == '[') {
      ++next_;
      emit(bracket());
    } else if (c == '(') {
      open_group();
    } else if (c == ')') {
      close_group();
    } else if (c == '*' || c == '+' || c == '?' || (c == '{' && interval())) {
      quantifier();
    } else if (c == '|' || c == '^' || c == '$') {
      ++next_;
      emit_anchor(std::string_view(&c, 1));
    } else if (c == '.') {
      ++next_;
      emit(options_.dot_all ? "(?s:.)" : "\\N");
    } else {
      emit_literal(take_character());
    }
  }

  bool skip_extended() {
    if (peek() == '#') {
      next_ = std::min(pattern_.find('\n', next_), pattern_.size());
      return true;
    }
    if (std::string_view(" \t\n\v\f\r").find(peek()) == std::string_view::npos) return false;
    ++next_;
    return true;
  }

  // --- escapes ----------------------------------------------------------------------------------

  char32_t number(int base, std::size_t max_digits) {
    std::uint32_t value = 0;
    std::size_t count = 0;
    for (; count < max_digits && digit_value(peek(), base) >= 0; ++count, ++next_) {
      value = value * static_cast<std::uint32_t>(base) +
              static_cast<std::uint32_t>(digit_value(peek(), base));
    }
    if (count == 0) bad("a number without digits");
    return value;
  }

  char32_t scalar(char32_t c) const {
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) bad("a number that is no character");
    return c;
  }

  // The character that an escape stands for in and outside brackets; nothing if it is none.
  std::optional<char32_t> escaped_character() {
    const char c = peek();
    switch (c) {
      case 't':
        ++next_;
        return U'\t';
      case 'n':
        ++next_;
        return U'\n';
      case 'r':
        ++next_;
        return U'\r';
      case 'f':
        ++next_;
        return U'\f';
      case 'v':
        ++next_;
        return U'\v';
      case 'a':
        ++next_;
        return U'\a';
      case 'e':
        ++next_;
        return U'\x1B';
      case 'x': {
        ++next_;
        if (take("{")) {
          const char32_t x = scalar(number(16, 8));
          if (!take("}")) bad("\\x{ that does not end");
          return x;
        }
        const char32_t x = number(16, 2);
        if (x >= 0x80) unsupported("a byte that is no ASCII");
        return x;
      }
      case 'u':
        ++next_;
        return scalar(number(16, 4));
      case '0':
        return scalar(number(8, 3));
      case 'c':
      case 'C':
      case 'M':
        unsupported("a control or meta escape");
      default:
        return std::nullopt;
    }
  }

  // \d \s \w \h and \p{...}, or their complements.
  bool escaped_set(Place place, CharacterSet& set, bool& complement) {
    const char c = peek();
    constexpr std::string_view kSets = "dswhDSWH";
    if (const std::size_t at = kSets.find(c); at != std::string_view::npos) {
      ++next_;
      set = set_of_escape(kSets[at % 4], place);
      complement = at >= 4;
      return true;
    }
    if ((c != 'p' && c != 'P') || peek(1) != '{') return false;
    const std::size_t end = pattern_.find('}', next_);
    if (end == std::string_view::npos) bad("a property that does not end");
    std::string_view name = pattern_.substr(next_ + 2, end - next_ - 2);
    complement = c == 'P';
    if (name.starts_with('^')) {
      complement = !complement;
      name.remove_prefix(1);
    }
    set = set_of_property(name, place);
    if (set.empty()) unsupported(fmt::format("the property {{{}}}", name));
    next_ = end + 1;
    return true;
  }

  void escape() {
    if (at_end()) bad("a backslash at its end");
    CharacterSet set;
    bool complement = false;
    if (escaped_set(Place::bare, set, complement)) return emit_set(set, complement);
    if (const auto c = escaped_character()) return emit_literal(*c);
    const char c = peek();
    if (c >= '1' && c <= '9') return reference();
    if (c == 'k') return named_reference();
    switch (c) {
      case 'R':
        ++next_;
        return emit("(?>\\x{D}\\x{A}|[\\x{A}-\\x{D}\\x{85}\\x{2028}\\x{2029}])");
      case 'N':
        ++next_;
        return emit("\\N");
      case 'O':
        ++next_;
        return emit("(?s:.)");
      case 'A':
      case 'Z':
      case 'z':
        ++next_;
        return emit_anchor(std::string("\\") + c);
      case 'b':
      case 'B':
        ++next_;
        return boundary(c == 'B');
      case 'X':
      case 'K':
      case 'G':
      case 'g':
      case 'y':
      case 'Y':
        unsupported(fmt::format("\\{}", c));
      default:
        emit_literal(take_character());
    }
  }

  void boundary(bool complement) {
    const std::string word = set_of_escape('w', Place::bare).pattern(false);
    const auto look = [&](bool before, bool after) {
      return fmt::format("(?<{}{})(?{}{})", before ? '=' : '!', word, after ? '=' : '!', word);
    };
    out_ += fmt::format("(?:{}|{})", look(true, complement), look(false, !complement));
    atom_.reset();
  }

  void reference() {
    if (!is_digit(peek(1))) {
      emit(fmt::format("\\g{{{}}}", peek()));
      ++next_;
      return;
    }
    const bool octal = digit_value(peek(), 8) >= 0 && digit_value(peek(1), 8) >= 0;
    if (!octal) unsupported("a reference beyond \\9");
    emit_literal(scalar(number(8, 3)));
  }

  void named_reference() {
    const std::size_t end = pattern_.find('>', next_);
    if (peek(1) != '<' || end == std::string_view::npos) unsupported("this form of \\k");
    const std::string_view name = pattern_.substr(next_ + 2, end - next_ - 2);
    if (name.empty() || !std::all_of(name.begin(), name.end(), [](char x) {
          return x == '_' || is_plain(static_cast<unsigned char>(x));
        })) {
      unsupported("this form of \\k");
    }
    emit(fmt::format("\\k<{}>", name));
    next_ = end + 1;
  }

  // --- brackets ---------------------------------------------------------------------------------

  // What a class in brackets matches; `next_` is behind its bracket.
  std::string bracket() {
    bool complement = false;
    const CharacterSet set = read_bracket(0, complement);
    if (options_.ignore_case && set.has_case) unsupported("a property of case that is folded");
    return set.pattern(complement);
  }

  CharacterSet read_bracket(int depth, bool& complement) {
    if (depth > kMaxClassDepth) unsupported("classes this deep in each other");
    complement = take("^");
    CharacterSet set;
    std::vector<CharacterSet> intersected;
    bool is_first = true;
    for (;; is_first = false) {
      if (at_end()) bad("a class that does not end");
      if (peek() == ']' && !(is_first && has_later_bracket())) break;
      if (take("&&")) {
        intersected.push_back(std::move(set));
        set = {};
      } else if (peek() == '[') {
        ++next_;
        if (!posix_bracket(set)) {
          bool inner_complement = false;
          const CharacterSet inner = read_bracket(depth + 1, inner_complement);
          add(inner, inner_complement, set);
        }
      } else {
        member(set);
      }
    }
    ++next_;
    if (!intersected.empty()) set = intersection(intersected, set);
    if (set.empty()) bad("an empty class");
    return set;
  }

  static void add(const CharacterSet& more, bool complement, CharacterSet& set) {
    if (complement) {
      set.add_complement(more);
    } else {
      set.add(more);
    }
  }

  CharacterSet intersection(const std::vector<CharacterSet>& sets, const CharacterSet& last) const {
    CharacterSet both;
    std::string atom = "(?:";
    for (const CharacterSet& s : sets) {
      if (s.empty() || last.empty()) unsupported("an intersection with nothing");
      atom += "(?=" + s.pattern(false) + ")";
      both.has_case = both.has_case || s.has_case;
    }
    both.has_case = both.has_case || last.has_case;
    both.atoms.push_back(atom + last.pattern(false) + ")");
    return both;
  }

  bool has_later_bracket() const noexcept {
    return pattern_.find(']', next_ + 1) != std::string_view::npos;
  }

  // [:alpha:] and [:^alpha:]; `next_` is behind the first bracket.
  bool posix_bracket(CharacterSet& set) {
    if (peek() != ':') return false;
    constexpr std::size_t kLongest = 20;  // "^alphabetic" is shorter
    std::string_view name = pattern_.substr(next_ + 1, kLongest);
    const std::size_t length = name.find(":]");
    if (length == std::string_view::npos) return false;
    const std::size_t end = next_ + 1 + length;
    name = name.substr(0, length);
    const bool complement = name.starts_with('^');
    if (complement) name.remove_prefix(1);
    const CharacterSet named = set_of_posix_bracket(name);
    if (named.empty()) bad(fmt::format("the bracket [:{}:]", name));
    add(named, complement, set);
    next_ = end + 2;
    return true;
  }

  // A set by its escape, a character, or a range of two.
  void member(CharacterSet& set) {
    const auto first = character_of_class(set);
    if (!first) return;
    if (peek() != '-' || peek(1) == ']' || peek(1) == '\0' || peek(1) == '[') {
      if (options_.ignore_case && folds_to_several(*first)) {
        unsupported("several characters that fold to one");
      }
      set.add_range(*first, *first);
      return;
    }
    ++next_;
    const auto last = character_of_class(set);
    if (!last) bad("a set at the end of a range");
    if (*last < *first) bad("a range that runs backwards");
    set.add_range(*first, *last);
  }

  // The next character, or nothing where the next was a set, which is added to `set`.
  std::optional<char32_t> character_of_class(CharacterSet& set) {
    if (!take("\\")) return take_character();
    if (at_end()) bad("a backslash at its end");
    CharacterSet named;
    bool complement = false;
    if (escaped_set(Place::in_brackets, named, complement)) {
      add(named, complement, set);
      return std::nullopt;
    }
    if (const auto c = escaped_character()) return c;
    if (take("b")) return U'\b';
    if (digit_value(peek(), 8) >= 0) return scalar(number(8, 3));
    return take_character();
  }

  // --- groups -----------------------------------------------------------------------------------

  void push_group(std::string_view text) {
    groups_.push_back({options_, out_.size(), 0});
    out_ += text;
    atom_.reset();
  }

  void close_options() { out_.append(static_cast<std::size_t>(groups_.back().options), ')'); }

  void open_group() {
    ++next_;
    if (!take("?")) {
      if (peek() == '*') unsupported("a callout");
      return push_group(refers_ ? "(" : "(?:");
    }
    for (const std::string_view look : {":", "=", "!", ">", "<=", "<!"}) {
      if (take(look)) return push_group(fmt::format("(?{}", look));
    }
    if (take("#")) {
      const std::size_t end = pattern_.find(')', next_);
      if (end == std::string_view::npos) bad("a comment that does not end");
      next_ = end + 1;
    } else if (peek() == '<') {
      const std::size_t end = pattern_.find('>', next_);
      if (end == std::string_view::npos) bad("a name that does not end");
      const std::string_view name = pattern_.substr(next_ + 1, end - next_ - 1);
      next_ = end + 1;
      push_group(fmt::format("(?<{}>", name));
    } else {
      option_group();
    }
  }

  void option_group() {
    Options options = options_;
    bool on = true;
    for (;; ++next_) {
      const char c = peek();
      if (c == '-') {
        on = false;
      } else if (c == 'i') {
        options.ignore_case = on;
      } else if (c == 'm') {
        options.dot_all = on;
      } else if (c == 'x') {
        options.extended = on;
      } else if (c == ':' || c == ')') {
        break;
      } else if (c == '\0' || c == 's' || c == 'u') {
        bad("a group with an option that there is not");
      } else {
        unsupported(fmt::format("a group that begins with (?{}", c));
      }
    }
    const std::string_view text = options.ignore_case ? "(?i:" : "(?-i:";
    if (peek() == ':') {
      push_group(text);
    } else {  // until the end of the group around it, its alternatives included
      out_ += text;
      ++groups_.back().options;
      atom_.reset();
    }
    ++next_;
    options_ = options;
  }

  void close_group() {
    if (groups_.size() == 1) bad("a parenthesis that closes no group");
    ++next_;
    close_options();
    out_ += ')';
    options_ = groups_.back().outside;
    atom_ = groups_.back().begin;
    is_quantified_ = false;
    groups_.pop_back();
  }

  // --- quantifiers ------------------------------------------------------------------------------

  // Whether {n}, {n,}, {,m} or {n,m} stands here; fills `low_`, `high_` and `length_`.
  bool interval() {
    std::size_t i = 1;
    const auto digits = [&] {
      const std::size_t begin = i;
      while (is_digit(peek(i))) ++i;
      return pattern_.substr(next_ + begin, i - begin);
    };
    low_ = digits();
    is_exact_ = peek(i) == '}';
    if (peek(i) == ',') {
      ++i;
      high_ = digits();
    } else {
      high_ = low_;
    }
    if (peek(i) != '}' || (low_.empty() && high_.empty())) return false;
    length_ = i + 1;
    return true;
  }

  void quantifier() {
    if (!atom_) bad("nothing to repeat");
    if (is_quantified_) {
      if (++repeats_ > kMostRepeats) unsupported("one quantifier upon another too often");
      out_.insert(*atom_, "(?:");
      out_ += ')';
    }
    is_quantified_ = true;
    if (peek() != '{') {
      out_ += peek();
      ++next_;
      if (peek() == '?' || peek() == '+') {
        out_ += peek();
        ++next_;
      }
      return;
    }
    next_ += length_;
    if (is_exact_) {
      out_ += fmt::format("{{{}}}", low_);
      if (take("?")) {
        out_.insert(*atom_, "(?:");
        out_ += ")?";
      }
      return;
    }
    out_ += fmt::format("{{{},{}}}", low_.empty() ? "0" : low_, high_);
    if (take("?")) out_ += '?';
  }

  std::string_view pattern_;
  std::string_view where_;
  std::size_t next_ = 0;
  std::string out_;
  bool refers_ = false;  // whether groups need their numbers
  Options options_;
  std::vector<Group> groups_;
  std::optional<std::size_t> atom_;
  bool is_quantified_ = false;
  int repeats_ = 0;       // quantifiers upon the first one
  char32_t literal_ = 0;  // the last one, and where it ends in out_
  std::size_t literal_end_ = std::string::npos;
  std::string_view low_;  // of the interval at hand
  std::string_view high_;
  bool is_exact_ = false;
  std::size_t length_ = 0;
};

}  // namespace

std::string to_pcre2(std::string_view pattern, std::string_view where) {
  return Translator(pattern, where).translate();
}

std::string literal_pattern(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const Decoded d = decode_utf8(text.data() + i);
    append_literal(d.c, out);
    i += d.length;
  }
  return out;
}

}  // namespace tessera::text
