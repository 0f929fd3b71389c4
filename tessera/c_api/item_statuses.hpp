// SPDX-License-Identifier: Apache-2.0
// What became of each text or image of a call: one that fails need not fail the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"
#include "tessera/tessera.h"

namespace tessera::c_api {

class ItemStatuses {
 public:
  /// `out`: the caller's statuses, or null: the first item that fails fails the call. `item`: what
  /// messages call one.
  ItemStatuses(tessera_status* out, const char* item) noexcept : out_(out), item_(item) {}

  /// Before the first item. Throws Error{invalid_argument} if `out` cannot have `count` statuses.
  void begin(std::size_t count);
  bool are_wanted() const noexcept { return out_ != nullptr; }

  /// Item `index` is computed.
  void keep(std::size_t index) { kept_.push_back(index); }
  /// Item `index` is left out. Throws `error`, with the item's name, unless statuses are wanted.
  void fail(std::size_t index, const Error& error);

  /// The items that are computed, rising.
  const std::vector<std::size_t>& kept() const noexcept { return kept_; }
  /// Offsets of the items that are computed, (kept+1), of those of all, (S+1): those left out have
  /// no rows.
  std::vector<std::int64_t> kept_offsets(const std::vector<std::int64_t>& offsets) const;

  /// At the end of a call that succeeded: statuses to the caller, messages to tessera_last_error().
  void write() const noexcept;

 private:
  tessera_status* out_;
  const char* item_;
  std::vector<tessera_status> statuses_ = {};
  std::vector<std::size_t> kept_ = {};
  std::size_t failed_ = 0;
  std::string messages_ = {};
};

}  // namespace tessera::c_api
