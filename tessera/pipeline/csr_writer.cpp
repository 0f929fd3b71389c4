// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/csr_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/weights/stored_zip.hpp"
#include "tessera/pipeline/sparse.hpp"

namespace tessera {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t kMostZipBytes = 0xFFFF'0000;  // offsets and sizes have 32 bits

/// Numbers one behind the other, as a zip archive has them.
class Fields {
 public:
  template <class... Numbers>
  explicit Fields(Numbers... numbers) {
    (append(numbers), ...);
  }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  template <class Number>
  void append(Number number) {
    char raw[sizeof(Number)];
    std::memcpy(raw, &number, sizeof(number));
    bytes_.append(raw, sizeof(number));
  }
  std::string bytes_;
};

/// Members as they are, one after another, and the directory behind them.
class ZipWriter {
 public:
  explicit ZipWriter(ByteSink& output) : output_(output) {}

  void add(std::string_view name, std::string_view content) {
    const auto crc = zip_crc(std::as_bytes(std::span(content)));
    const auto size = static_cast<std::uint32_t>(content.size());
    const auto name_size = static_cast<std::uint16_t>(name.size());
    constexpr std::uint16_t kVersion = 20, kNone = 0, kFirstDay = 0x21;
    const std::string common =
        Fields(kVersion, kNone, kNone, kNone, kFirstDay, crc, size, size, name_size, kNone).bytes();
    directory_ += Fields(std::uint32_t{0x02014B50}, kVersion).bytes() + common +
                  Fields(kNone, kNone, kNone, std::uint32_t{0}, at_).bytes();
    directory_ += name;
    ++count_;
    write(Fields(std::uint32_t{0x04034B50}).bytes() + common);
    write(name);
    write(content);
  }
  void finish() {
    const std::uint32_t begin = at_;
    write(directory_);
    constexpr std::uint16_t kNone = 0;
    write(Fields(std::uint32_t{0x06054B50}, kNone, kNone, count_, count_,
                 static_cast<std::uint32_t>(directory_.size()), begin, kNone)
              .bytes());
  }

 private:
  void write(std::string_view bytes) {
    output_.write(bytes);
    at_ += static_cast<std::uint32_t>(bytes.size());
  }

  ByteSink& output_;
  std::string directory_;
  std::uint32_t at_ = 0;
  std::uint16_t count_ = 0;
};

template <class T>
std::string npy(const char* descr, const std::string& shape, std::span<const T> values) {
  std::string bytes = npy_header(descr, shape);
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return bytes;
}

class CsrWriter final : public MatrixWriter {
 public:
  CsrWriter(ByteSink& output, Index width, Index vocabulary)
      : output_(output), width_(vocabulary > 0 ? vocabulary : width), vocabulary_(vocabulary) {}

  void write_row(std::span<const float> row, std::optional<std::string_view>, std::string_view,
                 bool) override {
    elements_of(row, vocabulary_, elements_);
    std::sort(elements_.begin(), elements_.end(),
              [](const SparseElement& a, const SparseElement& b) { return a.id < b.id; });
    for (const SparseElement& element : elements_) {
      indices_.push_back(static_cast<std::int32_t>(element.id));
      data_.push_back(element.weight);
    }
    indptr_.push_back(static_cast<std::int64_t>(data_.size()));
  }

  void finish() override {
    const std::uint64_t bytes = data_.size() * 8 + indptr_.size() * 8;
    if (bytes > kMostZipBytes) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("--format npz: got {} elements in {} rows, {} bytes, expected less "
                              "than {} (see --top-k)",
                              data_.size(), indptr_.size() - 1, bytes, kMostZipBytes));
    }
    const std::string nnz = fmt::format("({},)", data_.size());
    const std::int64_t shape[] = {static_cast<std::int64_t>(indptr_.size() - 1), width_};
    ZipWriter zip(output_);
    zip.add("indices.npy", npy<std::int32_t>("<i4", nnz, indices_));
    zip.add("indptr.npy", npy<std::int64_t>("<i8", fmt::format("({},)", indptr_.size()), indptr_));
    zip.add("format.npy", npy<char>("|S3", "()", std::span<const char>("csr", 3)));
    zip.add("shape.npy", npy<std::int64_t>("<i8", "(2,)", shape));
    zip.add("data.npy", npy<float>("<f4", nnz, data_));
    zip.finish();
  }

 private:
  ByteSink& output_;
  Index width_;
  Index vocabulary_;
  std::vector<SparseElement> elements_;
  std::vector<std::int32_t> indices_;
  std::vector<std::int64_t> indptr_{0};
  std::vector<float> data_;
};

}  // namespace

std::unique_ptr<MatrixWriter> csr_writer(ByteSink& output, Index width, Index vocabulary) {
  return std::make_unique<CsrWriter>(output, width, vocabulary);
}

}  // namespace tessera
