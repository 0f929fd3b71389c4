// SPDX-License-Identifier: Apache-2.0
#include "models/text/normalizer.hpp"

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

bool is_bert_space(char32_t c) noexcept {
  return c == U'\t' || c == U'\n' || c == U'\r' || is_whitespace(c);
}

bool is_bert_control(char32_t c) noexcept {
  if (c == U'\t' || c == U'\n' || c == U'\r') return false;
  return c == kReplacementCharacter || is_other(c);  // U+0000 is Cc
}

// normalizers/unicode.rs, do_nmt.
bool is_nmt_control(char32_t c) noexcept {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         c == 0x8F || c == 0x9F;
}

bool is_nmt_space(char32_t c) noexcept {
  return c == U'\t' || c == U'\n' || c == U'\f' || c == U'\r' || c == 0x1680 ||
         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
         c == kReplacementCharacter;
}

struct Apply {
  AlignedText& text;

  void operator()(const BertNormalizer& n) const {
    if (n.clean_text) {
      text.remove_if(is_bert_control);
      for (AlignedChar& x : text.chars) {
        if (is_bert_space(x.c)) x.c = U' ';
      }
    }
    if (n.handle_chinese_chars) text.isolate_cjk_ideographs();
    if (n.strips_accents()) {
      text.normalize(UnicodeForm::nfd);
      text.remove_if(is_nonspacing_mark);
    }
    if (n.lowercase) text.lowercase();
  }
  void operator()(UnicodeForm form) const { text.normalize(form); }
  void operator()(LowercaseNormalizer) const { text.lowercase(); }
  void operator()(StripAccentsNormalizer) const { text.remove_if(is_combining_mark); }
  void operator()(const StripNormalizer& n) const { text.strip(n.left, n.right); }
  void operator()(const ReplaceNormalizer& n) const { text.replace(n.pattern, n.content); }
  void operator()(const ReplacePatternNormalizer& n) const { text.replace(n.pattern, n.content); }
  void operator()(ByteLevelNormalizer) const { text.spell_bytes(); }
  void operator()(const PrependNormalizer& n) const { text.prepend(n.prefix); }
  void operator()(NmtNormalizer) const {
    text.remove_if(is_nmt_control);
    for (AlignedChar& x : text.chars) {
      if (is_nmt_space(x.c)) x.c = U' ';
    }
  }
  void operator()(const PrecompiledNormalizer& n) const { n.map->apply(text); }
};

struct Describe {
  std::string operator()(const BertNormalizer& n) const {
    std::string s = n.lowercase ? "lowercase" : "cased";
    s += n.strips_accents() ? ", strips accents" : ", keeps accents";
    if (!n.clean_text) s += ", keeps control characters";
    if (!n.handle_chinese_chars) s += ", CJK not split";
    return s;
  }
  std::string operator()(UnicodeForm form) const {
    switch (form) {
      case UnicodeForm::nfc:
        return "NFC";
      case UnicodeForm::nfd:
        return "NFD";
      case UnicodeForm::nfkc:
        return "NFKC";
      case UnicodeForm::nfkd:
        break;
    }
    return "NFKD";
  }
  std::string operator()(LowercaseNormalizer) const { return "lowercase"; }
  std::string operator()(StripAccentsNormalizer) const { return "strips accents"; }
  std::string operator()(const StripNormalizer&) const { return "strips white space"; }
  std::string operator()(const ReplaceNormalizer&) const { return "replaces a string"; }
  std::string operator()(const ReplacePatternNormalizer& n) const {
    return "replaces " + n.pattern.pattern();
  }
  std::string operator()(ByteLevelNormalizer) const { return "spells bytes"; }
  std::string operator()(const PrependNormalizer&) const { return "prepends a string"; }
  std::string operator()(NmtNormalizer) const { return "NMT"; }
  std::string operator()(const PrecompiledNormalizer&) const { return "precompiled"; }
};

}  // namespace

void Normalizer::apply(AlignedText& text) const {
  for (const NormalizerStep& step : steps) {
    std::visit(Apply{text}, step);
    text.check_growth(text.chars.size());
  }
}

std::string Normalizer::describe() const {
  std::string s;
  for (const NormalizerStep& step : steps) {
    if (!s.empty()) s += ", ";
    s += std::visit(Describe{}, step);
  }
  return s.empty() ? "text as it is" : s;
}

}  // namespace tessera::text
