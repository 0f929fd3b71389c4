// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/dims.hpp"

#include <fmt/format.h>

#include "models/builder.hpp"
#include "runtime/base/error.hpp"

namespace tessera::models {

void cut_embedding(Index dims, Package& package) {
  const std::int32_t found = package.program.find_output("embedding");
  if (found == kNone) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: dims: got {}, but a {} has no embedding, expected a model that has",
                    package.directory.string(), dims, package.architecture));
  }
  if (package.embedding_is_sparse) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: dims: got {} of a sparse embedding, whose columns are tokens, "
                            "expected a dense one",
                            package.directory.string(), dims));
  }
  const ValueId whole = package.program.outputs[static_cast<std::size_t>(found)].value;
  const Index width = package.program.values[static_cast<std::size_t>(whole)].width;
  if (dims < 1 || dims > width) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: dims: got {}, expected 1 to {}, the width of the embedding",
                            package.directory.string(), dims, width));
  }
  if (dims == width) return;
  const WeightMap none(*package.checkpoint, "sentence-transformers", "", "");
  Builder b(package.program, none);
  const std::string name = package.program.values[static_cast<std::size_t>(whole)].name + ".cut";
  ValueId cut = b.first_columns(name, whole, dims);
  // What was divided by its length is so again: of the first columns before it, too.
  if (package.embedding_is_normalized) {
    cut = b.l2_normalize(name + ".normalized", cut, kNormalizeEps);
  }
  package.program.outputs[static_cast<std::size_t>(found)].value = cut;
  package.embedding_description += fmt::format(
      "{}the first {} of {} columns{}", package.embedding_description.empty() ? "" : ", ", dims,
      width, package.embedding_is_normalized ? ", normalised again" : "");
}

}  // namespace tessera::models
