// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/copied_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr std::array kIndexes{"model.safetensors.index.json", "pytorch_model.bin.index.json"};
/// Names of weights as transformers writes them; shards have "-00001-of-00002" before the ending.
constexpr std::array kWeights{std::pair{"model", ".safetensors"},
                              std::pair{"pytorch_model", ".bin"}};
/// Weights of other programs: ONNX (and what does not fit into one of its files), TensorFlow, Flax,
/// rust-bert, llama.cpp.
constexpr std::array kOtherFormats{".onnx", ".onnx_data", ".h5", ".msgpack", ".ot", ".gguf"};

bool is_named_as_weights(const std::string& name) {
  return std::any_of(kWeights.begin(), kWeights.end(), [&](const auto& each) {
    const auto& [stem, ending] = each;
    const std::string start = std::string(stem) + "-";
    return name == std::string(stem) + ending ||
           (name.starts_with(start) && name.ends_with(ending) &&
            name.find("-of-") != std::string::npos);
  });
}

class Copy {
 public:
  Copy(const fs::path& from, std::span<const fs::path> written) : from_(from), written_(written) {}

  void folder(const fs::path& from, const fs::path& to) {
    if (above_.size() > 32) fail(from, "is in more folders than any model has");
    above_.push_back(fs::canonical(from));
    if (std::count(above_.begin(), above_.end(), above_.back()) > 1) {
      fail(from, "is a link to a folder that it is in");
    }
    fs::create_directories(to);
    for (const fs::directory_entry& entry : fs::directory_iterator(from)) copy(entry, to);
    above_.pop_back();
  }
  std::vector<std::string> left_out() && {
    std::sort(left_out_.begin(), left_out_.end());
    return std::move(left_out_);
  }

 private:
  void copy(const fs::directory_entry& entry, const fs::path& folder_to) {
    const fs::path name = entry.path().filename();
    std::error_code error;
    const fs::file_status status = fs::status(entry.path(), error);
    const bool is_hidden = name.string().starts_with(".");
    if (status.type() == fs::file_type::directory) {
      if (!is_hidden) folder(entry.path(), folder_to / name);
      return;
    }
    if (status.type() != fs::file_type::regular) {
      fail(entry.path(), error ? error.message() : "is no file and no folder");
    }
    const bool is_written =
        std::find(written_.begin(), written_.end(), entry.path()) != written_.end();
    const bool is_other = std::find(kOtherFormats.begin(), kOtherFormats.end(),
                                    name.extension().string()) != kOtherFormats.end();
    if (is_written || is_other) {
      if (!fs::exists(folder_to / name)) {
        left_out_.push_back(fs::relative(entry.path(), from_).string());
      }
      return;
    }
    fs::copy_file(entry.path(), folder_to / name, error);
    if (error) fail(entry.path(), error.message());
  }
  [[noreturn]] static void fail(const fs::path& path, const std::string& problem) {
    throw Error(ErrorCode::io_error, fmt::format("{}: cannot copy: {}, expected a file or a folder",
                                                 path.string(), problem));
  }

  const fs::path& from_;
  std::span<const fs::path> written_;
  std::vector<fs::path> above_;
  std::vector<std::string> left_out_;
};

}  // namespace

std::vector<fs::path> files_of_weights(const fs::path& directory, const Checkpoint& own) {
  std::vector<fs::path> files{own.path()};
  for (const TensorFile& file : own.files()) files.push_back(file.path());
  for (const char* name : kIndexes) files.push_back(directory / name);
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (is_named_as_weights(entry.path().filename().string())) files.push_back(entry.path());
  }
  return files;
}

std::vector<std::string> copy_other_files(const fs::path& from, const fs::path& to,
                                          std::span<const fs::path> written) {
  Copy copy(from, written);
  try {
    copy.folder(from, to);
  } catch (const fs::filesystem_error& e) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: cannot copy: {}, expected a directory that can "
                            "be read",
                            from.string(), e.code().message()));
  }
  return std::move(copy).left_out();
}

}  // namespace tessera
