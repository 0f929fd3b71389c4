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
}

// One thread's buffers.
struct Loader {
  const image::Preprocessor& preprocessor;
  const ImageLimits& limits;
  image::Preprocessor::Workspace workspace{};
  std::vector<std::uint8_t> bytes{};
  image::RgbImage decoded{};

  void load(const fs::path& file, image::RgbImage& out, LoadTimes& times) {
    const double begin = thread_seconds();
    read_file(file, limits.file_bytes, bytes);
    const double read = thread_seconds();
    image::decode(bytes, file.string(), limits.decode, decoded);
    const double decode = thread_seconds();
    try {
      preprocessor.run(decoded, workspace, out, limits.result_pixels);
    } catch (const Error& e) {
      throw Error(e.code(), fmt::format("{}: {}", file.string(), e.what()));
    }
    times = {.read = read - begin, .decode = decode - read, .resize = thread_seconds() - decode};
  }

  LoadTimes run(const fs::path& file, LoadedImage& to) {
    LoadTimes times;
    to.problem.reset();
    try {
      load(file, to.image, times);
    } catch (const Error& e) {
      to.problem = e;
    } catch (const std::bad_alloc&) {
      to.problem = Error(ErrorCode::out_of_memory, file.string() + ": out of memory");
    } catch (const std::exception& e) {
      to.problem = Error(ErrorCode::internal, fmt::format("{}: {}", file.string(), e.what()));
    }
    return times;
  }
};

}  // namespace

ImageLoader::ImageLoader(std::span<const fs::path> files, const image::Preprocessor& preprocessor,
                         const ImageLimits& limits, int threads, std::size_t window)
    : files_(files), preprocessor_(preprocessor), limits_(limits), slots_(window) {
  const std::size_t useful = std::min(static_cast<std::size_t>(threads), files.size());
  try {
    while (threads_.size() < useful) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) {
      throw Error(ErrorCode::out_of_memory, "image loader: the system refuses a thread");
    }
  }
}

ImageLoader::~ImageLoader() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  freed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ImageLoader::work() {
  Loader loader{.preprocessor = preprocessor_, .limits = limits_};
  std::unique_lock lock(mutex_);
  while (true) {
    freed_.wait(lock, [this] {
      return is_stopping_ || claimed_ >= files_.size() || claimed_ < released_ + slots_.size();
    });
    if (is_stopping_ || claimed_ >= files_.size()) return;
    const std::size_t index = claimed_++;
    lock.unlock();
    const LoadTimes times = loader.run(files_[index], slot(index).loaded);
    lock.lock();
    slot(index).is_ready = true;
    times_.read += times.read;
    times_.decode += times.decode;
    times_.resize += times.resize;
    filled_.notify_one();
  }
}

const LoadedImage& ImageLoader::at(std::size_t index) {
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
