// SPDX-License-Identifier: Apache-2.0
// Similarity and search through tessera.hpp, and what a caller can get wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
tessera_index* const kUntouched = reinterpret_cast<tessera_index*>(std::uintptr_t{16});

std::vector<float> random_rows(std::size_t rows, std::size_t width) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * width);
  for (float& value : values) value = normal(random);
  return values;
}

std::span<const float> row_of(const std::vector<float>& rows, std::size_t row, std::size_t width) {
  return std::span(rows).subspan(row * width, width);
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return dot / std::sqrt(aa * bb);
}

TEST(SearchTest, FindsTheTextsThatFitBest) {
  Session session(demo(), {.threads = 1});
  const SearchIndex index(Matrix(session.embed(Texts(kTexts)), session.width()));
  EXPECT_EQ(index.size(), kTexts.size());
  EXPECT_EQ(index.width(), 256);
  const std::vector<Hit> hits = index.search(session.embed("text editor for the terminal"), 5);
  ASSERT_EQ(hits.size(), 5U);
  EXPECT_TRUE(hits[0].id == 0 || hits[0].id == 1) << hits[0].id;  // the two editors
  const std::vector<Hit> itself = index.search(session.embed(kTexts[2]), 1);
  EXPECT_EQ(itself[0].id, 2);
  EXPECT_NEAR(itself[0].score, 1.0F, 1e-6F);
}

// Ids and scores of every query against a straightforward computation in double.
TEST(SearchTest, ScoresAreCosinesInFallingOrder) {
  constexpr std::size_t kRows = 57, kQueries = 3, kWidth = 19;
  std::vector<float> rows = random_rows(kRows, kWidth);
  for (std::size_t i = 0; i < kWidth; ++i) {
    rows[7 * kWidth + i] = 2 * rows[30 * kWidth + i];  // as far as a cosine sees, the same
    rows[11 * kWidth + i] = 0;
  }
  std::vector<float> queries = random_rows(kQueries, kWidth);
  std::copy_n(rows.begin() + 30 * kWidth, kWidth, queries.begin());
  const SearchIndex index(Matrix(rows, kWidth));
  const std::vector<Hit> hits = index.search(Matrix(queries, kWidth), kRows);
  ASSERT_EQ(hits.size(), kQueries * kRows);
  EXPECT_EQ(hits[0].id, 7);  // ties by id
  EXPECT_EQ(hits[1].id, 30);
  const std::vector<float> all = compare(Matrix(queries, kWidth), Matrix(rows, kWidth));
  for (std::size_t q = 0; q < kQueries; ++q) {
    std::vector<bool> seen(kRows, false);
    for (std::size_t rank = 0; rank < kRows; ++rank) {
      const Hit& hit = hits[q * kRows + rank];
      const auto id = static_cast<std::size_t>(hit.id);
      ASSERT_LT(id, kRows);
      EXPECT_FALSE(seen[id]);
      seen[id] = true;
      EXPECT_LE(hit.score, rank == 0 ? 1.0001F : hits[q * kRows + rank - 1].score);
      EXPECT_EQ(hit.score, all[q * kRows + id]);
      // 19 products and roundings of unit vectors: 19 u = 1.1e-6
      const double expected =
          id == 11 ? 0 : cosine(row_of(queries, q, kWidth), row_of(rows, id, kWidth));
      EXPECT_NEAR(static_cast<double>(hit.score), expected, 2e-6);
    }
    // Fewer are a prefix, and one query is like many.
    const std::vector<Hit> few = index.search(row_of(queries, q, kWidth), 4);
    for (std::size_t rank = 0; rank < 4; ++rank) {
      EXPECT_EQ(few[rank].id, hits[q * kRows + rank].id);
      EXPECT_EQ(few[rank].score, hits[q * kRows + rank].score);
    }
  }
}

TEST(SearchTest, StridesAndDotProducts) {
  const std::vector<float> values{1, 2, kNaN, 3, 4, kNaN, 5, 6};  // what lies between is not read
  const Matrix a(values, 2, 3);
  ASSERT_EQ(a.rows, 3U);
  const std::vector<float> b{1, 0, 0, 1};
  EXPECT_EQ(compare(a, Matrix(b, 2), TESSERA_MEASURE_DOT), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  const SearchIndex index(a);
  EXPECT_EQ(index.search(Matrix(b, 2), 1)[0].id, 2);  // (5,6): the largest share of the first axis
  EXPECT_EQ(index.search(Matrix(b, 2), 1)[1].id, 0);
  EXPECT_TRUE(compare(Matrix({}, 2), a).empty());
  EXPECT_TRUE(index.search(Matrix({}, 2), 1).empty());
}

TEST(SearchTest, SavedIndicesGiveTheSameAnswers) {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "index.npy";
  const std::vector<float> rows = random_rows(20, 9), query = random_rows(1, 9);
  const SearchIndex saved(Matrix(rows, 9));
  saved.save(file);
  saved.save(file);  // over itself
  const SearchIndex opened(file);
  EXPECT_EQ(opened.size(), 20U);
  const std::vector<Hit> before = saved.search(query, 20), after = opened.search(query, 20);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(before[i].id, after[i].id);
    EXPECT_EQ(before[i].score, after[i].score);
  }
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    ++count;  // no temporary file is left
  }
  EXPECT_EQ(count, 1U);
}

TEST(SearchTest, ThreadsSearchAtOnceAndCloseMeanwhile) {
  const std::vector<float> rows = random_rows(200, 16), query = random_rows(1, 16);
  const SearchIndex index(Matrix(rows, 16));
  const std::vector<Hit> expected = index.search(query, 10);
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (int& result : equal) {
    threads.emplace_back([&] {
      for (int run = 0; run < 50; ++run) {
        const std::vector<Hit> hits = index.search(query, 10);
        for (std::size_t i = 0; i < 10; ++i) result += hits[i].id == expected[i].id ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 500));
}

TEST(SearchTest, TowersAreComparedAsTheModelSays) {
  const std::vector<float> images{1, 0, 0, 1}, texts{1, 0, 0.6F, 0.8F, 0, -1};
  for (const char* name : {"clip-full", "siglip-full"}) {
    const Model model(std::string(TESSERA_SOURCE_DIR "/tests/golden/data/") + name);
    const tessera_model_info info = model.info();
    ASSERT_NE(info.similarity, TESSERA_SIMILARITY_NONE);
    const TowerScores scores = compare(model, Matrix(images, 2), Matrix(texts, 2));
    const std::vector<float> dots =
        compare(Matrix(images, 2), Matrix(texts, 2), TESSERA_MEASURE_DOT);
    for (std::size_t i = 0; i < 2; ++i) {
      double sum = 0;
      const auto logit = [&](std::size_t t) {
        return std::exp(static_cast<double>(info.logit_scale)) *
                   static_cast<double>(dots[3 * i + t]) +
               static_cast<double>(info.logit_bias);
      };
      for (std::size_t t = 0; t < 3; ++t) sum += std::exp(logit(t));
      for (std::size_t t = 0; t < 3; ++t) {
        EXPECT_NEAR(static_cast<double>(scores.logits[3 * i + t]), logit(t),
                    1e-5 * std::abs(logit(t)));
        const double expected = info.similarity == TESSERA_SIMILARITY_SOFTMAX
                                    ? std::exp(logit(t)) / sum
                                    : 1 / (1 + std::exp(-logit(t)));
        EXPECT_NEAR(static_cast<double>(scores.probabilities[3 * i + t]), expected, 1e-5);
      }
    }
  }
}

// ---- What a caller can get wrong ---------------------------------------------------------------

// Three rows of two, and buffers that show every write.
class BadSearchTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(tessera_index_create(&rows_, &index_), TESSERA_OK); }
  void TearDown() override { EXPECT_EQ(tessera_index_close(index_), TESSERA_OK); }

  static tessera_matrix matrix(const std::vector<float>& values, std::int64_t width) {
    tessera_matrix result = TESSERA_MATRIX_INIT;
    result.data = values.data();
    result.rows = values.size() / static_cast<std::size_t>(width);
    result.width = width;
    return result;
  }
  tessera_status create() {
    tessera_index* index = kUntouched;
    const tessera_status status = tessera_index_create(&rows_, &index);
    EXPECT_EQ(index, kUntouched);
    return status;
  }
  tessera_status search(std::size_t k) {
    const tessera_status status =
        tessera_index_search(index_, &queries_, k, ids_.data(), scores_.data(), ids_.size());
    EXPECT_EQ(ids_, (std::array<std::int64_t, 6>{-7, -7, -7, -7, -7, -7}));
    expect_no_scores();
    return status;
  }
  tessera_status compare_rows() {
    const tessera_status status =
        tessera_compare(&queries_, &rows_, TESSERA_MEASURE_COSINE, scores_.data(), scores_.size());
    expect_no_scores();
    return status;
  }
  void expect_no_scores() {
    for (const float score : scores_) EXPECT_EQ(score, -7.0F);
  }

  std::vector<float> row_values_{1, 0, 0, 1, 3, 4}, query_values_{1, 2, 3, 4};
  tessera_matrix rows_ = matrix(row_values_, 2), queries_ = matrix(query_values_, 2);
  tessera_index* index_ = nullptr;
  std::array<std::int64_t, 6> ids_{-7, -7, -7, -7, -7, -7};
  std::array<float, 6> scores_{-7, -7, -7, -7, -7, -7};
};

TEST_F(BadSearchTest, RowsAreLookedAt) {
  for (const float bad : {kNaN, kInfinity, -kInfinity}) {
    row_values_[3] = bad;
    EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT,
                   AllOf(HasSubstr("rows: row 1 has "), HasSubstr(" at 1, expected finite")));
    EXPECT_REFUSED(compare_rows(), TESSERA_INVALID_ARGUMENT, HasSubstr("b: row 1 has "));
    row_values_[3] = 1;
    query_values_[2] = bad;
    EXPECT_REFUSED(search(2), TESSERA_INVALID_ARGUMENT, HasSubstr("queries: row 1 has "));
    EXPECT_REFUSED(compare_rows(), TESSERA_INVALID_ARGUMENT, HasSubstr("a: row 1 has "));
    query_values_[2] = 3;
  }
  rows_.rows = 0;
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("rows.rows is 0, expected at least 1"));
  rows_.rows = std::numeric_limits<std::size_t>::max();
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("rows.rows is 18446744073709551615"));
  rows_.rows = 3;
  for (const std::int64_t width : {std::int64_t{0}, std::int64_t{-2}, std::int64_t{1} << 40}) {
    rows_.width = width;
    EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT,
                   HasSubstr("rows.width is " + std::to_string(width) + ", expected 1 to"));
  }
  rows_.width = 2;
  rows_.row_stride = 1;
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT, HasSubstr("rows.row_stride is 1"));
  rows_.row_stride = std::numeric_limits<std::int64_t>::max();
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("rows.rows is 3, expected at most 0"));
  rows_.row_stride = 0;
  rows_.data = nullptr;
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT, HasSubstr("rows is NULL"));
  rows_.data = reinterpret_cast<const float*>(reinterpret_cast<std::uintptr_t>(&scores_) + 2);
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT, HasSubstr("rows is misaligned"));
  rows_.data = row_values_.data();
  rows_.struct_size = 8;
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT, HasSubstr("rows.struct_size is 8"));
  rows_.struct_size = sizeof rows_;
  rows_.reserved = 1;
  EXPECT_REFUSED(create(), TESSERA_INVALID_ARGUMENT, HasSubstr("rows.reserved is 1"));
  tessera_index* index = kUntouched;
  EXPECT_REFUSED(tessera_index_create(nullptr, &index), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("rows is NULL"));
  EXPECT_EQ(index, kUntouched);
  rows_.reserved = 0;
  EXPECT_REFUSED(tessera_index_create(&rows_, nullptr), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("index is NULL"));
}

TEST_F(BadSearchTest, QueriesAreLookedAt) {
  EXPECT_REFUSED(search(0), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("k is 0, expected 1 to 3 (rows of the index)"));
  EXPECT_REFUSED(search(4), TESSERA_INVALID_ARGUMENT, HasSubstr("k is 4, expected 1 to 3"));
  EXPECT_REFUSED(search(std::numeric_limits<std::size_t>::max()), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("expected 1 to 3"));
  queries_ = matrix(query_values_, 4);
  EXPECT_REFUSED(search(1), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("queries.width is 4, expected 2 (the width of the index)"));
  EXPECT_REFUSED(compare_rows(), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("b.width is 2, expected 4 (as in a)"));
  queries_ = matrix(query_values_, 2);
  const auto search_into = [&](std::int64_t* ids, float* scores, std::size_t capacity) {
    return tessera_index_search(index_, &queries_, 3, ids, scores, capacity);
  };
  EXPECT_REFUSED(search_into(ids_.data(), scores_.data(), 5), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("ids: capacity is 5, expected at least 2 x 3"));
  EXPECT_REFUSED(search_into(nullptr, scores_.data(), 6), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("ids is NULL"));
  expect_no_scores();
  EXPECT_EQ(search_into(ids_.data(), nullptr, 6), TESSERA_OK);
  EXPECT_EQ(ids_, (std::array<std::int64_t, 6>{2, 1, 0, 2, 1, 0}));
  EXPECT_REFUSED(tessera_compare(&queries_, &rows_, TESSERA_MEASURE_DOT, scores_.data(), 5),
                 TESSERA_INVALID_ARGUMENT,
                 HasSubstr("scores: capacity is 5, expected at least 2 x 3"));
  EXPECT_REFUSED(tessera_compare(&queries_, &rows_, TESSERA_MEASURE_DOT, nullptr, 6),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("scores is NULL"));
  tessera_measure measure{};
  const std::uint32_t nonsense = 9;
  std::memcpy(&measure, &nonsense, sizeof nonsense);
  EXPECT_REFUSED(tessera_compare(&queries_, &rows_, measure, scores_.data(), 6),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("measure is 9, expected 0 to 1"));
  expect_no_scores();
}

TEST_F(BadSearchTest, ModelsWithOneTowerCompareNothing) {
  EXPECT_REFUSED(tessera_model_compare(demo().get(), &queries_, &rows_, scores_.data(), nullptr, 6),
                 TESSERA_UNSUPPORTED_MODEL, HasSubstr("BertModel compares no texts with images"));
  const Model clip(TESSERA_SOURCE_DIR "/tests/golden/data/clip-full");
  const auto compare_into = [&](float* logits, float* probabilities, std::size_t capacity) {
    return tessera_model_compare(clip.get(), &queries_, &rows_, logits, probabilities, capacity);
  };
  EXPECT_REFUSED(compare_into(scores_.data(), scores_.data(), 5), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("logits: capacity is 5, expected at least 2 x 3"));
  query_values_[0] = kNaN;
  EXPECT_REFUSED(compare_into(scores_.data(), nullptr, 6), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("images: row 0 has nan at 0, expected finite numbers"));
  expect_no_scores();
}

TEST_F(BadSearchTest, FilesAreLookedAt) {
  const TemporaryDirectory directory;
  const auto open = [&](const std::string& name) {
    tessera_index* index = kUntouched;
    const tessera_status status = tessera_index_open((directory.path() / name).c_str(), &index);
    EXPECT_EQ(index, kUntouched);
    return status;
  };
  EXPECT_REFUSED(open("nowhere.npy"), TESSERA_NOT_FOUND, HasSubstr("nowhere.npy"));
  directory.write("text.npy", "not an array");
  EXPECT_REFUSED(open("text.npy"), TESSERA_CORRUPT_FILE, HasSubstr("text.npy: is no .npy file"));
  const std::filesystem::path good = directory.path() / "good.npy";
  ASSERT_EQ(tessera_index_save(index_, good.c_str()), TESSERA_OK);
  const std::vector<std::byte> bytes = read_bytes(good);
  const std::string content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  directory.write("short.npy", content.substr(0, content.size() - 4));
  EXPECT_REFUSED(open("short.npy"), TESSERA_CORRUPT_FILE, HasSubstr("expected 3 rows of 2 floats"));
  // Files that numpy.zeros((4, 0)) and a liar write.
  const auto with_shape = [&](const std::string& shape) {
    std::string changed = content;
    changed.replace(content.find("(3, 2)"), 6, shape);
    changed.erase(changed.find("}") + 1, shape.size() - 6);
    directory.write("shape.npy", changed.substr(0, shape == "(4, 0)" ? 128 : 144));
    return open("shape.npy");
  };
  EXPECT_REFUSED(with_shape("(4, 0)"), TESSERA_CORRUPT_FILE,
                 HasSubstr("shape.npy: got rows of 0 floats, expected 1 to 16777216"));
  EXPECT_REFUSED(with_shape("(4, 4611686018427387904)"), TESSERA_CORRUPT_FILE,
                 HasSubstr("got rows of 4611686018427387904 floats, expected 1 to 16777216"));
  const auto with_float = [&](float value) {  // in place of the first
    std::string changed = content;
    std::memcpy(changed.data() + (content.size() - 6 * sizeof(float)), &value, sizeof value);
    directory.write("changed.npy", changed);
    return open("changed.npy");
  };
  EXPECT_REFUSED(with_float(kNaN), TESSERA_CORRUPT_FILE,
                 HasSubstr("changed.npy: row 0 has nan, expected finite numbers"));
  const auto save = [&](const std::string& path) {
    return tessera_index_save(index_, path.c_str());
  };
  EXPECT_REFUSED(save(directory.path() / "none" / "x.npy"), TESSERA_NOT_FOUND,
                 HasSubstr("there is no directory"));
  EXPECT_REFUSED(save(directory.path()), TESSERA_INVALID_ARGUMENT, HasSubstr("no regular file"));
  EXPECT_REFUSED(save("/dev/null"), TESSERA_INVALID_ARGUMENT, HasSubstr("no regular file"));
  EXPECT_REFUSED(save(""), TESSERA_INVALID_ARGUMENT, HasSubstr("expected the name of a file"));
  EXPECT_REFUSED(tessera_index_save(index_, nullptr), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("path is NULL"));
}

TEST_F(BadSearchTest, ClosedHandlesAreRefused) {
  tessera_index* closed = nullptr;
  ASSERT_EQ(tessera_index_create(&rows_, &closed), TESSERA_OK);
  ASSERT_EQ(tessera_index_close(closed), TESSERA_OK);
  tessera_index_info info = TESSERA_INDEX_INFO_INIT;
  EXPECT_REFUSED(tessera_index_get_info(closed, &info), TESSERA_INVALID_ARGUMENT,
                 AllOf(HasSubstr("index: the"), HasSubstr("is closed or never was one")));
  EXPECT_EQ(info.width, 0);
  EXPECT_EQ(tessera_index_close(closed), TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(tessera_index_search(closed, &queries_, 1, ids_.data(), nullptr, 6),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(tessera_index_get_info(reinterpret_cast<tessera_index*>(demo().get()), &info),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(tessera_index_close(nullptr), TESSERA_OK);
}

}  // namespace
}  // namespace tessera::test
