// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/image_input.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <system_error>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/progress.hpp"

namespace tessera::cli {
namespace {

namespace fs = std::filesystem;

void note(std::string_view command, std::string_view message) {
  fmt::print(stderr, "tessera {}: note: {}\n", command, message);
}

// An empty file may have been meant as one.
bool may_be_an_image(const fs::path& file) {
  char head[8] = {};
  std::ifstream in(file, std::ios::binary);
  in.read(head, sizeof head);
  const std::string_view text(head, sizeof head);
  return in.gcount() == 0 || text.starts_with("\xFF\xD8\xFF") || text == "\x89PNG\r\n\x1A\n";
}

// Everything under `folder`, not through links to directories. A folder that cannot be read is
// reported, and the rest goes on.
void walk(const fs::path& folder, const ImageFlags& flags, std::string_view command,
          ImageFiles& files) {
  std::error_code error;
  std::vector<fs::path> entries;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    entries.push_back(at->path());
  }
  if (error) {
    ++files.unreadable;
    report_problem(command, fmt::format("{}: {}, expected a directory that can be read",
                                        folder.string(), error.message()));
  }
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    if (fs::is_directory(fs::symlink_status(entry, error))) {
      walk(entry, flags, command, files);
    } else if (flags.skips_others && fs::is_regular_file(entry, error) && !may_be_an_image(entry)) {
      note(command, fmt::format("{}: neither JPEG nor PNG, skipped", entry.string()));
    } else {
      files.paths.push_back(entry);
    }
  }
}

}  // namespace

void ImageFlags::add_to(CLI::App& command) {
  command.add_flag("--interpolate-positions", interpolates_positions,
                   "Images: other sizes than the model's own (interpolate_pos_encoding)");
  command.add_flag("--skip-others", skips_others,
                   "Images: pass over files of a directory that are neither JPEG nor PNG");
  command
      .add_option(
          "--max-pixels", max_pixels,
          fmt::format("Images: refuse larger ones (default: {})", image::DecodeLimits{}.max_pixels))
      ->check(integer_between(1, std::int64_t{1} << 31))
      ->type_name("N");
  command
      .add_option("--loaders", loaders,
                  "Images: threads that decode and resize (default: one per CPU)")
      ->check(integer_between(1, 1024))
      ->type_name("N");
  command.add_flag("--stats", shows_stats, "Images: say on stderr where the time went");
}

ImageOptions ImageFlags::image_options() const {
  ImageOptions options;
  options.interpolate_positions = interpolates_positions;
  options.loaders = loaders;
  if (max_pixels != 0) options.limits.decode.max_pixels = max_pixels;
  return options;
}

void ImageFlags::require_none(const std::string& reason) const {
  const char* given = interpolates_positions ? "--interpolate-positions"
                      : skips_others         ? "--skip-others"
                      : shows_stats          ? "--stats"
                      : max_pixels != 0      ? "--max-pixels"
                      : loaders != 0         ? "--loaders"
                                             : nullptr;
  if (given != nullptr) throw UsageError(fmt::format("{}: {}", given, reason));
}

void report_problem(std::string_view command, std::string_view message) {
  fmt::print(stderr, "tessera {}: {}\n", command, message);
}

ImageFiles list_images(const std::vector<std::string>& arguments, const ImageFlags& flags,
                       std::string_view command) {
  ImageFiles files;
  if (arguments.empty()) {
    throw UsageError("got no files, expected images or directories: the model takes images");
  }
  for (const std::string& argument : arguments) {
    if (argument == "-") throw UsageError("got '-', expected images or directories");
    std::error_code ignored;
    if (!fs::is_directory(argument, ignored)) {
      files.paths.emplace_back(argument);
      continue;
    }
    const std::size_t before = files.paths.size() + files.unreadable;
    walk(argument, flags, command, files);
    if (files.paths.size() + files.unreadable == before) {
      throw Error(ErrorCode::not_found,
                  fmt::format("{}: got a directory without {}, expected at least one", argument,
                              flags.skips_others ? "JPEG or PNG images" : "files"));
    }
  }
  return files;
}

void print_stats(const ImageStats& stats) {
  const double all = std::max(stats.all, 1e-9), computing = stats.computing,
               loading = stats.loading.all();
  const auto files = static_cast<double>(std::max<std::size_t>(stats.images + stats.failed, 1));
  fmt::print(stderr,
             "{} images in {} batches, {} failed: {:.3f} s, {:.2f} images/s\n"
             "in the encoder {:.1f} % of the time, waiting for images {:.1f} %, other {:.1f} %\n"
             "outside the encoder {:.1f} %; if nothing overlapped, {:.1f} %\n"
             "loading {:.2f} ms of CPU an image: read {:.2f}, decode {:.2f}, resize {:.2f}\n",
             stats.images, stats.batches, stats.failed, stats.all,
             static_cast<double>(stats.images) / all, 100 * computing / all,
             100 * stats.waiting / all, 100 * (all - computing - stats.waiting) / all,
             100 * (all - computing) / all, 100 * loading / std::max(loading + computing, 1e-9),
             1e3 * loading / files, 1e3 * stats.loading.read / files,
             1e3 * stats.loading.decode / files, 1e3 * stats.loading.resize / files);
}

void require_all(std::size_t failed, std::size_t files) {
  if (failed == 0) return;
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{} of {} inputs gave no result, expected all", failed, files));
}

std::size_t run_images(ImageEncoder& encoder, const ImageFiles& files, const ImageFlags& flags,
                       std::string_view command, const Sink& sink) {
  Progress progress("images");
  const ImageStats stats = encoder.run(
      files.paths, sink,
      [&](std::size_t, const Error& error) {
        progress.clear();
        report_problem(command, error.what());
      },
      [&](std::size_t done, std::size_t total) {
        progress.update(done, static_cast<double>(done) / static_cast<double>(total));
      });
  progress.clear();
  if (flags.shows_stats) print_stats(stats);
  return stats.failed + files.unreadable;
}

}  // namespace tessera::cli
