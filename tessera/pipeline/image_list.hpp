// SPDX-License-Identifier: Apache-2.0
// From what a user names, files and directories, to image files.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tessera {

/// Files as they are, directories with all that is in them, in the order of their paths.
struct ImageList {
  std::vector<std::filesystem::path> paths;
  std::size_t unreadable = 0;  ///< directories

  std::vector<std::string> names() const;
};

struct ImageListOptions {
  /// A file of a directory that begins like none of the image types is left out.
  bool skips_others = false;
  std::function<void(const std::string& message)> unreadable = {};  ///< told of each directory
  std::function<void(const std::string& message)> skipped = {};     ///< and of each file left out
};

/// Whether the file begins as one of the image types does.
bool begins_as_image(const std::filesystem::path& file);

/// Does not go through links to directories. A directory that cannot be read is told, and the rest
/// goes on. Errors: not_found if nothing is in a directory that was named.
ImageList list_images(std::span<const std::string> names, const ImageListOptions& options);

}  // namespace tessera
