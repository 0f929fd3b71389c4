// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "runtime/base/files.hpp"
#include "runtime/base/fnv.hpp"

namespace tessera {
namespace {

constexpr const char* kPartial = ".partial";
constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

std::atomic<TemporaryHook> temporary_hook{nullptr};

void tell_hook(const char* path) {
  if (const TemporaryHook hook = temporary_hook.load()) hook(path);
}

// Asking umask(2) sets it, for all threads of the process.
mode_t current_umask() {
  constexpr std::string_view kKey = "Umask:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kKey)) {
      return static_cast<mode_t>(std::strtoul(line.c_str() + kKey.size(), nullptr, 8));
    }
  }
  return 022;
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
      find_target(path, exists);
      temporary_ = target_ + ".tmpXXXXXX";
      descriptor_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
      if (descriptor_ < 0) {
        const int reason = errno;
        temporary_.clear();
        fail("create a temporary file beside it", reason);
      }
      tell_hook(temporary_.c_str());
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

// A link is followed, so that its target is replaced and the link stays.
void OutputFile::find_target(const std::string& path, bool exists) {
  std::error_code error;
  const std::filesystem::path followed = std::filesystem::canonical(path, error);
  target_ = error ? path : followed.string();
  if (exists && ::access(target_.c_str(), W_OK) != 0) fail("open for writing", errno);
}

std::unique_ptr<OutputFile> OutputFile::open_partial(const std::string& path) {
  check_replaceable(path);
  std::unique_ptr<OutputFile> file(new OutputFile);
  file->name_ = path;
  file->find_target(path, path_exists(path));
  file->is_partial_ = file->is_seekable_ = true;
  file->temporary_ = file->target_ + kPartial;
  const char* const name = file->temporary_.c_str();
  file->descriptor_ = ::open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file->descriptor_ < 0) file->fail("open its partial file", errno);
  if (::flock(file->descriptor_, LOCK_EX | LOCK_NB) != 0) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: got a lock of another process, expected to write it alone", name));
  }
  file->buffer_.reserve(kBufferBytes);
  return file;
}

std::uint64_t OutputFile::partial_bytes() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail("look at its partial file", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

void OutputFile::keep(std::uint64_t bytes) {
  const auto size = static_cast<off_t>(bytes);
  if (::ftruncate(descriptor_, size) != 0 || ::lseek(descriptor_, size, SEEK_SET) != size) {
    fail("go on with its partial file", errno);
  }
}

std::uint64_t OutputFile::checksum(std::uint64_t begin, std::uint64_t end,
                                   std::uint64_t before) const {
  std::uint64_t sum = before;
  std::string block(kBufferBytes, '\0');
  while (begin < end) {
    const std::size_t wanted = std::min<std::uint64_t>(block.size(), end - begin);
    const ssize_t got = ::pread(descriptor_, block.data(), wanted, static_cast<off_t>(begin));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("read its partial file", got < 0 ? errno : EIO);
    begin += static_cast<std::uint64_t>(got);
    sum = fnv1a(sum, std::string_view(block).substr(0, static_cast<std::size_t>(got)));
  }
  return sum;
}

std::string OutputFile::partial_of(const std::string& path) {
  std::error_code error;
  const std::filesystem::path followed = std::filesystem::canonical(path, error);
  return (error ? path : followed.string()) + kPartial;
}

std::uint64_t OutputFile::sync() {
  flush();
  if (::fdatasync(descriptor_) != 0) fail("write", errno);
  return partial_bytes();
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0 && descriptor_ != STDOUT_FILENO) ::close(descriptor_);
  if (!temporary_.empty() && !is_partial_) {
    ::unlink(temporary_.c_str());
    tell_hook(nullptr);
  }
}

bool OutputFile::is_terminal() const noexcept {
  return ::isatty(descriptor_) == 1;
}

void OutputFile::fail(const char* action, int error) const {
  if (error == EPIPE) throw ClosedPipe(name_);
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
  tell_hook(nullptr);
}

void set_temporary_hook(TemporaryHook hook) noexcept {
  temporary_hook = hook;
}

void check_replaceable(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: is no regular file, expected one to replace", path));
  }
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (parent.empty()) parent = ".";
  if (!std::filesystem::is_directory(parent, error)) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: there is no directory {}", path, parent.string()));
  }
  if (::access(parent.c_str(), W_OK) != 0) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: the directory {} is not writable", path, parent.string()));
  }
}

}  // namespace tessera
