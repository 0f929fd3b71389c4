// SPDX-License-Identifier: Apache-2.0
// Sets of characters, as Oniguruma writes them in [ ] and as PCRE2 is told of them.
//
// Oniguruma joins, complements and intersects classes to any depth; PCRE2 10.42 has one level of
// items, some of which cannot be complemented there. So a set is kept in three parts, and written
//   [in]              where it has nothing else, [^in] for its complement
//   (?:[in]|[^x]|a)   in general
//   (?:(?![in])(?!a)[x])   for its complement
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

struct CharacterSet {
  std::string in;                   ///< items of a PCRE2 class: its members
  std::vector<std::string> not_in;  ///< items of classes whose complements belong to it
  std::vector<std::string> atoms;   ///< patterns that match one of its characters each
  bool has_case = false;            ///< whether it has members by their case (\p{Lu})

  bool empty() const noexcept { return in.empty() && not_in.empty() && atoms.empty(); }
  void add(const CharacterSet& other);
  void add_complement(const CharacterSet& other);
  void add_range(char32_t first, char32_t last);

  /// The pattern that matches one member, or one character that is none.
  std::string pattern(bool complement) const;
};

/// Oniguruma counts the superscripts and fractions of Latin-1 among \w, but not inside brackets.
enum class Place : std::uint8_t { bare, in_brackets };

/// \s, \d, \w, \h by their letter in lower case.
CharacterSet set_of_escape(char letter, Place place);

/// What \p{name} and [:name:] stand for, in the Unicode version of the reference; an empty set: no
/// such name. Case, blanks, _ and - in it do not count.
CharacterSet set_of_property(std::string_view name, Place place);
CharacterSet set_of_posix_bracket(std::string_view name);

}  // namespace tessera::text
