// SPDX-License-Identifier: Apache-2.0
// Where writers write.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tessera {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::string_view bytes) = 0;
  virtual void write_floats(std::span<const float> values) = 0;
  /// True if overwrite() works: the sink can be written at any offset.
  virtual bool is_seekable() const noexcept = 0;
  /// Replaces bytes at `offset` from where this output began. Precondition: is_seekable(), and
  /// written before.
  virtual void overwrite(std::uint64_t offset, std::string_view bytes) = 0;
};

}  // namespace tessera
