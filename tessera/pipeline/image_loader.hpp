// SPDX-License-Identifier: Apache-2.0
//
// Files to images that a model takes, by threads that work ahead of whoever computes:
//
//   source ─ loaders: read, decode, resize ─▶ ring of slots, in the order of the source ─▶ encoder
//
// A loader waits while every slot is taken, so memory is bounded by the slots, whatever the number
// of files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
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
  image::PreparedImage image;
  std::optional<Error> problem;  ///< why there is none; names the file
};

/// CPU time that loaders have spent, in seconds.
struct LoadTimes {
  double read = 0, decode = 0, resize = 0;
  double all() const noexcept { return read + decode + resize; }
};

/// Where images come from. Called by several threads at once.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual std::size_t size() const = 0;
  /// What messages about image `index` begin with: its file, or "".
  virtual std::string name(std::size_t index) const = 0;
  /// The image before resize and crop. `bytes`: a buffer of the thread. Adds to times.read what it
  /// took to get the bytes. Throws Error, which names the image as name() does.
  virtual void decode(std::size_t index, std::vector<std::uint8_t>& bytes, image::RgbImage& out,
                      LoadTimes& times) const = 0;
};

/// Image files. The paths must outlive it.
class ImageFiles : public ImageSource {
 public:
  ImageFiles(std::span<const std::filesystem::path> files, const ImageLimits& limits)
      : files_(files), limits_(limits) {}
  std::size_t size() const override { return files_.size(); }
  std::string name(std::size_t index) const override { return files_[index].string(); }
  void decode(std::size_t index, std::vector<std::uint8_t>& bytes, image::RgbImage& out,
              LoadTimes& times) const override;

 private:
  std::span<const std::filesystem::path> files_;
  ImageLimits limits_;
};

class ImageLoader {
 public:
  /// Begins to load. `source` and `preprocessor` must outlive it; window ≥ 1. With 0 threads each
  /// image is loaded by the thread that asks for it. `result_pixels`: as ImageLimits.
  /// Throws Error{out_of_memory} if the system refuses the first thread.
  ImageLoader(const ImageSource& source, const image::Preprocessor& preprocessor,
              Index result_pixels, int threads, std::size_t window);
  /// Stops: images that nobody has begun are left.
  ~ImageLoader();
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;

  /// Image number `index`, waiting for it; valid until release().
  /// Precondition: within `window` of the last release().
  const LoadedImage& at(std::size_t index);
  bool is_ready(std::size_t index);
  /// Gives back the slots of all images before `index`.
  void release(std::size_t index);

  LoadTimes times();

 private:
  struct Slot {
    LoadedImage loaded;
    bool is_ready = false;
  };

  struct Worker;  // one thread's buffers

  void work();
  void stop() noexcept;
  Slot& slot(std::size_t index) { return slots_[index % slots_.size()]; }

  const ImageSource& source_;
  const image::Preprocessor& preprocessor_;
  Index result_pixels_;
  std::unique_ptr<Worker> inline_;  // of a loader without threads

  std::mutex mutex_;  // what follows, but not `loaded` of a slot that a loader has claimed
  std::condition_variable freed_, filled_;
  std::vector<Slot> slots_;
  std::size_t claimed_ = 0, released_ = 0;
  bool is_stopping_ = false;
  LoadTimes times_;
  std::vector<std::thread> threads_;
};

}  // namespace tessera
