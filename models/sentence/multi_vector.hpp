// SPDX-License-Identifier: Apache-2.0
//
// Late interaction (ColBERT): every token has a vector, and a query's score of a document is
//
//   MaxSim(Q, D) = Σ_i max_j ⟨q_i, d_j⟩        Khattab and Zaharia 2020
//
// Queries and documents are read apart: a marker stands before each, short queries are filled up
// with [MASK], which have vectors although nobody attends to them, and punctuation of documents has
// none. Where a directory says so:
//
//   Stanford's ColBERT   architectures ["HF_ColBERT"], tensor linear.weight, artifact.metadata
//   PyLate               modules.json: Transformer, pylate.models.Dense.Dense; the rest in
//                        config_sentence_transformers.json
//   sentence-transformers 6  modules.json: Transformer, Dense, MultiVectorMask, Normalize; lengths
//                        and expansion in sentence_bert_config.json
//
// As sentence-transformers 6.0 reads all three: sentence_transformers/multi_vector_encoder/model.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/config.hpp"
#include "models/text/tokenizer.hpp"

namespace tessera::models {

/// Short queries are filled up.
struct QueryExpansion {
  Index length = 32;     ///< tokens that a query has at least, special ones included
  bool is_fixed = true;  ///< and at most: longer ones are cut
  bool attends = false;  ///< whether the others attend to the tokens that are filled in
  std::string token;     ///< "": the mask token
};

/// As the files say it, with tokens by their names.
struct MultiVectorFiles {
  std::optional<Index> query_length, document_length;
  std::optional<QueryExpansion> expansion;
  std::vector<std::string> skipped;  ///< tokens that have no vector
  bool skips_queries = false, skips_documents = true;
  bool is_mean = false;      ///< scores are divided by the query's number of vectors (meanmaxsim)
  bool is_stanford = false;  ///< the projection is linear.weight beside the encoder
  bool has_mask =
      false;  ///< a MultiVectorMask says what is skipped; else vectors have length 1 in any case
  std::vector<std::string> markers;  ///< prompts whose token is one piece wherever it stands
};

/// The same with ids.
struct MultiVector {
  std::optional<Index> query_length, document_length;
  std::optional<QueryExpansion> expansion;
  std::int32_t expansion_id = 0;
  std::vector<std::int32_t> skipped;  ///< rising
  bool skips_queries = false, skips_documents = true;
  bool is_mean = false;
};

/// Of artifact.metadata, or the defaults where there is none. `prompts` gets the markers.
MultiVectorFiles read_stanford(const std::filesystem::path& directory,
                               std::map<std::string, std::string>& prompts);

/// Adds what PyLate writes into config_sentence_transformers.json, which files of modules win over;
/// `prompts` gets the markers.
void read_pylate(const Config& config, MultiVectorFiles& files,
                 std::map<std::string, std::string>& prompts);

/// Adds query_length, document_length and query_expansion of sentence_bert_config.json.
void read_lengths(const Config& config, MultiVectorFiles& files);

/// Adds skiplist_words and skiplist_tasks of a MultiVectorMask.
void read_mask(const Config& config, MultiVectorFiles& files);

/// Throws unsupported_model for a tokenizer that lacks the token that queries are filled up with.
MultiVector resolve(const MultiVectorFiles& files, const text::Tokenizer& tokenizer);

}  // namespace tessera::models
