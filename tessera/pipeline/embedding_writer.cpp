// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/embedding_writer.hpp"

#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "tessera/pipeline/json_text.hpp"
#include "tessera/pipeline/sparse.hpp"

namespace tessera {
namespace {

class JsonlWriter : public MatrixWriter {
 public:
  JsonlWriter(ByteSink& output, std::string_view source_key)
      : output_(output), source_key_(source_key) {}

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
    line += "\"embedding\": [";
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i != 0) line += ", ";
      append_json_float(line, row[i]);
    }
    line += ']';
  }

 private:
  ByteSink& output_;
  std::string source_key_, line_;
};

class SparseJsonlWriter final : public JsonlWriter {
 public:
  SparseJsonlWriter(ByteSink& output, std::string_view source_key, const SparseText& sparse)
      : JsonlWriter(output, source_key), sparse_(sparse) {}

 protected:
  void append_row(std::span<const float> row, std::string& line) override {
    heaviest(row, sparse_.most, elements_);
    line += "\"sparse\": [";
    for (const SparseElement& element : elements_) {
      if (&element != &elements_.front()) line += ", ";
      line += '{';
      const std::string_view token =
          sparse_.tokenizer == nullptr
              ? ""
              : sparse_.tokenizer->token(static_cast<std::int32_t>(element.id));
      if (!token.empty()) {  // the vocabulary may have columns that the tokenizer has no token for
        line += "\"token\": ";
        append_json_string(line, token);
        line += ", ";
      }
      fmt::format_to(std::back_inserter(line), "\"id\": {}, \"weight\": ", element.id);
      append_json_float(line, element.weight);
      line += '}';
    }
    line += ']';
  }

 private:
  SparseText sparse_;
  std::vector<SparseElement> elements_;
};

class TextWriter final : public MatrixWriter {
 public:
  explicit TextWriter(ByteSink& output) : output_(output) {}

  void write_row(std::span<const float> row, std::optional<std::string_view>, std::string_view,
                 bool) override {
    line_.clear();
    for (std::size_t i = 0; i < row.size(); ++i) {
      fmt::format_to(std::back_inserter(line_), "{}{:.9g}", i == 0 ? "" : " ", row[i]);
    }
    line_ += '\n';
    output_.write(line_);
  }

 private:
  ByteSink& output_;
  std::string line_;
};

// The header names the number of rows, which is known at the end only: it is replaced then, or,
// where the output cannot go back (a pipe), the rows wait in memory.
class NpyWriter final : public MatrixWriter {
 public:
  NpyWriter(ByteSink& output, Index width, std::optional<std::size_t> rows_before)
      : output_(output), width_(width), rows_(rows_before.value_or(0)) {
    if (output_.is_seekable() && !rows_before) output_.write(npy_header(0, width_));
  }

  void write_row(std::span<const float> row, std::optional<std::string_view>, std::string_view,
                 bool) override {
    ++rows_;
    if (output_.is_seekable()) {
      output_.write_floats(row);
    } else {
      waiting_.insert(waiting_.end(), row.begin(), row.end());
    }
  }

  void finish() override {
    if (output_.is_seekable()) {
      output_.overwrite(0, npy_header(rows_, width_));
    } else {
      output_.write(npy_header(rows_, width_));
      output_.write_floats(waiting_);
    }
  }

 private:
  ByteSink& output_;
  Index width_;
  std::size_t rows_;
  std::vector<float> waiting_;  // (rows_, width_) where the output cannot go back
};

}  // namespace

std::unique_ptr<MatrixWriter> MatrixWriter::create(MatrixFormat format, ByteSink& output,
                                                   Index width, std::string_view source_key,
                                                   std::optional<std::size_t> rows_before,
                                                   const SparseText& sparse) {
  switch (format) {
    case MatrixFormat::jsonl:
      return std::make_unique<JsonlWriter>(output, source_key);
    case MatrixFormat::sparse_jsonl:
      return std::make_unique<SparseJsonlWriter>(output, source_key, sparse);
    case MatrixFormat::text:
      return std::make_unique<TextWriter>(output);
    case MatrixFormat::npy:
      break;
  }
  return std::make_unique<NpyWriter>(output, width, rows_before);
}

}  // namespace tessera
