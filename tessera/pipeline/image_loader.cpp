// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/image_loader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "runtime/base/blocked_signals.hpp"
#include "runtime/base/files.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

[[noreturn]] void refuse(const fs::path& file, int error) {
  const bool is_missing = error == ENOENT || error == ENOTDIR;
  throw Error(is_missing ? ErrorCode::not_found : ErrorCode::io_error,
              fmt::format("{}: {}, expected an image file that can be read", file.string(),
                          std::generic_category().message(error)));
}

// The whole of a regular file into `bytes`. Opened without waiting: a FIFO has no end to wait for.
void read_file(const fs::path& file, std::uint64_t limit, std::vector<std::uint8_t>& bytes) {
  struct Descriptor {
    int value;
    ~Descriptor() {
      if (value >= 0) ::close(value);
    }
  } const descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status {};
  if (descriptor.value < 0 || ::fstat(descriptor.value, &status) != 0) refuse(file, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: is {}, expected an image file", file.string(),
                            S_ISDIR(status.st_mode) ? "a directory" : "no regular file"));
  }
  if (static_cast<std::uint64_t>(status.st_size) > limit) {
    throw Error(ErrorCode::invalid_argument, fmt::format("{}: got {} bytes, expected at most {}",
                                                         file.string(), status.st_size, limit));
  }
  bytes.resize(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(descriptor.value, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(file, errno);
    if (got == 0) break;  // cut meanwhile: the decoder will say so
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  // Pillow reads no XML either, but a vector image is no web page.
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min<std::size_t>(bytes.size(), 64));
  const std::string_view got = head.starts_with("<?xml") ? "" : stand_in(head);
  if (!got.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got {}, expected an image file", file.string(), got));
  }
}

}  // namespace

void ImageFiles::decode(std::size_t index, std::vector<std::uint8_t>& bytes, image::RgbImage& out,
                        LoadTimes& times) const {
  const double begin = thread_seconds();
  read_file(files_[index], limits_.file_bytes, bytes);
  times.read += thread_seconds() - begin;
  image::decode(bytes, name(index), limits_.decode, out);
}

struct ImageLoader::Worker {
  const ImageLoader& loader;
  image::Preprocessor::Workspace workspace{};
  std::vector<std::uint8_t> bytes{};
  image::RgbImage decoded{};
  Error no_memory{ErrorCode::out_of_memory, "image loader: out of memory"};  // made while there is

  std::string about(std::size_t index, const char* what) const {
    const std::string name = loader.source_.name(index);
    return name.empty() ? what : fmt::format("{}: {}", name, what);
  }

  void load(std::size_t index, image::PreparedImage& out, LoadTimes& times) {
    const double begin = thread_seconds();
    loader.source_.decode(index, bytes, decoded, times);
    const double decode = thread_seconds();
    times.decode = decode - begin - times.read;
    try {
      loader.preprocessor_.run(decoded, workspace, out, loader.result_pixels_);
    } catch (const Error& e) {
      throw Error(e.code(), about(index, e.what()));
    }
    times.resize = thread_seconds() - decode;
  }

  LoadTimes run(std::size_t index, LoadedImage& to) {
    LoadTimes times;
    to.problem.reset();
    try {
      try {
        load(index, to.image, times);
      } catch (const Error& e) {
        to.problem = e;
      } catch (const std::bad_alloc&) {
        to.problem = Error(ErrorCode::out_of_memory, about(index, "out of memory"));
      } catch (const std::exception& e) {
        to.problem = Error(ErrorCode::internal, about(index, e.what()));
      }
    } catch (...) {  // not even for the words
      to.problem = no_memory;
    }
    return times;
  }
};

ImageLoader::ImageLoader(const ImageSource& source, const image::Preprocessor& preprocessor,
                         Index result_pixels, int threads, std::size_t window)
    : source_(source), preprocessor_(preprocessor), result_pixels_(result_pixels), slots_(window) {
  if (threads == 0) inline_ = std::make_unique<Worker>(Worker{.loader = *this});
  const std::size_t useful = std::min(static_cast<std::size_t>(threads), source.size());
  const BlockedSignals blocked;
  try {
    while (threads_.size() < useful) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) {
      throw Error(ErrorCode::out_of_memory, "image loader: the system refuses a thread");
    }
  } catch (...) {
    stop();
    throw;
  }
}

ImageLoader::~ImageLoader() {
  stop();
}

void ImageLoader::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  freed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ImageLoader::work() {
  Worker worker{.loader = *this};
  std::unique_lock lock(mutex_);
  while (true) {
    freed_.wait(lock, [this] {
      return is_stopping_ || claimed_ >= source_.size() || claimed_ < released_ + slots_.size();
    });
    if (is_stopping_ || claimed_ >= source_.size()) return;
    const std::size_t index = claimed_++;
    lock.unlock();
    const LoadTimes times = worker.run(index, slot(index).loaded);
    lock.lock();
    slot(index).is_ready = true;
    times_.read += times.read;
    times_.decode += times.decode;
    times_.resize += times.resize;
    filled_.notify_one();
  }
}

const LoadedImage& ImageLoader::at(std::size_t index) {
  if (inline_ && !slot(index).is_ready) {
    const LoadTimes times = inline_->run(index, slot(index).loaded);
    slot(index).is_ready = true;
    times_.read += times.read;
    times_.decode += times.decode;
    times_.resize += times.resize;
  }
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this, index] { return slot(index).is_ready; });
  return slot(index).loaded;
}

bool ImageLoader::is_ready(std::size_t index) {
  const std::lock_guard lock(mutex_);
  return index < released_ + slots_.size() && slot(index).is_ready;
}

void ImageLoader::release(std::size_t index) {
  {
    const std::lock_guard lock(mutex_);
    for (; released_ < index; ++released_) slot(released_).is_ready = false;
  }
  freed_.notify_all();
}

LoadTimes ImageLoader::times() {
  const std::lock_guard lock(mutex_);
  return times_;
}

}  // namespace tessera
