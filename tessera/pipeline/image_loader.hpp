// SPDX-License-Identifier: Apache-2.0
//
// Files to images that a model takes, by threads that work ahead of whoever computes:
//
//   files ─ loaders: read, decode, resize ─▶ ring of slots, in the order of the files ─▶ encoder
//
// A loader waits while every slot is taken, so memory is bounded by the slots, whatever the number
// of files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "models/image/decode.hpp"
#include "models/image/preprocessor.hpp"
#include "runtime/base/error.hpp"

namespace tessera {

/// What is refused of one file, so that it cannot take all memory.
struct ImageLimits {
  image::DecodeLimits decode{};
  std::uint64_t file_bytes = std::uint64_t{1} << 29;
  Index result_pixels = Index{1} << 24;  ///< after resize and crop
};

struct LoadedImage {
  image::RgbImage image;         ///< after resize and crop
  std::optional<Error> problem;  ///< why there is none; names the file
};

/// CPU time that loaders have spent, in seconds.
struct LoadTimes {
  double read = 0, decode = 0, resize = 0;
  double all() const noexcept { return read + decode + resize; }
};

class ImageLoader {
 public:
  /// Begins to load. `files` and `preprocessor` must outlive it; threads, window ≥ 1.
  /// Throws Error{out_of_memory} if the system refuses the first thread.
  ImageLoader(std::span<const std::filesystem::path> files, const image::Preprocessor& preprocessor,
              const ImageLimits& limits, int threads, std::size_t window);
  /// Stops: files that nobody has begun are left.
  ~ImageLoader();
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;

  /// The file number `index`, waiting for it; valid until release().
  /// Precondition: within `window` of the last release().
  const LoadedImage& at(std::size_t index);
  bool is_ready(std::size_t index);
  /// Gives back the slots of all files before `index`.
  void release(std::size_t index);

  LoadTimes times();

 private:
  struct Slot {
    LoadedImage loaded;
    bool is_ready = false;
  };

  void work();
  Slot& slot(std::size_t index) { return slots_[index % slots_.size()]; }

  std::span<const std::filesystem::path> files_;
  const image::Preprocessor& preprocessor_;
  ImageLimits limits_;

  std::mutex mutex_;  // what follows, but not `loaded` of a slot that a loader has claimed
  std::condition_variable freed_, filled_;
  std::vector<Slot> slots_;
  std::size_t claimed_ = 0, released_ = 0;
  bool is_stopping_ = false;
  LoadTimes times_;
  std::vector<std::thread> threads_;
};

}  // namespace tessera
