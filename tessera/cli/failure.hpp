// SPDX-License-Identifier: Apache-2.0
// What ends the tool early, and with which exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace tessera::cli {

/// The exit statuses of `tessera`, as --help documents them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;       ///< bad model, bad input, refused by the system
inline constexpr int kExitUsage = 2;         ///< the command line itself is wrong
inline constexpr int kExitClosedPipe = 141;  ///< the reader of stdout went away (128 + SIGPIPE)

/// The command line asks for something that does not make sense: exit status 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace tessera::cli
