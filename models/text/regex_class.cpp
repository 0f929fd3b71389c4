// SPDX-License-Identifier: Apache-2.0
#include "models/text/regex_class.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/regex_unicode.hpp"

namespace tessera::text {
namespace {

std::string loose(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return out;
}

constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kWordOfLatin1 = R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
constexpr std::string_view kSpace =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kHexDigit = "0-9A-Fa-f";

CharacterSet items(std::string_view base, std::initializer_list<std::string_view> properties) {
  CharacterSet set;
  set.in = base;
  for (const std::string_view p : properties) append_new_members(p, set.in);
  return set;
}

CharacterSet word(Place place) {
  CharacterSet set = items(kWord, {"Alphabetic", "L", "M", "Nd", "Pc"});
  if (place == Place::bare) set.in += kWordOfLatin1;
  return set;
}

// The general categories by their short names; "c" and "cn" are not among them.
constexpr std::string_view kCategories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc",
                                            "Me", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps",
                                            "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So",
                                            "Z",  "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs"};

struct LongName {
  std::string_view name;  // as loose() leaves it
  std::string_view category;
};
constexpr LongName kLongNames[] = {
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"combiningmark", "M"},
    {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"},
    {"enclosingmark", "Me"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punctuation", "P"},
    {"connectorpunctuation", "Pc"},
    {"dashpunctuation", "Pd"},
    {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"},
    {"initialpunctuation", "Pi"},
    {"finalpunctuation", "Pf"},
    {"otherpunctuation", "Po"},
    {"symbol", "S"},
    {"mathsymbol", "Sm"},
    {"currencysymbol", "Sc"},
    {"modifiersymbol", "Sk"},
    {"othersymbol", "So"},
    {"separator", "Z"},
    {"spaceseparator", "Zs"},
    {"lineseparator", "Zl"},
    {"paragraphseparator", "Zp"},
    {"other", "C"},
    {"control", "Cc"},
    {"format", "Cf"},
    {"privateuse", "Co"},
    {"surrogate", "Cs"},
    {"unassigned", "Cn"},
    {"punct", "P"},
    {"digit", "Nd"},
    {"cntrl", "Cc"},
};

CharacterSet set_of_category(std::string_view category) {
  CharacterSet set = items(fmt::format("\\p{{{}}}", category), {category});
  set.has_case = category == "Lu" || category == "Ll" || category == "Lt";
  return set;
}

// C and Cn shrink when characters are assigned.
CharacterSet set_of_unassigned(std::string_view category) {
  std::string assigned;
  for (const std::string_view p : {"L", "M", "N", "P", "S", "Z"}) append_new_members(p, assigned);
  if (category == "Cn") append_new_members("Cf", assigned);
  CharacterSet set;
  set.atoms.push_back(fmt::format("(?:(?![{}])\\p{{{}}})", assigned, category));
  return set;
}

CharacterSet set_of_posix(std::string_view name) {
  if (name == "alpha") return items(R"(\p{Alphabetic})", {"Alphabetic", "L"});
  if (name == "alnum") return items(R"(\p{Alphabetic}\p{Nd})", {"Alphabetic", "L", "Nd"});
  if (name == "space") return items(kSpace, {});
  if (name == "blank") return items(R"(\x{9}\p{Zs})", {});
  if (name == "xdigit") return items(kHexDigit, {});
  if (name == "ascii") return items(R"(\x{0}-\x{7F})", {});
  if (name == "any") return items(R"(\x{0}-\x{10FFFF})", {});
  if (name == "graph") {
    return items(R"(\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co})", {"L", "M", "N", "P", "S", "Cf"});
  }
  if (name == "print") {
    return items(R"(\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\p{Cf}\p{Co})", {"L", "M", "N", "P", "S", "Cf"});
  }
  CharacterSet set;
  if (name == "upper") set = items(R"(\p{Uppercase})", {"Lu"});
  if (name == "lower") set = items(R"(\p{Lowercase})", {"Ll", "Lowercase"});
  set.has_case = !set.empty();
  return set;
}

std::string class_of(std::string_view items, bool complement) {
  return fmt::format("[{}{}]", complement ? "^" : "", items);
}

}  // namespace

void CharacterSet::add(const CharacterSet& other) {
  in += other.in;
  not_in.insert(not_in.end(), other.not_in.begin(), other.not_in.end());
  atoms.insert(atoms.end(), other.atoms.begin(), other.atoms.end());
  has_case = has_case || other.has_case;
}

void CharacterSet::add_complement(const CharacterSet& other) {
  if (other.not_in.empty() && other.atoms.empty()) {
    not_in.push_back(other.in);
  } else if (other.in.empty() && other.not_in.size() == 1 && other.atoms.empty()) {
    in += other.not_in.front();
  } else {
    atoms.push_back(other.pattern(true));
  }
  has_case = has_case || other.has_case;
}

void CharacterSet::add_range(char32_t first, char32_t last) {
  in += fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(first));
  if (last != first) in += fmt::format("-\\x{{{:X}}}", static_cast<std::uint32_t>(last));
}

std::string CharacterSet::pattern(bool complement) const {
  if (not_in.empty() && atoms.empty()) return class_of(in, complement);
  if (in.empty() && atoms.empty() && not_in.size() == 1) {
    return class_of(not_in.front(), !complement);
  }
  std::string out = "(?:";
  if (complement) {
    if (!in.empty()) out += "(?!" + class_of(in, false) + ")";
    for (const std::string& atom : atoms) out += "(?!" + atom + ")";
    for (const std::string& n : not_in) out += "(?=" + class_of(n, false) + ")";
    return out + "(?s:.))";
  }
  const char* separator = "";
  const auto alternative = [&](const std::string& pattern) {
    out += separator + pattern;
    separator = "|";
  };
  if (!in.empty()) alternative(class_of(in, false));
  for (const std::string& n : not_in) alternative(class_of(n, true));
  for (const std::string& atom : atoms) alternative(atom);
  return out + ")";
}

CharacterSet set_of_escape(char letter, Place place) {
  if (letter == 'd') return set_of_category("Nd");
  if (letter == 's') return items(kSpace, {});
  if (letter == 'h') return items(kHexDigit, {});
  return word(place);
}

CharacterSet set_of_posix_bracket(std::string_view name) {
  if (name == "punct") {  // unlike \p{Punct}
    CharacterSet set = set_of_category("P");
    set.add(set_of_category("S"));
    return set;
  }
  if (name == "word") return word(Place::in_brackets);
  if (name == "digit") return set_of_category("Nd");
  if (name == "cntrl") return set_of_category("Cc");
  return name == "any" ? CharacterSet{} : set_of_posix(name);
}

CharacterSet set_of_property(std::string_view name, Place place) {
  const std::string plain = loose(name);
  std::string_view category;
  for (const std::string_view c : kCategories) {
    if (loose(c) == plain) category = c;
  }
  if (plain == "c") category = "C";
  if (plain == "cn") category = "Cn";
  for (const LongName& n : kLongNames) {
    if (n.name == plain) category = n.category;
  }
  if (category == "C" || category == "Cn") return set_of_unassigned(category);
  if (!category.empty()) return set_of_category(category);
  if (plain == "word") return word(place);
  if (plain == "alphabetic") return set_of_posix("alpha");
  CharacterSet set = set_of_posix(plain == "uppercase"   ? "upper"
                                  : plain == "lowercase" ? "lower"
                                                         : plain);
  if (!set.empty()) return set;
  const std::string item = script_or_property(plain);
  return item.empty() ? CharacterSet{} : items(item, {plain});
}

}  // namespace tessera::text
