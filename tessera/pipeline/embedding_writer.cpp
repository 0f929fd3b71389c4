// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/embedding_writer.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>
#include <vector>

#include "models/text/base64.hpp"
#include "tessera/pipeline/csr_writer.hpp"
#include "tessera/pipeline/json_text.hpp"

namespace tessera {
namespace {

/// A row as it is stored.
class CodedRow {
 public:
  CodedRow(Index width, VectorCoding coding)
      : coding_(std::move(coding)), elements_(elements_of(coding_.type, width)) {
    bytes_.resize(static_cast<std::size_t>(elements_ * element_bytes(coding_.type)));
  }

  /// Until the next row.
  std::string_view code(std::span<const float> row) {
    narrow_row(row, coding_.type, coding_.ranges, bytes_);
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  /// Element i of the last row, as JSON has it: not finite ones are null.
  void append_element(std::string& text, Index i) const {
    append_json_float(text, static_cast<float>(element(bytes_, coding_.type, i)));
  }
  /// The same as text has it.
  void append_number(std::string& text, Index i) const {
    fmt::format_to(std::back_inserter(text), "{:.9g}", element(bytes_, coding_.type, i));
  }
  Index elements() const noexcept { return elements_; }
  VectorType type() const noexcept { return coding_.type; }
  bool is_base64() const noexcept { return coding_.is_base64; }

 private:
  VectorCoding coding_;
  Index elements_;
  std::vector<std::byte> bytes_;
};

class JsonlWriter : public MatrixWriter {
 public:
  JsonlWriter(ByteSink& output, Index width, std::string_view source_key, VectorCoding coding = {})
      : output_(output), coded_(width, std::move(coding)), source_key_(source_key) {}

  void write_row(std::span<const float> row, std::optional<std::string_view> source,
                 std::string_view id, bool is_cut) override {
    line_.assign(1, '{');
    if (!id.empty()) {
      line_ += "\"id\": ";
      line_ += id;
      line_ += ", ";
    }
    if (source) {
      append_json_string(line_, source_key_);
      line_ += ": ";
      append_json_string(line_, *source);
      line_ += ", ";
    }
    if (is_cut) line_ += "\"cut\": true, ";
    append_row(row, line_);
    line_ += "}\n";
    output_.write(line_);
  }

 protected:
  /// "name": [...]
  virtual void append_row(std::span<const float> row, std::string& line) {
    const std::string_view bytes = coded_.code(row);
    if (coded_.is_base64()) {
      line += "\"embedding\": \"";
      line += text::encode_base64(bytes);
      line += '"';
      return;
    }
    line += "\"embedding\": [";
    for (Index i = 0; i < coded_.elements(); ++i) {
      if (i != 0) line += ", ";
      coded_.append_element(line, i);
    }
    line += ']';
  }

 private:
  ByteSink& output_;
  CodedRow coded_;
  std::string source_key_, line_;
};

class SparseJsonlWriter final : public JsonlWriter {
 public:
  SparseJsonlWriter(ByteSink& output, Index width, std::string_view source_key,
                    const SparseText& sparse)
      : JsonlWriter(output, width, source_key), sparse_(sparse) {}

 protected:
  void append_row(std::span<const float> row, std::string& line) override {
    line += "\"sparse\": ";
    append_sparse(line, row, sparse_);
  }

 private:
  SparseText sparse_;
};

class TextWriter final : public MatrixWriter {
 public:
  TextWriter(ByteSink& output, Index width, VectorCoding coding)
      : output_(output), coded_(width, std::move(coding)) {}

  void write_row(std::span<const float> row, std::optional<std::string_view>, std::string_view,
                 bool) override {
    coded_.code(row);
    line_.clear();
    for (Index i = 0; i < coded_.elements(); ++i) {
      if (i != 0) line_ += ' ';
      coded_.append_number(line_, i);
    }
    line_ += '\n';
    output_.write(line_);
  }

 private:
  ByteSink& output_;
  CodedRow coded_;
  std::string line_;
};

// The header names the number of rows, which is known at the end only: it is replaced then, or,
// where the output cannot go back (a pipe), the rows wait in memory.
class NpyWriter final : public MatrixWriter {
 public:
  NpyWriter(ByteSink& output, Index width, std::optional<std::size_t> rows_before,
            VectorCoding coding)
      : output_(output), row_(width, std::move(coding)), rows_(rows_before.value_or(0)) {
    if (output_.is_seekable() && !rows_before) output_.write(header());
  }

  void write_row(std::span<const float> row, std::optional<std::string_view>, std::string_view,
                 bool) override {
    ++rows_;
    const std::string_view bytes = row_.code(row);
    if (output_.is_seekable()) {
      output_.write(bytes);
    } else {
      waiting_ += bytes;
    }
  }

  void finish() override {
    if (output_.is_seekable()) {
      output_.overwrite(0, header());
    } else {
      output_.write(header());
      output_.write(waiting_);
    }
  }

 private:
  std::string header() const { return npy_header(rows_, row_.elements(), row_.type()); }

  ByteSink& output_;
  CodedRow row_;
  std::size_t rows_;
  std::string waiting_;  // rows_ rows where the output cannot go back
};

class FvecsWriter final : public MatrixWriter {
 public:
  FvecsWriter(ByteSink& output, Index width)
      : output_(output), width_(static_cast<std::int32_t>(width)) {}

  void write_row(std::span<const float> row, std::optional<std::string_view>, std::string_view,
                 bool) override {
    output_.write({reinterpret_cast<const char*>(&width_), sizeof(width_)});
    output_.write_floats(row);
  }

 private:
  ByteSink& output_;
  std::int32_t width_;
};

}  // namespace

std::unique_ptr<MatrixWriter> MatrixWriter::create(MatrixFormat format, ByteSink& output,
                                                   Index width, std::string_view source_key,
                                                   std::optional<std::size_t> rows_before,
                                                   const SparseText& sparse, VectorCoding coding) {
  switch (format) {
    case MatrixFormat::jsonl:
      return std::make_unique<JsonlWriter>(output, width, source_key, std::move(coding));
    case MatrixFormat::sparse_jsonl:
      return std::make_unique<SparseJsonlWriter>(output, width, source_key, sparse);
    case MatrixFormat::text:
      return std::make_unique<TextWriter>(output, width, std::move(coding));
    case MatrixFormat::csr:
      return csr_writer(output, width, sparse.vocabulary);
    case MatrixFormat::fvecs:
      return std::make_unique<FvecsWriter>(output, width);
    case MatrixFormat::npy:
      break;
  }
  return std::make_unique<NpyWriter>(output, width, rows_before, std::move(coding));
}

}  // namespace tessera
