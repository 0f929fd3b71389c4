// SPDX-License-Identifier: Apache-2.0
#include "models/text/template.hpp"

namespace tessera::text {
namespace {

using Kind = TemplatePiece::Kind;

TemplatePiece special(std::int32_t id, std::int32_t type_id = 0) {
  return {Kind::special, type_id, {id}};
}

constexpr std::int32_t kTypeA = 0;
constexpr std::int32_t kTypeB = 1;

}  // namespace

std::size_t Template::special_count(bool is_pair) const noexcept {
  std::size_t n = 0;
  for (const TemplatePiece& piece : is_pair ? pair : single) n += piece.ids.size();
  return n;
}

Template Template::bert(std::int32_t cls, std::int32_t sep) {
  Template t;
  t.single = {special(cls), {Kind::first, kTypeA, {}}, special(sep)};
  t.pair = t.single;
  t.pair.push_back({Kind::second, kTypeB, {}});
  t.pair.push_back(special(sep, kTypeB));
  return t;
}

Template Template::roberta(std::int32_t cls, std::int32_t sep) {
  Template t;
  t.single = {special(cls), {Kind::first, kTypeA, {}}, special(sep)};
  t.pair = t.single;
  t.pair.push_back(special(sep));
  t.pair.push_back({Kind::second, kTypeA, {}});
  t.pair.push_back(special(sep));
  return t;
}

Template Template::none() {
  Template t;
  t.single = {{Kind::first, kTypeA, {}}};
  t.pair = {{Kind::first, kTypeA, {}}, {Kind::second, kTypeB, {}}};
  return t;
}

}  // namespace tessera::text
