// SPDX-License-Identifier: Apache-2.0
// What a model directory is, and what computing it takes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tessera/pipeline/encoder.hpp"

namespace tessera {

class ModelFacts {
 public:
  void add(std::string key, std::string_view value);
  void add(std::string key, std::size_t value);
  void add(std::string key, const std::vector<std::string>& values);
  void add_bytes(std::string key, std::size_t value);

  std::string as_text() const;  ///< a line each
  std::string as_json() const;  ///< one object

 private:
  struct Fact {
    std::string key, text, json;  // `json` is a JSON value; `text` is for people
  };
  std::vector<Fact> facts_;
};

/// Of an Encoder with these options, and what the other precision would take. Reads shapes, not
/// weights. Errors: as Encoder().
ModelFacts describe(const models::Package& package, EncoderOptions options);

}  // namespace tessera
