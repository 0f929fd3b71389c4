// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/output_lines.hpp"

#include <algorithm>

#include "models/sentence/m3.hpp"
#include "tessera/pipeline/json_text.hpp"
#include "tessera/pipeline/token_vectors.hpp"

namespace tessera {
namespace {

bool is_per_token(const Program& program, const std::string& name) {
  const std::int32_t found = program.find_output(name);
  const ValueId value = program.outputs[static_cast<std::size_t>(found)].value;
  return program.values[static_cast<std::size_t>(value)].space != kSequences;
}

void append_row(std::string& out, std::span<const float> row) {
  out += '[';
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i != 0) out += ", ";
    append_json_float(out, row[i]);
  }
  out += ']';
}

}  // namespace

OutputLines::OutputLines(const models::Package& package, const std::vector<std::string>& names,
                         const std::vector<std::string>& asked, const SparseText& sparse,
                         TextRole role)
    : package_(package), sparse_(sparse), role_(role) {
  std::vector<std::string> alone;  // what each is called where no other is called so
  for (const std::string& name : names) {
    const bool by_tokens = is_per_token(package.program, name);
    const bool chooses = package.multi_vector && name == models::kTokenVectors;
    keys_.push_back({name,
                     chooses                   ? Kind::token_vectors
                     : by_tokens               ? Kind::vectors
                     : package.is_sparse(name) ? Kind::sparse
                                               : Kind::dense,
                     name == models::kM3Vectors ? 1 : 0});
    alone.push_back(by_tokens ? "vectors" : package.is_sparse(name) ? "sparse" : name);
  }
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    keys_[i].name = std::count(alone.begin(), alone.end(), alone[i]) == 1 ? alone[i] : asked[i];
  }
}

std::string OutputLines::line(Results results, const SequenceView& sequence,
                              const std::optional<Source>& source) const {
  std::string out = "{";
  const auto begin = [&](std::string_view key) {
    if (out.size() > 1) out += ", ";
    append_json_string(out, key);
    out += ": ";
  };
  if (source) {
    begin(source->key);
    append_json_string(out, source->value);
  }
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    begin(keys_[i].name);
    const TensorView<const float>& rows = results[i];
    switch (keys_[i].kind) {
      case Kind::dense:
        append_row(out, rows.row(0));
        break;
      case Kind::sparse:
        append_sparse(out, rows.row(0), sparse_);
        break;
      case Kind::vectors:
      case Kind::token_vectors: {
        std::vector<Index> chosen;
        if (keys_[i].kind == Kind::token_vectors) {
          chosen = vector_rows(*package_.multi_vector, sequence, role_);
        } else {
          for (Index r = keys_[i].first; r < rows.rows; ++r) chosen.push_back(r);
        }
        out += '[';
        for (std::size_t r = 0; r < chosen.size(); ++r) {
          if (r != 0) out += ", ";
          append_row(out, rows.row(chosen[r]));
        }
        out += ']';
        break;
      }
    }
  }
  return out + "}\n";
}

}  // namespace tessera
