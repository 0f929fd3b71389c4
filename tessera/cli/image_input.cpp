// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/image_input.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/say.hpp"

namespace tessera::cli {
namespace {

/// `--stats`: where the time went, on stderr.
void print_stats(const ImageStats& stats) {
  const double all = std::max(stats.all, 1e-9), computing = stats.computing,
               loading = stats.loading.all();
  const auto files = static_cast<double>(std::max<std::size_t>(stats.images + stats.failed, 1));
  say("{} images in {} batches, {} failed: {:.3f} s, {:.2f} images/s\n"
      "in the encoder {:.1f} % of the time, waiting for images {:.1f} %, other {:.1f} %\n"
      "outside the encoder {:.1f} %; if nothing overlapped, {:.1f} %\n"
      "loading {:.2f} ms of CPU an image: read {:.2f}, decode {:.2f}, resize {:.2f}\n",
      stats.images, stats.batches, stats.failed, stats.all, static_cast<double>(stats.images) / all,
      100 * computing / all, 100 * stats.waiting / all,
      100 * (all - computing - stats.waiting) / all, 100 * (all - computing) / all,
      100 * loading / std::max(loading + computing, 1e-9), 1e3 * loading / files,
      1e3 * stats.loading.read / files, 1e3 * stats.loading.decode / files,
      1e3 * stats.loading.resize / files);
}

}  // namespace

void ImageFlags::add_to(CLI::App& command) {
  command.add_flag("--interpolate-positions", options.interpolate_positions,
                   "Images: other sizes than the model's own (interpolate_pos_encoding)");
  command.add_flag("--skip-others", skips_others,
                   "Images: pass over files of a directory that are no images");
  add_count(
      command, "--max-pixels", options.limits.decode.max_pixels,
      fmt::format("Images: refuse larger ones (default: {})", image::DecodeLimits{}.max_pixels),
      std::int64_t{1} << 31);
  add_count(command, "--loaders", options.loaders,
            "Images: threads that decode and resize (default: one per CPU)", 1024);
  command.add_flag("--stats", shows_stats,
                   "Say on stderr how many there were and where the time went");
}

ImageList list_arguments(const std::vector<std::string>& arguments, const ImageFlags& flags,
                         std::string_view command) {
  if (arguments.empty()) {
    throw UsageError("got no files, expected images or directories: the model takes images");
  }
  if (std::find(arguments.begin(), arguments.end(), "-") != arguments.end()) {
    throw UsageError("got '-', expected images or directories");
  }
  return list_images(
      arguments,
      {.skips_others = flags.skips_others,
       .unreadable = [&](const std::string& m) { say("tessera {}: {}\n", command, m); },
       .skipped = [&](const std::string& m) { say("tessera {}: note: {}\n", command, m); }});
}

void require_all(std::size_t failed, const ImageList& files) {
  if (failed == 0) return;
  throw Error(ErrorCode::corrupt_file, fmt::format("{} of {} inputs gave no result, expected all",
                                                   failed, files.paths.size() + files.unreadable));
}

std::size_t run_images(ImageEncoder& encoder, const ImageList& files, const ImageFlags& flags,
                       std::string_view command, const Sink& sink) {
  Progress progress("images");
  const ImageStats stats = encoder.run(
      files.paths, sink,
      [&](std::size_t, const Error& error) {
        progress.clear();
        say("tessera {}: {}\n", command, error.what());
      },
      progress.of_known());
  if (flags.shows_stats) {
    progress.clear();
    print_stats(stats);
  } else {
    progress.close(fmt::format("tessera {}", command), stats.images, "image", false);
  }
  return stats.failed + files.unreadable;
}

}  // namespace tessera::cli
