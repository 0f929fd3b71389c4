// SPDX-License-Identifier: Apache-2.0
// sentencepiece.bpe.model or spiece.model without a tokenizer.json: what XLMRobertaTokenizer,
// CamembertTokenizer, AlbertTokenizer and T5Tokenizer of transformers 4.x set up from it
// (convert_slow_tokenizer.py).
//
//   file      id 0     1      2       3      4       5 …
//   XLM-R     <unk>    <s>    </s>    ,      .       …         as the file has it
//             <s>      <pad>  </s>    <unk>  ,       .    …  <mask>     as the model has it
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/json.hpp"
#include "models/text/sentencepiece.hpp"
#include "models/text/tokenizer_parts.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/files.hpp"

namespace tessera::text {
namespace {

using Pieces = std::vector<ScoredPiece>;

// How much worse a piece is that is not to be found in a text.
constexpr double kDowngrade = 100.0;
constexpr std::int64_t kUnkAfterFairseq = 3;
constexpr std::u32string_view kMetaspace = U"\u2581";

// What is read, and what complaints need.
struct Source {
  const TokenizerConfig& config;
  SentencePieceModel model;
  std::string file;

  [[noreturn]] void complain(const std::string& got, std::string_view expected) const {
    throw Error(ErrorCode::corrupt_file, fmt::format("{} {}, expected {}", file, got, expected));
  }
};

// The pieces of the file from `first` on.
void append_pieces(const Source& source, std::size_t first, Pieces& out) {
  const auto& pieces = source.model.pieces;
  if (pieces.size() < first) {
    source.complain(fmt::format("has {} pieces", pieces.size()),
                    fmt::format("at least {}, those of <unk>, <s> and </s> first", first));
  }
  for (std::size_t i = first; i < pieces.size(); ++i) {
    out.push_back({std::string(pieces[i].piece), pieces[i].score});
  }
}

// fairseq put its own special tokens before those of the file and <mask> behind them.
Pieces xlm_roberta_pieces(const Source& source) {
  Pieces out = {{"<s>", 0}, {"<pad>", 0}, {"</s>", 0}, {"<unk>", 0}};
  append_pieces(source, 3, out);
  out.push_back({"<mask>", 0});
  return out;
}

Pieces camembert_pieces(const Source& source) {
  Pieces out = {{"<s>NOTUSED", 0},
                {"<pad>", 0},
                {"</s>NOTUSED", 0},
                {"<unk>", 0},
                {"<unk>NOTUSED", -kDowngrade}};
  append_pieces(source, 1, out);
  out.push_back({"<mask>", 0});
  return out;
}

// ALBERT was trained on texts whose numbers were split before a comma: "7," is to be none of their
// pieces. (Python asks isdigit(); what is_numeric() has beyond, NFKD takes out of every text.)
Pieces albert_pieces(const Source& source) {
  Pieces out;
  append_pieces(source, 0, out);
  for (ScoredPiece& p : out) {
    const std::size_t n = p.piece.size();
    if (n < 2 || p.piece[n - 1] != ',') continue;
    const Decoded before = decode_utf8_before(p.piece.data() + n - 1);
    if (is_numeric(before.c)) p.score -= kDowngrade;
  }
  return out;
}

Pieces t5_pieces(const Source& source) {
  Pieces out;
  append_pieces(source, 0, out);
  for (std::size_t i = source.config.extra_ids; i-- > 0;) {
    out.push_back({fmt::format("<extra_id_{}>", i), 0});
  }
  return out;
}

void append_precompiled(const Source& source, Normalizer& out) {
  const std::string_view map = source.model.precompiled_charsmap;
  if (map.empty()) return;
  out.steps.emplace_back(PrecompiledNormalizer{std::make_shared<const Charsmap>(
      map, source.file + ": normalizer_spec.precompiled_charsmap")});
}

// Two and more spaces → `content`.
void append_replace_spaces(const Source& source, std::u32string_view content, Normalizer& out) {
  out.steps.emplace_back(
      ReplacePatternNormalizer{Regex(" {2,}", source.file), std::u32string(content)});
}

void set_up_normalizer(const Source& source, Normalizer& out) {
  append_precompiled(source, out);
  out.steps.emplace_back(StripNormalizer{false, true});
  append_replace_spaces(source, kMetaspace, out);
}

void set_up_albert_normalizer(const Source& source, Normalizer& out) {
  out.steps.emplace_back(ReplaceNormalizer{U"``", U"\""});
  out.steps.emplace_back(ReplaceNormalizer{U"''", U"\""});
  if (!source.config.keep_accents.value_or(false)) {
    out.steps.emplace_back(UnicodeForm::nfkd);
    out.steps.emplace_back(StripAccentsNormalizer{});
  }
  if (source.config.do_lower_case.value_or(true)) out.steps.emplace_back(LowercaseNormalizer{});
  append_precompiled(source, out);
  append_replace_spaces(source, U" ", out);
}

// A family of tokenizer classes.
struct Family {
  const char* tokenizer_class;
  Pieces (*pieces)(const Source&);
  bool is_fairseq;  // <unk> stands where `pieces` puts it, else where the file says
  void (*set_up_normalizer)(const Source&, Normalizer&);
  const char* cls;  // of the template
  const char* sep;
  Template (*make_template)(std::int32_t cls, std::int32_t sep);
  const char* unk;
  const char* pad;
  const char* mask;                                 // "": none
  std::vector<std::string> (*more)(const Source&);  // further special tokens
  bool has_prefix_keys;  // whether the class knows add_prefix_space and legacy
};

std::vector<std::string> none(const Source&) {
  return {};
}

std::vector<std::string> camembert_tokens(const Source&) {
  return {"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"};
}

std::vector<std::string> t5_tokens(const Source& source) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < source.config.extra_ids; ++i) {
    out.push_back(fmt::format("<extra_id_{}>", i));
  }
  return out;
}

// A </s>   A </s> B </s>, all of type 0.
Template t5_template(std::int32_t, std::int32_t sep) {
  using Kind = TemplatePiece::Kind;
  Template t;
  t.single = {{Kind::first, 0, {}}, {Kind::special, 0, {sep}}};
  t.pair = t.single;
  t.pair.push_back({Kind::second, 0, {}});
  t.pair.push_back({Kind::special, 0, {sep}});
  return t;
}

constexpr std::array kFamilies = {
    Family{"XLMRobertaTokenizer", xlm_roberta_pieces, true, set_up_normalizer, "<s>", "</s>",
           Template::roberta, "<unk>", "<pad>", "<mask>", none, false},
    Family{"CamembertTokenizer", camembert_pieces, true, set_up_normalizer, "<s>", "</s>",
           Template::roberta, "<unk>", "<pad>", "<mask>", camembert_tokens, false},
    Family{"AlbertTokenizer", albert_pieces, false, set_up_albert_normalizer, "[CLS]", "[SEP]",
           Template::bert, "<unk>", "<pad>", "[MASK]", none, false},
    Family{"T5Tokenizer", t5_pieces, false, set_up_normalizer, "</s>", "</s>", t5_template, "<unk>",
           "<pad>", "", t5_tokens, true},
};

const Family& family_of(const Source& source) {
  for (const Family& family : kFamilies) {
    if (family.tokenizer_class == source.config.tokenizer_class) return family;
  }
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("tokenizer_config.json: tokenizer_class is \"{}\" (or that of the model_type of "
                  "config.json), which is not supported from a {}; expected XLMRobertaTokenizer, "
                  "CamembertTokenizer, AlbertTokenizer or T5Tokenizer, or a tokenizer.json (token "
                  "ids can be given instead of text)",
                  source.config.tokenizer_class, source.file));
}

Unigram make_unigram(const Source& source, const Family& family) {
  if (source.model.model_type != SentencePieceModel::kUnigram) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: trainer_spec.model_type is {}, which is not supported; expected "
                            "1, Unigram, or a tokenizer.json (token ids can be given instead of "
                            "text)",
                            source.file, source.model.model_type));
  }
  const Pieces pieces = family.pieces(source);
  const auto count = static_cast<std::int64_t>(pieces.size());
  const auto in_file = static_cast<std::int64_t>(source.model.pieces.size());
  const std::int64_t unk_id = family.is_fairseq ? kUnkAfterFairseq : source.model.unk_id;
  if (unk_id < 0 || (unk_id >= in_file && !family.is_fairseq)) {
    source.complain(fmt::format("says that trainer_spec.unk_id is {}", unk_id),
                    fmt::format("one of its {} pieces", in_file));
  }
  if (count > static_cast<std::int64_t>(Unigram::kMaxPieces)) {
    source.complain(fmt::format("makes {} pieces", count),
                    fmt::format("at most {}", Unigram::kMaxPieces));
  }
  return Unigram(pieces, static_cast<std::int32_t>(unk_id), false);
}

// Control pieces are special tokens, user-defined ones tokens; then what the configuration lists;
// then the special tokens of the class, under the names that the configuration gives them. Of two
// with one name the first counts, unless the later one has flags.
std::vector<AddedToken> added_tokens(const Source& source, const Family& family) {
  std::vector<AddedToken> out;
  std::unordered_map<std::string, std::size_t> places;
  const auto add = [&](const AddedToken& token) {
    if (token.content.empty()) return;
    const auto [known, is_new] = places.emplace(token.content, out.size());
    if (is_new) {
      out.push_back(token);
    } else if (token.lstrip || token.rstrip || token.single_word || token.normalized) {
      out[known->second] = token;
    }
  };
  using Type = SentencePieceModel::Type;
  for (const SentencePieceModel::Piece& p : source.model.pieces) {
    if (p.type != Type::control && p.type != Type::user_defined) continue;
    AddedToken token;
    token.content = p.piece;
    token.special = p.type == Type::control;
    add(token);
  }
  const std::vector<AddedToken> listed = source.config.listed();
  for (const AddedToken& token : listed) add(token);
  const auto named_or = [](const std::optional<AddedToken>& named, std::string_view otherwise) {
    if (named) return *named;
    AddedToken token;
    token.content = otherwise;
    return token;
  };
  const TokenizerConfig& config = source.config;
  add(named_or(config.unk, family.unk));
  add(named_or(config.sep, family.sep));
  add(named_or(config.pad, family.pad));
  add(named_or(config.cls, family.cls));
  AddedToken mask = named_or(config.mask, family.mask);
  // A name alone stands for the token that is listed, or one that takes the space before it.
  const bool is_listed = std::any_of(
      listed.begin(), listed.end(), [&](const AddedToken& t) { return t.content == mask.content; });
  if (!config.mask || (config.mask_is_name && !is_listed)) mask.lstrip = true;
  add(mask);
  for (const std::string& content : family.more(source)) add(named_or({}, content));
  return out;
}

}  // namespace

std::shared_ptr<TokenizerParts> read_spiece_model(const std::filesystem::path& file,
                                                  const TokenizerConfig& config) {
  const std::string content = json::read_text(file);
  Source source{config, {}, file.filename().string()};
  const Family& family = family_of(source);
  source.model = parse_sentencepiece(std::string_view(content.data(), content.size()), source.file,
                                     Unigram::kMaxPieces);
  auto parts = std::make_shared<TokenizerParts>(WordModel(make_unigram(source, family)));
  parts->info.file = source.file;
  family.set_up_normalizer(source, parts->normalizer);
  Metaspace metaspace;
  if (family.has_prefix_keys) {
    if (!config.legacy.value_or(true)) metaspace.prepend = PrependScheme::first;
    if (!config.add_prefix_space.value_or(true)) metaspace.prepend = PrependScheme::never;
  }
  parts->pre_tokenizer.rules = {{SplitAt::metaspace, SplitBehavior::merged_with_next, metaspace}};
  const auto require = [&](const char* token) {
    if (const auto id = parts->model.vocabulary().id(token)) return *id;
    source.complain(fmt::format("has no piece \"{}\"", token),
                    "the token that opens or closes a text");
  };
  parts->post = family.make_template(require(family.cls), require(family.sep));
  parts->added.add(added_tokens(source, family), parts->model.vocabulary(), parts->normalizer);
  return parts;
}

}  // namespace tessera::text
