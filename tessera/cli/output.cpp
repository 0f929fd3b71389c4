// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"

namespace tessera::cli {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

// The temporary file that a signal handler removes: a handler may touch no std::string.
constexpr std::size_t kPathBytes = 4096;
char pending_path[kPathBytes];
volatile std::sig_atomic_t has_pending_path = 0;

void remember_for_signals(const std::string& path) {
  has_pending_path = 0;
  if (path.size() + 1 > kPathBytes) return;
  std::memcpy(pending_path, path.c_str(), path.size() + 1);
  has_pending_path = 1;
}

void forget_for_signals() noexcept {
  has_pending_path = 0;
}

extern "C" void remove_and_die(int signal_number) {
  if (has_pending_path != 0) ::unlink(pending_path);
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

mode_t current_umask() noexcept {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

}  // namespace

OutputFile::OutputFile(const std::string& path) {
  if (path.empty() || path == "-") {
    name_ = "stdout";
    descriptor_ = STDOUT_FILENO;
  } else {
    name_ = path;
    struct stat status {};
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) fail("open for writing", EISDIR);
    if (exists && !S_ISREG(status.st_mode)) {
      descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail("open for writing", errno);
    } else {
      // A link is followed, so that its target is replaced and the link stays.
      std::error_code error;
      const std::filesystem::path followed = std::filesystem::canonical(path, error);
      target_ = error ? path : followed.string();
      if (exists && ::access(target_.c_str(), W_OK) != 0) fail("open for writing", errno);
      temporary_ = target_ + ".tmpXXXXXX";
      descriptor_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
      if (descriptor_ < 0) {
        const int reason = errno;
        temporary_.clear();
        fail("create a temporary file beside it", reason);
      }
      remember_for_signals(temporary_);
      const mode_t mode = exists ? (status.st_mode & 07777) : (0666 & ~current_umask());
      ::fchmod(descriptor_, mode);  // a file system without modes may refuse: harmless
    }
  }
  const off_t position = ::lseek(descriptor_, 0, SEEK_CUR);
  const int flags = ::fcntl(descriptor_, F_GETFL);
  struct stat opened {};
  is_seekable_ = position >= 0 && flags >= 0 && (flags & O_APPEND) == 0 &&
                 ::fstat(descriptor_, &opened) == 0 && S_ISREG(opened.st_mode);
  if (is_seekable_) begin_ = static_cast<std::uint64_t>(position);
  buffer_.reserve(kBufferBytes);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0 && descriptor_ != STDOUT_FILENO) ::close(descriptor_);
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
    forget_for_signals();
  }
}

bool OutputFile::is_terminal() const noexcept {
  return ::isatty(descriptor_) == 1;
}

void OutputFile::fail(const char* action, int error) const {
  if (error == EPIPE) throw ClosedPipe{};
  const ErrorCode code = error == ENOENT ? ErrorCode::not_found : ErrorCode::io_error;
  throw Error(code, fmt::format("{}: cannot {}: {}", name_, action, std::strerror(error)));
}

void OutputFile::write_all(const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, data, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("write", errno);
    }
    data += written;
    size -= static_cast<std::size_t>(written);
  }
}

void OutputFile::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  if (bytes.size() >= kBufferBytes) {
    write_all(bytes.data(), bytes.size());
  } else {
    buffer_.append(bytes);
  }
}

void OutputFile::write_floats(std::span<const float> values) {
  const std::span<const std::byte> bytes = std::as_bytes(values);
  write({static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()});
}

void OutputFile::overwrite(std::uint64_t offset, std::string_view bytes) {
  flush();
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(begin_ + offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("write", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

void OutputFile::flush() {
  write_all(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void OutputFile::finish() {
  flush();
  const int descriptor = descriptor_;
  descriptor_ = -1;
  // stdout is closed too: a full disk or a network file system may say so only now.
  if (::close(descriptor) != 0 && errno != EINTR) fail("close", errno);
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("rename the finished file", errno);
  temporary_.clear();
  forget_for_signals();
}

void prepare_process() {
  // A closed descriptor 0, 1 or 2 would be given to the next file that is opened. These stand-ins
  // keep the place, and make reading (0) or writing (1, 2) fail as on a closed one.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction previous {};
    // A parent that ignores a signal (nohup) means it.
    if (::sigaction(number, nullptr, &previous) == 0 && previous.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = remove_and_die;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace tessera::cli
