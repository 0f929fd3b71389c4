// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npy, format 1.0: "\x93NUMPY" 1 0, the length of the header (u16, little-endian), the
// header (a Python dict, blanks, a newline) such that the data begin at a multiple of 64, the data.
// Source: numpy.lib.format.
#include <fcntl.h>
#include <fmt/format.h>

#include <unistd.h>

#include <bit>
#include <cctype>
#include <charconv>
#include <cstring>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/mapped_file.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kPreamble = 10;      // magic, version, length
constexpr std::size_t kHeaderBytes = 128;  // the dict with two 20-digit numbers takes 107
static_assert(std::endian::native == std::endian::little);

[[noreturn]] void corrupt(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::corrupt_file, fmt::format("{}: {}", path, what));
}

// The value that follows 'key': in the header dict, up to the next comma outside parentheses.
std::string_view dict_value(std::string_view dict, std::string_view key) noexcept {
  const std::size_t at = dict.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) return {};
  std::string_view rest = dict.substr(at + key.size() + 3);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const std::size_t end = rest.starts_with('(') ? rest.find(')') + 1 : rest.find_first_of(",}");
  return rest.substr(0, end);
}

// "(3, 4)" as two numbers.
bool parse_shape(std::string_view shape, std::size_t& rows, std::size_t& width) noexcept {
  if (!shape.starts_with('(')) return false;
  const char* const end = shape.data() + shape.size();
  const auto first = std::from_chars(shape.data() + 1, end, rows);
  if (first.ec != std::errc{} || end - first.ptr < 3 || first.ptr[0] != ',' ||
      first.ptr[1] != ' ') {
    return false;
  }
  const auto second = std::from_chars(first.ptr + 2, end, width);
  return second.ec == std::errc{} && end - second.ptr == 1;
}

}  // namespace

std::string npy_header(const char* descr, const std::string& shape) {
  std::string header(kMagic);
  header += '\x01';
  header += '\0';
  const std::size_t length = kHeaderBytes - kPreamble;
  header += static_cast<char>(length & 0xFF);
  header += static_cast<char>(length >> 8);
  header += fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", descr, shape);
  header.resize(kHeaderBytes - 1, ' ');
  header += '\n';
  return header;
}

std::string npy_header(std::size_t rows, Index width, VectorType type) {
  return npy_header(npy_descr(type), fmt::format("({}, {})", rows, width));
}

NpyMatrix read_npy(const std::string& path) {
  const MappedFile file = MappedFile::open(path);
  constexpr std::size_t kMostHead = kPreamble + 0xFFFF;  // version 1
  const std::span<const std::byte> bytes = file.bytes();
  std::string text(std::min(bytes.size(), kMostHead), '\0');
  file.read(bytes.first(text.size()), static_cast<std::byte*>(static_cast<void*>(text.data())));
  if (!text.starts_with(kMagic) || text.size() < kPreamble) {
    corrupt(path, "is no .npy file, expected one that begins with \\x93NUMPY");
  }
  if (text[6] != '\x01') corrupt(path, fmt::format(".npy version {}, expected 1", int{text[6]}));
  const auto byte = [&text](std::size_t i) {
    return std::size_t{static_cast<unsigned char>(text[i])};
  };
  const std::size_t begin = kPreamble + byte(8) + (byte(9) << 8);
  if (begin > text.size()) {
    corrupt(path,
            fmt::format("the file ends at byte {}, within the header, expected {} bytes of it",
                        text.size(), begin));
  }
  const std::string_view dict = std::string_view(text).substr(kPreamble, begin - kPreamble);
  NpyMatrix matrix;
  std::size_t width = 0;
  if (dict_value(dict, "descr") != "'<f4'" || dict_value(dict, "fortran_order") != "False" ||
      !parse_shape(dict_value(dict, "shape"), matrix.rows, width)) {
    corrupt(path, fmt::format("got {}, expected a float32 matrix in C order",
                              detail::in_quotes(dict.substr(0, dict.find('}') + 1))));
  }
  const std::size_t data_bytes = bytes.size() - begin;
  if (width < 1 || std::cmp_greater(width, kMostWidth)) {
    corrupt(path, fmt::format("got rows of {} floats, expected 1 to {}", width, kMostWidth));
  }
  if (data_bytes % (4 * width) != 0 || data_bytes / (4 * width) != matrix.rows) {
    corrupt(path, fmt::format("{} bytes of data, expected {} rows of {} floats", data_bytes,
                              matrix.rows, width));
  }
  matrix.width = static_cast<Index>(width);
  matrix.values = std::make_unique<float[]>(matrix.rows * width);
  file.read(bytes.subspan(begin), static_cast<std::byte*>(static_cast<void*>(matrix.values.get())));
  return matrix;
}

}  // namespace tessera
