// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/sparse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "tessera/pipeline/json_text.hpp"

namespace tessera {

void heaviest(std::span<const float> row, std::vector<SparseElement>& elements) {
  elements.clear();
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] != 0.0F) elements.push_back({static_cast<Index>(i), row[i]});  // NaN is not 0
  }
  const auto is_before = [](const SparseElement& a, const SparseElement& b) {
    const bool nan_a = std::isnan(a.weight), nan_b = std::isnan(b.weight);
    if (nan_a != nan_b) return nan_a;
    return nan_a || a.weight == b.weight ? a.id < b.id : a.weight > b.weight;
  };
  std::sort(elements.begin(), elements.end(), is_before);
}

// Of a row that has the heaviest alone, in its order, which is theirs.
void kept_elements(std::span<const float> row, std::vector<SparseElement>& elements) {
  elements.clear();
  const std::size_t k = row.size() / 2;
  for (std::size_t i = 0; i < k && row[k + i] >= 0.0F; ++i) {
    elements.push_back({static_cast<Index>(row[k + i]), row[i]});
  }
}

void elements_of(std::span<const float> row, Index vocabulary,
                 std::vector<SparseElement>& elements) {
  vocabulary > 0 ? kept_elements(row, elements) : heaviest(row, elements);
}

void append_sparse(std::string& out, std::span<const float> row, const SparseText& sparse) {
  std::vector<SparseElement> elements;
  elements_of(row, sparse.vocabulary, elements);
  out += '[';
  for (const SparseElement& element : elements) {
    if (&element != &elements.front()) out += ", ";
    out += '{';
    const std::string_view token =
        sparse.tokenizer == nullptr
            ? ""
            : sparse.tokenizer->token(static_cast<std::int32_t>(element.id));
    if (!token.empty()) {  // the vocabulary may have columns that the tokenizer has no token for
      out += "\"token\": ";
      append_json_string(out, token);
      out += ", ";
    }
    fmt::format_to(std::back_inserter(out), "\"id\": {}, \"weight\": ", element.id);
    append_json_float(out, element.weight);
    out += '}';
  }
  out += ']';
}

}  // namespace tessera
