// SPDX-License-Identifier: Apache-2.0
// What people often have in place of the file of weights that they meant.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tessera {

/// " (this is a Git LFS pointer, not the file itself ...)", …; empty if nothing is known.
std::string looks_like(std::span<const std::byte> file);

}  // namespace tessera
