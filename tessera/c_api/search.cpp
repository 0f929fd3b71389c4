// SPDX-License-Identifier: Apache-2.0
// Similarity and search: the caller's rows are looked at as a whole before anything is written.
#include <algorithm>
#include <filesystem>
#include <vector>

#include "runtime/base/float_environment.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/objects.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/similarity.hpp"
#include "tessera/pipeline/sparse.hpp"
#include "tessera/pipeline/vector_type.hpp"

namespace tessera::c_api {
namespace {

using Rows = TensorView<const float>;

Rows read_matrix(const tessera_matrix* pointer, const char* name) {
  const tessera_matrix given = read_struct(pointer, name);
  require(given.width >= 1 && given.width <= kMostWidth, "{}.width is {}, expected 1 to {}", name,
          given.width, kMostWidth);
  const Index stride = given.row_stride == 0 ? given.width : given.row_stride;
  require(stride >= given.width, "{}.row_stride is {}, expected at least {} (the width), or 0",
          name, stride, given.width);
  if (given.rows == 0) return {.data = nullptr, .rows = 0, .cols = given.width, .stride = stride};
  const auto most = static_cast<std::size_t>(PTRDIFF_MAX / 4 / stride);
  require(given.rows <= most, "{}.rows is {}, expected at most {} of stride {}", name, given.rows,
          most, stride);
  const Rows rows{.data = checked(given.data, name),
                  .rows = static_cast<Index>(given.rows),
                  .cols = given.width,
                  .stride = stride};
  for (Index r = 0; r < rows.rows; ++r) {
    const std::size_t column = first_not_finite(rows.row(r));
    require(std::cmp_equal(column, rows.cols), "{}: row {} has {} at {}, expected finite numbers",
            name, r, rows.row(r)[std::min(column, static_cast<std::size_t>(rows.cols - 1))],
            column);
  }
  return rows;
}

/// Room for one float of each pair of rows.
std::span<float> room_for(float* out, std::size_t capacity, Index rows, Index columns,
                          const char* name) {
  std::size_t count = 0;
  require(!__builtin_mul_overflow(rows, columns, &count) && count <= capacity,
          "{}: capacity is {}, expected at least {} x {}", name, capacity, rows, columns);
  return checked_span(out, count, name);
}

void require_width(const Rows& rows, const char* name, Index width, const char* of) {
  require(rows.cols == width, "{}.width is {}, expected {} ({})", name, rows.cols, width, of);
}

std::vector<float> contiguous(const Rows& rows) {
  std::vector<float> copy;
  copy.reserve(static_cast<std::size_t>(rows.rows * rows.cols));
  for (Index r = 0; r < rows.rows; ++r) {
    const std::span<const float> row = rows.row(r);
    copy.insert(copy.end(), row.begin(), row.end());
  }
  return copy;
}

std::vector<float> unit_rows(const Rows& rows) {
  std::vector<float> copy = contiguous(rows);
  normalize_rows(copy, rows.cols);
  return copy;
}

Rows view(const std::vector<float>& values, const Rows& like) {
  return {.data = values.data(), .rows = like.rows, .cols = like.cols, .stride = like.cols};
}

Ranges read_ranges(const float* ranges, const Rows& rows) {
  require(ranges != nullptr || rows.rows > 0,
          "ranges is NULL, expected (2, {}) floats where there are no rows", rows.cols);
  const Ranges read = ranges == nullptr
                          ? ranges_of(contiguous(rows), rows.cols)
                          : Ranges{.low = {ranges, ranges + rows.cols},
                                   .high = {ranges + rows.cols, ranges + 2 * rows.cols}};
  const std::string problem = problem_of(read);
  require(problem.empty(), "ranges{}: {}", ranges == nullptr ? " of the rows" : "", problem);
  return read;
}

void dots(const Rows& a, const Rows& b, std::span<float> scores) {
  std::size_t at = 0;
  for (Index i = 0; i < a.rows; ++i) {
    for (Index j = 0; j < b.rows; ++j) scores[at++] = dot(a.row(i), b.row(j));
  }
}

static_assert(static_cast<int>(VectorType::f16) == TESSERA_VECTOR_F16 &&
              static_cast<int>(VectorType::int8) == TESSERA_VECTOR_INT8 &&
              static_cast<int>(VectorType::uint8) == TESSERA_VECTOR_UINT8 &&
              static_cast<int>(VectorType::binary) == TESSERA_VECTOR_BINARY &&
              static_cast<int>(VectorType::ubinary) == TESSERA_VECTOR_UBINARY);

}  // namespace

}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_compare(const tessera_matrix* a, const tessera_matrix* b,
                               tessera_measure measure, float* scores, size_t capacity) {
  return guard([&] {
    const FloatEnvironment floats;
    const Rows left = read_matrix(a, "a"), right = read_matrix(b, "b");
    require_width(right, "b", left.cols, "as in a");
    const bool is_dot =
        checked_enum(measure, TESSERA_MEASURE_DOT, "measure") == TESSERA_MEASURE_DOT;
    const std::span<float> out = room_for(scores, capacity, left.rows, right.rows, "scores");
    if (is_dot) return dots(left, right, out);
    const std::vector<float> unit_left = unit_rows(left), unit_right = unit_rows(right);
    dots(view(unit_left, left), view(unit_right, right), out);
  });
}

tessera_status tessera_quantize(const tessera_matrix* rows, tessera_vector_type type,
                                const float* ranges, void* out, size_t capacity) {
  return guard([&] {
    const FloatEnvironment floats(FloatEnvironment::Subnormal::kept);
    const Rows given = read_matrix(rows, "rows");
    const auto as = static_cast<VectorType>(checked_enum(type, TESSERA_VECTOR_UBINARY, "type"));
    require(!is_bits(as) || given.cols % 8 == 0,
            "rows.width is {}, expected a multiple of 8 for {}: a byte holds 8 columns", given.cols,
            to_string(as));
    const Index row_bytes = elements_of(as, given.cols) * element_bytes(as);
    const auto bytes = static_cast<std::size_t>(given.rows * row_bytes);
    require(bytes <= capacity, "out: capacity is {} bytes, expected at least {} ({} rows of {})",
            capacity, bytes, given.rows, row_bytes);
    const std::span<std::byte> room = checked_span(static_cast<std::byte*>(out), bytes, "out");
    const Ranges columns = needs_ranges(as) ? read_ranges(ranges, given) : Ranges{};
    for (Index r = 0; r < given.rows; ++r) {
      narrow_row(given.row(r), as, columns,
                 room.subspan(static_cast<std::size_t>(r * row_bytes),
                              static_cast<std::size_t>(row_bytes)));
    }
  });
}

tessera_status tessera_sparse_elements(const float* row, int64_t width, tessera_element* elements,
                                       size_t capacity, size_t* count) {
  return guard([&] {
    checked(row, "row");
    checked(count, "count");
    require(width >= 1, "width is {}, expected 1 or more", width);
    require(elements != nullptr || capacity == 0, "elements is NULL, expected room for {}",
            capacity);
    std::vector<SparseElement> all;
    heaviest({row, static_cast<std::size_t>(width)}, all);
    for (std::size_t i = 0; i < std::min(capacity, all.size()); ++i) {
      elements[i] = {.column = all[i].id, .value = all[i].weight, .reserved = 0};
    }
    *count = all.size();
  });
}

tessera_status tessera_model_compare(const tessera_model* model, const tessera_matrix* images,
                                     const tessera_matrix* texts, float* logits,
                                     float* probabilities, size_t capacity) {
  return guard([&] {
    const FloatEnvironment floats;
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    const auto& similarity = object->package().similarity;
    if (!similarity) {
      throw Error(ErrorCode::unsupported_model,
                  fmt::format("model: {} compares no texts with images, expected a model of two "
                              "towers, such as CLIPModel",
                              object->package().architecture));
    }
    const Rows left = read_matrix(images, "images"), right = read_matrix(texts, "texts");
    require_width(right, "texts", left.cols, "as in images");
    std::span<float> out_logits, out_probabilities;
    if (logits != nullptr) {
      out_logits = room_for(logits, capacity, left.rows, right.rows, "logits");
    }
    if (probabilities != nullptr) {
      out_probabilities = room_for(probabilities, capacity, left.rows, right.rows, "probabilities");
    }
    std::vector<float> row(static_cast<std::size_t>(right.rows));
    for (Index i = 0; i < left.rows && right.rows > 0; ++i) {
      const Rows image{
          .data = left.row(i).data(), .rows = 1, .cols = left.cols, .stride = left.stride};
      models::logits_per_image(*similarity, image, right, row);
      const Index at = i * right.rows;
      if (logits != nullptr) std::copy(row.begin(), row.end(), out_logits.begin() + at);
      if (probabilities == nullptr) continue;
      const std::vector<double> scores = tessera::probabilities(*similarity, row);
      std::transform(scores.begin(), scores.end(), out_probabilities.begin() + at,
                     [](double score) { return static_cast<float>(score); });
    }
  });
}

tessera_status tessera_index_create(const tessera_matrix* rows, tessera_index** index) {
  return guard([&] {
    const FloatEnvironment floats;
    checked(index, "index");
    const Rows given = read_matrix(rows, "rows");
    require(given.rows >= 1, "rows.rows is 0, expected at least 1");
    *index = index_table().add(std::make_shared<const VectorIndex>(contiguous(given), given.cols));
  });
}

tessera_status tessera_index_open(const char* path, tessera_index** index) {
  return guard([&] {
    const FloatEnvironment floats;
    checked(path, "path");
    checked(index, "index");
    auto object = std::make_shared<const VectorIndex>(VectorIndex::load(path));
    if (object->size() == 0) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: got 0 rows, expected at least 1", path));
    }
    *index = index_table().add(std::move(object));
  });
}

tessera_status tessera_index_save(const tessera_index* index, const char* path) {
  return guard([&] {
    const std::shared_ptr<const VectorIndex> object = index_table().get(index);
    const std::filesystem::path file = checked(path, "path");
    require(!file.empty(), "path is \"\", expected the name of a file");
    check_replaceable(file.string());
    OutputFile out(file.has_parent_path() ? file.string() : "./" + file.string());  // "-" too
    object->save(out);
    out.finish();
  });
}

tessera_status tessera_index_get_info(const tessera_index* index, tessera_index_info* info) {
  return guard([&] {
    const std::size_t size = checked_struct_size(info, "tessera_index_info");
    const std::shared_ptr<const VectorIndex> object = index_table().get(index);
    write_struct(info, size,
                 tessera_index_info{.struct_size = sizeof(tessera_index_info),
                                    .reserved = 0,
                                    .rows = object->size(),
                                    .width = object->width()});
  });
}

tessera_status tessera_index_search(const tessera_index* index, const tessera_matrix* queries,
                                    size_t k, int64_t* ids, float* scores, size_t capacity) {
  return guard([&] {
    const FloatEnvironment floats;
    const std::shared_ptr<const VectorIndex> object = index_table().get(index);
    const Rows given = read_matrix(queries, "queries");
    require_width(given, "queries", object->width(), "the width of the index");
    require(k >= 1 && k <= object->size(), "k is {}, expected 1 to {} (rows of the index)", k,
            object->size());
    std::size_t count = 0;
    require(!__builtin_mul_overflow(static_cast<std::size_t>(given.rows), k, &count) &&
                count <= capacity,
            "ids: capacity is {}, expected at least {} x {}", capacity, given.rows, k);
    const std::span<std::int64_t> out_ids = checked_span(ids, count, "ids");
    const std::span<float> out_scores =
        checked_span(scores, scores == nullptr ? 0 : count, "scores");
    std::vector<float> query;
    for (std::size_t q = 0, at = 0; std::cmp_less(q, given.rows); ++q) {
      const std::span<const float> row = given.row(static_cast<Index>(q));
      query.assign(row.begin(), row.end());
      for (const Hit& hit : object->find(query, k)) {
        out_ids[at] = static_cast<std::int64_t>(hit.row);
        if (scores != nullptr) out_scores[at] = hit.score;
        ++at;
      }
    }
  });
}

tessera_status tessera_index_close(tessera_index* index) {
  return guard([&] {
    if (index != nullptr) index_table().remove(index);
  });
}
