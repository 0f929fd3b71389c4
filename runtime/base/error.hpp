// SPDX-License-Identifier: Apache-2.0
// The one exception type of the library. Set-up (files, configs, shapes, memory) throws it; a run
// that passed its argument checks does not, unless its caller ends it or the caller's pool fails. A
// message has four parts: where, what, got, expected.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace tessera {

enum class ErrorCode : std::uint8_t {
  invalid_argument,   ///< the caller passed something that the documentation excludes
  not_found,          ///< a file, tensor, output or option that was named does not exist
  corrupt_file,       ///< a file exists but its content contradicts itself or its format
  unsupported_model,  ///< well-formed, but asks for something that this version does not compute
  out_of_memory,      ///< memory was refused, or a stated cap is too small
  io_error,           ///< the operating system refused a read or a write
  cancelled,          ///< a run was ended by its caller or its deadline; nothing is wrong
  internal,           ///< a bug in Tessera
};

/// The name of `code` as it is spelled above.
const char* to_string(ErrorCode code) noexcept;

class Error : public std::runtime_error {
 public:
  /// Control characters of `message`, which may stand in what a file has, are spelled \xNN: a zero
  /// byte would end what() early, and an escape would reach a terminal. '\n' and '\t' stay.
  Error(ErrorCode code, const std::string& message);
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace tessera
