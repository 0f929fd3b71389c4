// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/preparer.hpp"

#include <utility>

#include "tessera/pipeline/about.hpp"

namespace tessera {
Preparer::Preparer(const models::Package& package, LineFormat format, const TextOptions& options)
    : package_(package), format_(format) {
  if (format_ != LineFormat::ids) texts_ = std::make_unique<const TextInputs>(package, options);
}

Prepared Preparer::prepare(const Record& record) const {
  Prepared prepared;
  if (!texts_) {
    prepared.sequence.ids = record.ids;
    prepared.sequence.types = record.type_ids;
    return prepared;
  }
  return about(record.where, [&] {
    if (record.pair && package_.task == models::Task::token_classification) {
      throw Error(ErrorCode::invalid_argument,
                  "got a pair, expected one text: the model labels tokens");
    }
    prepared.encoding = texts_->encode(record.text, record.pair);
    prepared.sequence = to_sequence(require_tokens(package_.program), prepared.encoding);
    return std::move(prepared);
  });
}

}  // namespace tessera
