// SPDX-License-Identifier: Apache-2.0
// The strict reader. Header text -> entries (JSON rules) -> layout (the buffer is tiled exactly).
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/json.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/looks_like.hpp"
#include "runtime/weights/safetensors.hpp"

namespace tessera {
namespace {

using detail::in_quotes;
using detail::shortened;

constexpr std::size_t kLengthBytes = 8;
// The reference implementation's cap: a wrong length must not become a huge allocation.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

/// One tensor of the header with its place in the buffer.
struct Entry {
  StoredTensor tensor;
  std::uint64_t begin;
  std::uint64_t end;
};

/// Collects what every message starts with.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : where_(path.string()) {}

  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::corrupt_file, fmt::format("{}: {}", where_, problem));
  }
  [[noreturn]] void fail(std::string_view tensor, std::string_view problem) const {
    fail(fmt::format("tensor {}: {}", in_quotes(tensor), problem));
  }

  std::string header(const MappedFile& file) const;
  Entry entry(std::string_view name, json::Value value) const;
  std::map<std::string, std::string, std::less<>> metadata(json::Value value) const;
  void check_layout(std::span<const Entry> sorted, std::uint64_t buffer_bytes) const;

 private:
  std::uint64_t integer(std::string_view tensor, std::string_view field, json::Value value) const;
  void shape(StoredTensor& tensor, json::Value value) const;
  void offsets(Entry& entry, json::Value value) const;
  std::uint64_t size_of(const StoredTensor& tensor) const;

  std::string where_;
};

std::string Reader::header(const MappedFile& mapped) const {
  const std::span<const std::byte> file = mapped.bytes();
  std::vector<std::byte> head(std::min<std::size_t>(file.size(), 64));
  mapped.read(file.first(head.size()), head.data());
  if (file.size() < kLengthBytes) {
    fail(fmt::format("the file has {} bytes, expected at least {} for the header's length{}",
                     file.size(), kLengthBytes, looks_like(head)));
  }
  std::uint64_t length = 0;
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(&length, head.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    fail(fmt::format("the header's length is {}, expected at most {}{}", length, kMaxHeaderBytes,
                     looks_like(head)));
  }
  if (length > file.size() - kLengthBytes) {
    fail(
        fmt::format("the header's length is {}, expected at most the {} bytes that follow it (a "
                    "file cut short?)",
                    length, file.size() - kLengthBytes));
  }
  std::string header(length, '\0');
  mapped.read(file.subspan(kLengthBytes, length), reinterpret_cast<std::byte*>(header.data()));
  if (header.empty()) fail("the header's length is 0, expected a JSON object");
  if (!header.starts_with('{')) {
    fail(fmt::format("the header begins with {}, expected '{{'", in_quotes(header.substr(0, 1))));
  }
  return header;
}

std::uint64_t Reader::integer(std::string_view tensor, std::string_view field,
                              json::Value value) const {
  std::uint64_t result = 0;
  if (!value.get(result) ||
      result > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    fail(tensor, fmt::format("{} has the element {}, expected an integer from 0 to 2^63-1", field,
                             shortened(value)));
  }
  return result;
}

void Reader::shape(StoredTensor& tensor, json::Value value) const {
  json::Array extents;
  if (!value.get(extents)) {
    fail(tensor.name, fmt::format("shape is {}, expected an array", shortened(value)));
  }
  for (const json::Value extent : extents) {
    tensor.shape.push_back(static_cast<std::int64_t>(integer(tensor.name, "shape", extent)));
  }
}

void Reader::offsets(Entry& entry, json::Value value) const {
  json::Array pair;
  if (!value.get(pair) || pair.size() != 2) {
    fail(entry.tensor.name,
         fmt::format("data_offsets is {}, expected [begin, end]", shortened(value)));
  }
  entry.begin = integer(entry.tensor.name, "data_offsets", pair[0]);
  entry.end = integer(entry.tensor.name, "data_offsets", pair[1]);
}

/// Bytes that dtype and shape ask for.
std::uint64_t Reader::size_of(const StoredTensor& tensor) const {
  const std::optional<std::uint64_t> bits = bits_without_zeros(tensor.type, tensor.shape);
  if (!bits) {
    fail(tensor.name, fmt::format("shape {} of {} is larger than any memory, expected a "
                                  "product below 2^63 bits",
                                  shape_to_string(tensor.shape), to_string(tensor.type)));
  }
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return 0;
  if (*bits % 8 != 0) {
    fail(tensor.name, fmt::format("shape {} of {} has {} bits, expected whole bytes",
                                  shape_to_string(tensor.shape), to_string(tensor.type), *bits));
  }
  return *bits / 8;
}

Entry Reader::entry(std::string_view name, json::Value value) const {
  json::Object fields;
  if (!value.get(fields)) {
    fail(name, fmt::format("its entry is {}, expected an object", shortened(value)));
  }
  Entry result{.tensor = {.name = std::string(name),
                          .type = StoredType::u8,
                          .shape = {},
                          .data = nullptr,
                          .bytes = 0},
               .begin = 0,
               .end = 0};
  int dtypes = 0;
  int shapes = 0;
  int offset_pairs = 0;
  for (const auto [key, field] : fields) {
    if (key == "dtype") {
      std::string_view text;
      if (!field.get(text)) {
        fail(name, fmt::format("dtype is {}, expected a string", shortened(field)));
      }
      const std::optional<StoredType> type = stored_type_from_string(text);
      if (!type) fail(name, fmt::format("dtype is {}, expected one like \"F32\"", in_quotes(text)));
      result.tensor.type = *type;
      ++dtypes;
    } else if (key == "shape") {
      if (shapes++ == 0) shape(result.tensor, field);
    } else if (key == "data_offsets") {
      if (offset_pairs++ == 0) offsets(result, field);
    }  // fields that the format does not name say nothing about these three: not read
  }
  if (dtypes != 1 || shapes != 1 || offset_pairs != 1) {
    fail(name, fmt::format("dtype, shape, data_offsets occur {}, {}, {} times, expected each once",
                           dtypes, shapes, offset_pairs));
  }
  return result;
}

std::map<std::string, std::string, std::less<>> Reader::metadata(json::Value value) const {
  json::Object fields;
  if (!value.get(fields)) {
    fail(fmt::format("__metadata__ is {}, expected an object", shortened(value)));
  }
  std::map<std::string, std::string, std::less<>> result;
  for (const auto [key, field] : fields) {
    std::string_view text;
    if (!field.get(text)) {
      fail(fmt::format("__metadata__ {} is {}, expected a string", in_quotes(key),
                       shortened(field)));
    }
    if (!result.emplace(key, text).second) {
      fail(fmt::format("__metadata__ {} occurs twice, expected unique keys", in_quotes(key)));
    }
  }
  return result;
}

/// The entries, in the order of their offsets, must tile [0, buffer_bytes) exactly.
void Reader::check_layout(std::span<const Entry> sorted, std::uint64_t buffer_bytes) const {
  std::uint64_t covered = 0;
  for (const Entry& entry : sorted) {
    const StoredTensor& tensor = entry.tensor;
    if (entry.end < entry.begin || entry.end > buffer_bytes) {
      fail(tensor.name, fmt::format("data_offsets are [{}, {}], expected begin <= end <= {}, the "
                                    "bytes that the file has for them",
                                    entry.begin, entry.end, buffer_bytes));
    }
    if (entry.begin != covered) {
      fail(tensor.name,
           fmt::format("its data begin at {}, expected {} where the tensor before it "
                       "ends: the tensors {}",
                       entry.begin, covered, entry.begin < covered ? "overlap" : "leave a hole"));
    }
    const std::uint64_t bytes = size_of(tensor);
    if (entry.end - entry.begin != bytes) {
      fail(tensor.name, fmt::format("data_offsets give {} bytes, expected {} from {} {}",
                                    entry.end - entry.begin, bytes, to_string(tensor.type),
                                    shape_to_string(tensor.shape)));
    }
    covered = entry.end;
  }
  if (covered != buffer_bytes) {
    fail(fmt::format("the tensors cover {} bytes of the buffer, expected all {}", covered,
                     buffer_bytes));
  }
}

}  // namespace

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  SafetensorsFile result(path, MappedFile::open(path));
  const std::span<const std::byte> file = result.file().bytes();
  const Reader reader(path);
  std::string header = reader.header(result.file());
  const std::size_t header_bytes = header.size();
  const std::span<const std::byte> buffer = file.subspan(kLengthBytes + header_bytes);

  json::Tree tree;
  try {
    tree = json::Tree::parse(std::move(header));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory,
                fmt::format("{}: no memory for a header of {} bytes", path.string(), header_bytes));
  }
  json::Object root;
  if (!tree.root().get(root)) {
    reader.fail(fmt::format("the header is malformed ({}), expected one JSON object in UTF-8",
                            tree ? "another JSON value" : tree.message()));
  }

  std::vector<Entry> entries;
  bool has_metadata = false;
  for (const auto [key, value] : root) {
    if (key != "__metadata__") {
      entries.push_back(reader.entry(key, value));
    } else if (std::exchange(has_metadata, true)) {
      reader.fail("__metadata__ occurs twice, expected unique names");
    } else {
      result.metadata_ = reader.metadata(value);
    }
  }
  if (entries.size() > std::numeric_limits<std::uint32_t>::max()) {
    reader.fail(fmt::format("got {} tensors, expected fewer than 2^32", entries.size()));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  reader.check_layout(entries, buffer.size());

  std::vector<StoredTensor> tensors;
  tensors.reserve(entries.size());
  for (Entry& entry : entries) {
    entry.tensor.data = buffer.data() + entry.begin;
    entry.tensor.bytes = static_cast<std::size_t>(entry.end - entry.begin);
    tensors.push_back(std::move(entry.tensor));
  }
  if (const auto twice = result.set_tensors(std::move(tensors))) {
    reader.fail(*twice, "the name occurs twice, expected unique names");
  }
  return result;
}

}  // namespace tessera
