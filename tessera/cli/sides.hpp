// SPDX-License-Identifier: Apache-2.0
// What reads documents, and what reads queries: two programs of a model with a Router, else one.
#pragma once

#include <memory>
#include <optional>

#include "tessera/cli/options.hpp"

namespace tessera::cli {

struct SidePackages {
  std::shared_ptr<const models::Package> documents, queries;  // equal where one reads both
};
/// Throws Error as models::open_package() does; unsupported_model where the embeddings of the sides
/// are not of one width.
SidePackages open_sides(const ModelFlags& model);

class SideEncoders {
 public:
  /// `options`: of both, but for a plan, which is of the program of documents, and for a memory cap,
  /// which is on both together: queries get what one takes, documents the rest.
  /// Errors: as TextEncoder()'s; out_of_memory where the two do not fit the cap.
  SideEncoders(const SidePackages& packages, const EncoderOptions& options);

  TextEncoder& of_documents() noexcept { return *documents_; }
  TextEncoder& of_queries() noexcept { return queries_ ? *queries_ : *documents_; }

 private:
  std::optional<TextEncoder> documents_;  // after the constructor there is one
  std::optional<TextEncoder> queries_;
};

}  // namespace tessera::cli
