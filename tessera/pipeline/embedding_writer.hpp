// SPDX-License-Identifier: Apache-2.0
// Writes rows of floats, or of what they become (vector_type.hpp), as JSON lines, as text, as a NumPy
// array, or as .fvecs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/types.hpp"
#include "tessera/pipeline/byte_sink.hpp"
#include "tessera/pipeline/sparse.hpp"
#include "tessera/pipeline/vector_type.hpp"

namespace tessera {

enum class MatrixFormat : std::uint8_t {
  jsonl,  ///< {"embedding": […]}, with "id", "text" or "path" before it where they are given
  sparse_jsonl,  ///< {"sparse": [{"token": …, "id": …, "weight": …}, …]}, likewise
  text,          ///< numbers between blanks
  npy,           ///< NumPy format 1.0: C order, shape (n, elements of a row)
  csr,           ///< what is not 0, as scipy.sparse.load_npz() reads it (csr_writer.hpp)
  fvecs,         ///< D as int32, then D float32, row by row (corpus-texmex.irisa.fr)
};

/// What is written of a number.
struct VectorCoding {
  VectorType type = VectorType::f32;
  Ranges ranges{};         ///< of int8 and uint8
  bool is_base64 = false;  ///< jsonl: the bytes of a row, little-endian, as one string (RFC 4648)
};

class MatrixWriter {
 public:
  /// `source_key`: what JSON calls what a row came from. `rows_before`: rows that `output` has
  /// already, where it goes on with an interrupted one.
  static std::unique_ptr<MatrixWriter> create(MatrixFormat format, ByteSink& output, Index width,
                                              std::string_view source_key = "text",
                                              std::optional<std::size_t> rows_before = {},
                                              const SparseText& sparse = {},
                                              VectorCoding coding = {});
  virtual ~MatrixWriter() = default;

  /// `source`: what the row came from, where the format carries it; `id`: its name, as JSON, or
  /// empty; `is_cut`: whether the text was cut, which JSON says.
  virtual void write_row(std::span<const float> row, std::optional<std::string_view> source,
                         std::string_view id = {}, bool is_cut = false) = 0;
  /// Completes headers; does not finish the ByteSink.
  virtual void finish() {}
};

/// The header of an .npy file: a multiple of 64 bytes, and equally long for every `rows`.
std::string npy_header(std::size_t rows, Index width, VectorType type = VectorType::f32);
/// The same of any array: "<i8", "(3,)".
std::string npy_header(const char* descr, const std::string& shape);

/// A float32 matrix read from an .npy file: C order, little-endian, two axes.
struct NpyMatrix {
  std::size_t rows = 0;
  Index width = 0;
  std::unique_ptr<float[]> values;  // (rows, width)
};

/// Throws Error: not_found, io_error, corrupt_file naming the file, got and expected.
NpyMatrix read_npy(const std::string& path);

}  // namespace tessera
