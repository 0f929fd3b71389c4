// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/mask.hpp"

#include <fmt/format.h>

#include "runtime/base/error.hpp"

namespace tessera {

using kernels::AttentionMask;
using kernels::MaskKind;

void check_mask(const AttentionMask& mask, const std::string& where) {
  const auto require = [&](bool condition, const char* what, Index got, const char* expected) {
    if (condition) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: {} is {}, expected {}", where, what, got, expected));
  };
  if (mask.kind == MaskKind::band) {
    require(mask.left >= 0, "left reach of the window", mask.left, "0 or more");
    require(mask.right >= 0, "right reach of the window", mask.right, "0 or more");
    return;
  }
  require(mask.local >= 1, "local part of a log-sparse mask", mask.local,
          "1 or more: a query sees itself");
  require(mask.restart == 0 || mask.restart > mask.local, "restart of a log-sparse mask",
          mask.restart, "0 (none) or more than the local part");
}

AttentionMask sliding_window(Index width) {
  if (width < 1 || width % 2 == 0) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("sliding window: width is {}, expected an odd number from 1 on: the "
                            "query and as many keys on both sides",
                            width));
  }
  return {.left = width / 2, .right = width / 2};
}

AttentionMask causal() {
  return {.right = 0};
}

AttentionMask causal_window(Index width) {
  if (width < 1) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("causal window: width is {}, expected 1 or more", width));
  }
  return {.left = width - 1, .right = 0};
}

AttentionMask log_sparse(Index local, Index restart, bool is_causal) {
  const AttentionMask mask{.kind = is_causal ? MaskKind::log_sparse_causal : MaskKind::log_sparse,
                           .local = local,
                           .restart = restart};
  check_mask(mask, "log-sparse mask");
  return mask;
}

std::string to_string(const AttentionMask& mask) {
  const auto reach = [](Index n) {
    return n >= AttentionMask::kAll ? std::string("all") : fmt::format("{}", n);
  };
  if (mask.kind != MaskKind::band) {
    return fmt::format("log-sparse{} (local {}, restart {})",
                       mask.kind == MaskKind::log_sparse_causal ? " causal" : "", mask.local,
                       mask.restart);
  }
  if (mask == AttentionMask{}) return "full";
  if (mask == causal()) return "causal";
  return fmt::format("window ({} left, {} right)", reach(mask.left), reach(mask.right));
}

}  // namespace tessera
