// SPDX-License-Identifier: Apache-2.0
#include "models/text/whole_words.hpp"

namespace tessera::text {

WholeWords::WholeWords(std::size_t size, std::size_t count)
    : bytes_(std::make_unique<std::string>()) {
  bytes_->reserve(size);
  table_.reserve(count);
}

void WholeWords::add(std::string_view word, std::int32_t id) {
  const std::size_t at = bytes_->size();
  bytes_->append(word);
  table_.insert(std::string_view(*bytes_).substr(at), id);
}

}  // namespace tessera::text
