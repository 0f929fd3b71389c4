// SPDX-License-Identifier: Apache-2.0
#include "tessera/c_api/item_statuses.hpp"

#include <algorithm>

#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"

namespace tessera::c_api {
namespace {

constexpr std::size_t kMostMessages = 64;

}  // namespace

void ItemStatuses::begin(std::size_t count) {
  if (!are_wanted()) return;
  checked_span(out_, count, "item_status");
  statuses_.assign(count, TESSERA_OK);
}

void ItemStatuses::fail(std::size_t index, const Error& error) {
  const std::string message = fmt::format("{} {}: {}", item_, index, error.what());
  if (!are_wanted()) throw Error(error.code(), message);
  statuses_[index] = status_of(error.code());
  if (failed_++ >= kMostMessages) return;
  if (!messages_.empty()) messages_ += '\n';
  messages_ += message;
}

std::vector<std::int64_t> ItemStatuses::kept_offsets(
    const std::vector<std::int64_t>& offsets) const {
  std::vector<std::int64_t> result{0};
  result.reserve(kept_.size() + 1);
  for (const std::size_t index : kept_) result.push_back(offsets[index + 1]);
  return result;
}

void ItemStatuses::write() const noexcept {
  if (!are_wanted()) return;
  std::copy(statuses_.begin(), statuses_.end(), out_);
  if (failed_ > 0) remember(TESSERA_OK, messages_.c_str());
}

}  // namespace tessera::c_api
