// SPDX-License-Identifier: Apache-2.0
// Memory of the host, which it may take away: unmapped, protected, or a mapping of a file that was cut.
// Touching it then is a signal; the kernel can be asked.
#pragma once

#include <cstddef>
#include <span>

namespace tessera {

/// False if a page of it is not mapped in this process: one system call. What is mapped may be
/// unreadable still.
bool is_mapped(std::span<const std::byte> bytes) noexcept;

/// False if a byte of it cannot be read now: a system call per page (0.2 to 0.8 µs).
bool is_readable(std::span<const std::byte> bytes) noexcept;

}  // namespace tessera
