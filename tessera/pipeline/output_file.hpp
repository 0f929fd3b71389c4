// SPDX-License-Identifier: Apache-2.0
// Where results go: stdout, or a file that appears whole or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/byte_sink.hpp"

namespace tessera {

/// The reader of a pipe has gone.
class ClosedPipe : public Error {
 public:
  explicit ClosedPipe(const std::string& name)
      : Error(ErrorCode::io_error, name + ": the reader has gone") {}
};

/// A buffered writer. For a regular file (or one that does not exist yet) the bytes go to a
/// temporary file in the same directory, which finish() renames; without finish() the destructor
/// removes it. Devices and pipes are written directly.
///
/// Errors    Error{io_error} or Error{not_found} naming the file with the system's words;
///           ClosedPipe
class OutputFile final : public ByteSink {
 public:
  /// "-" or "": stdout.
  explicit OutputFile(const std::string& path);
  /// A file whose unfinished bytes stay, in partial_path(), whatever ends the process. Call keep()
  /// before the first write. Errors: also invalid_argument for what is no regular file, and io_error
  /// where another process is writing it.
  static std::unique_ptr<OutputFile> open_partial(const std::string& path);
  ~OutputFile() override;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes) override;
  void write_floats(std::span<const float> values) override;

  bool is_seekable() const noexcept override { return is_seekable_; }
  bool is_terminal() const noexcept;
  void overwrite(std::uint64_t offset, std::string_view bytes) override;

  /// Hands the buffer to the system.
  void flush();
  /// flush(), where what is written counts at once: somebody may wait at the other end of a pipe,
  /// and standard output keeps what came before an error.
  void flush_pipe() {
    if (temporary_.empty()) flush();
  }
  /// Flushes, closes, and gives the file its name. Nothing may be written afterwards.
  void finish();

  /// Of a partial file: its name; what an earlier process left; the first `bytes` of that stay, and
  /// writing goes on behind them.
  const std::string& partial_path() const noexcept { return temporary_; }
  std::uint64_t partial_bytes() const;
  void keep(std::uint64_t bytes);
  /// Hands all that was written to the disk, and says how much it is.
  std::uint64_t sync();
  /// FNV-1a of the bytes [begin, end) of a partial file, behind those that `before` is of (none: kFnvSeed).
  std::uint64_t checksum(std::uint64_t begin, std::uint64_t end, std::uint64_t before) const;
  /// What partial_path() would be.
  static std::string partial_of(const std::string& path);

 private:
  OutputFile() = default;
  void find_target(const std::string& path, bool exists);
  void write_all(const char* data, std::size_t size);
  [[noreturn]] void fail(const char* action, int error) const;

  std::string name_;       // as the user wrote it, or "stdout"
  std::string target_;     // the final path; empty if written directly
  std::string temporary_;  // what is renamed to target_; empty if none
  int descriptor_ = -1;
  bool is_partial_ = false;
  bool is_seekable_ = false;
  std::uint64_t begin_ = 0;  // offset of the descriptor when this output began
  std::string buffer_;
};

/// Called with the path of each temporary file when it is made, and with null when it has its name
/// or is gone: a tool may remove it where a signal ends the process. Null: nobody, the default.
using TemporaryHook = void (*)(const char* path);
void set_temporary_hook(TemporaryHook hook) noexcept;

/// Says before a computation what an OutputFile would say after it. Throws Error: invalid_argument
/// for what is no regular file, not_found and io_error for the directory.
void check_replaceable(const std::string& path);

}  // namespace tessera
