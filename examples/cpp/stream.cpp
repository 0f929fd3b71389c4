// SPDX-License-Identifier: Apache-2.0
//
// A corpus of any size to vectors in bounded memory: stdin is read in chunks of lines, each chunk is
// encoded and its vectors are appended to an .npy file; then the file is searched.
//
//   stream MODEL VECTORS.npy QUERY < LINES
//
// A line that is too long to be read whole is left out and named (item_status), its neighbours are
// not touched. Memory: the model, one arena, one chunk; the index at the end holds all vectors.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <tessera/tessera.hpp>
#include <vector>

namespace {

constexpr std::size_t kChunk =
    256;  // lines: enough to fill batches, 256 KiB of vectors at width 256

/// Appends rows to an .npy file (float32, version 1.0), which has its name when it is complete. The
/// header has a fixed size, so that the number of rows can be written into it at the end.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, std::int64_t width) : path_(path), width_(width) {
    // The name is given at the end by rename(), which would put the file in the place of a device.
    if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path)) {
      throw std::runtime_error(path + ": is no regular file, expected one to replace, or none");
    }
    file_.open(path + ".partial", std::ios::binary);
    write_header();
  }

  void append(const float* row) {
    file_.write(reinterpret_cast<const char*>(row),
                static_cast<std::streamsize>(sizeof(float)) * width_);
    ++rows_;
  }

  void finish() {
    file_.seekp(0);
    write_header();
    file_.close();
    if (!file_) throw std::runtime_error(path_ + ".partial could not be written");
    std::filesystem::rename(path_ + ".partial", path_);
  }

 private:
  static constexpr std::size_t kHeaderSize = 128;  // a multiple of 64, as the format asks for

  void write_header() {
    std::string header("\x93NUMPY\x01\x00", 8);
    header += static_cast<char>(kHeaderSize - 10);
    header += '\0';
    header += "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows_) + ", " +
              std::to_string(width_) + "), }";
    header.resize(kHeaderSize - 1, ' ');
    header += '\n';
    file_ << header;
  }

  std::string path_;
  std::ofstream file_;
  std::int64_t width_, rows_ = 0;
};

/// At most kChunk further lines.
std::vector<std::string> read_chunk(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; lines.size() < kChunk && std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::fprintf(stderr, "usage: stream MODEL VECTORS.npy QUERY < LINES\n");
    return 2;
  }
  const tessera::Model model(argv[1]);
  tessera::Session session(model, {.max_rows = 2048, .max_sequences = 64});
  std::fprintf(stderr, "at most %.1f MiB for weights and arena\n",
               static_cast<double>(session.memory().total) / (1 << 20));

  // A line longer than the model reads is an error of that line, not cut in silence.
  const tessera::TextOptions whole{.truncation = TESSERA_DO_NOT_TRUNCATE};
  const auto width = static_cast<std::size_t>(session.width());
  NpyWriter vectors(argv[2], session.width());
  std::vector<std::size_t> line_of_row;  // 8 bytes a line; a service would keep them in a file, too
  std::size_t lines_read = 0;
  for (;;) {
    const std::vector<std::string> lines = read_chunk(std::cin);
    if (lines.empty()) break;
    std::vector<tessera_status> status(lines.size());
    const std::vector<float> rows =
        session.embed({lines, whole}, {.item_status = status});  // (lines, width)
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (status[i] == TESSERA_OK) {
        vectors.append(rows.data() + i * width);
        line_of_row.push_back(lines_read + i + 1);
      } else {
        std::printf("line %zu: left out, %s\n", lines_read + i + 1, tessera_status_name(status[i]));
      }
    }
    lines_read += lines.size();
  }
  vectors.finish();
  std::printf("%zu lines, %zu vectors\n", lines_read, line_of_row.size());

  if (line_of_row.empty()) return 0;

  const tessera::SearchIndex index(std::filesystem::path{argv[2]});
  const auto most = std::min<std::size_t>(3, line_of_row.size());
  for (const tessera::Hit& hit : index.search(session.embed(argv[3]), most)) {
    std::printf("%.3f  line %zu\n", static_cast<double>(hit.score),
                line_of_row.at(static_cast<std::size_t>(hit.id)));
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
