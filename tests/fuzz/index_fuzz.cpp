// SPDX-License-Identifier: Apache-2.0
// Saved indices of the search: vectors as .npy, and what stands beside them. The first byte says which
// of them the rest is: a whole .npy file, the dict of its header with a preamble that is right and so
// many floats behind it, the identity of an index.
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "runtime/base/files.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/index_identity.hpp"
#include "tessera/pipeline/search_index.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::size_t kPreamble = 10;  // magic, version, length of the dict

void search(std::string_view file) {
  const MemoryFiles files({{"x.npy", std::as_bytes(std::span(file))}});
  const std::string path = files.directory() / "x.npy";
  for (const auto measure :
       {models::SimilarityMeasure::cosine, models::SimilarityMeasure::manhattan}) {
    const VectorIndex index = VectorIndex::load(path, measure);
    if (index.size() == 0) continue;
    require(index.size() * static_cast<std::size_t>(index.width()) * sizeof(float) <= file.size(),
            "an index has the floats of its file");
    std::vector<float> query(static_cast<std::size_t>(index.width()), 0.5F);
    const std::vector<Hit> hits = index.find(query, 3);
    require(hits.size() == std::min<std::size_t>(3, index.size()), "a search has its hits");
    for (const Hit& hit : hits) require(hit.row < index.size(), "a hit is a row");
  }
  (void)load_rows(path, 4);
}

std::string with_preamble(std::string_view dict, std::size_t floats) {
  const std::size_t length = dict.size();
  std::string out = "\x93NUMPY\x01";
  out += '\0';
  out += static_cast<char>(length & 0xFF);
  out += static_cast<char>(length >> 8 & 0xFF);
  return out.append(dict) + std::string(floats * sizeof(float), '\x3E');
}

void read_identity(std::string_view json) {
  const MemoryFiles files({{"x.npy.json", std::as_bytes(std::span(json))}});
  const std::string path = files.directory() / "x.npy";
  const IndexIdentity read = load_identity(path);
  const std::string again = to_json(read);
  const MemoryFiles copies({{"x.npy.json", std::as_bytes(std::span(again))}});
  require_same(path, read, load_identity(copies.directory() / "x.npy"));
  require_same(path, read,
               {.model = "BertModel, mean pooling, 0",
                .prompt = {},
                .similarity = "dot",
                .cutting = "24",
                .lines = "2, 0",
                .vectors = "0"});
}

}  // namespace

void run(std::string_view input) {
  if (input.size() < 2) return;
  const auto floats = static_cast<unsigned char>(input[1]);
  const std::string_view rest = input.substr(2);
  switch (static_cast<unsigned char>(input[0]) % 3) {
    case 0:
      return search(rest);
    case 1:
      return search(with_preamble(rest, floats));
    default:
      return read_identity(rest);
  }
}

Seeds seeds() {
  const std::string rows = npy_header(2, 4), claim = npy_header(4, Index{1} << 62);
  return {{"npy", std::string("\0\0", 2) + rows + std::string(32, '\x3F')},
          {"claim", std::string("\0\0", 2) + claim + std::string(16, '\x3F')},
          {"dict", "\1\x8" + rows.substr(kPreamble)},
          {"empty", std::string("\1\0", 2) + npy_header(0, 4).substr(kPreamble)},
          {"identity", std::string("\2\0", 2) + to_json({.model = "BertModel, mean pooling, 00ff",
                                                         .prompt = "query: ",
                                                         .similarity = "cosine",
                                                         .cutting = "24 tokens",
                                                         .lines = "2, 00ff",
                                                         .vectors = "00ff"})}};
}

}  // namespace tessera::fuzz
