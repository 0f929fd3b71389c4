// SPDX-License-Identifier: Apache-2.0
// The cache of packed weights: used when it fits, replaced when anything about it does not; and
// checkpoints that change while they are mapped.
#include "runtime/weights/packed_cache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "bench/support/random_checkpoint.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/session/parts.hpp"
#include "runtime/weights/content_hash.hpp"
#include "tests/runtime/ragged.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using test::results;
using testing::HasSubstr;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class PackedCacheTest : public testing::Test {
 protected:
  PackedCacheTest() {
    set_log_callback([this](LogLevel level, std::string_view message) {
      if (level != LogLevel::debug) log_ += std::string(message) + "\n";
    });
  }
  ~PackedCacheTest() override { set_log_callback({}); }

  /// A model loaded with the cache; `from_cache` says whether it was used. The log is of this load.
  std::shared_ptr<const Model> load(bool from_cache, const ModelOptions& more = {}) {
    log_.clear();
    ModelOptions options = more;
    options.packed_cache = folder_.path() / "cache";
    const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(tiny_.path()));
    auto model = Model::create(tiny_.program(), checkpoint, options);
    EXPECT_EQ(static_cast<const LoadedModel&>(*model).weights().from_cache(), from_cache) << log_;
    EXPECT_EQ(run(model), expected_);
    return model;
  }
  static std::vector<std::vector<float>> run(const std::shared_ptr<const Model>& model) {
    const auto session =
        Session::create(model, {.max_rows = 100, .max_sequences = 2, .threads = 2});
    return results(*session, {test::random_sequence(40, 50, 1), test::random_sequence(7, 50, 2)});
  }
  fs::path file() const {
    const fs::directory_iterator all(folder_.path() / "cache");
    return all == fs::directory_iterator{} ? fs::path{} : all->path();
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_.path() / "cache"), {}));
  }

  bench::TemporaryDirectory folder_;
  test::TinyModel tiny_{test::TinyShape{.heads = 5, .head_dim = 16}};
  std::vector<std::vector<float>> expected_ =
      run(Model::create(tiny_.program(), tiny_.checkpoint(), {}));
  std::string log_;
};

TEST_F(PackedCacheTest, TheSecondLoadMapsWhatTheFirstPacked) {
  load(false);
  EXPECT_THAT(log_, HasSubstr("packed weights stored"));
  load(true);
  EXPECT_THAT(log_, HasSubstr("packed weights mapped"));
  EXPECT_EQ(files(), 1U) << "no temporary file is left";
}

TEST_F(PackedCacheTest, EveryLevelAndEveryWayOfPackingHasItsOwnFile) {
  std::size_t expected = 0;
  Isa last = Isa::baseline;
  for (const Isa isa : kAllIsas) {
    if (!cpu_supports(isa)) continue;
    last = isa;
    for (const bool copies : {false, true}) {
      const ModelOptions options{.isa = isa, .copy_tables = copies};
      expected_ = run(Model::create(tiny_.program(), tiny_.checkpoint(), options));
      load(false, options);
      load(true, options);
      EXPECT_EQ(files(), ++expected);
    }
  }
  const ModelOptions one_output{.isa = last, .outputs = {"last_hidden_state", "pooled.mean"}};
  load(true, one_output);  // the same parameters
}

TEST_F(PackedCacheTest, ADamagedFileIsReplacedWithALine) {
  load(false);
  const std::string good = read(file());
  const auto damaged = [&](const std::string& bytes, const char* what) {
    write(file(), bytes);
    load(false);
    EXPECT_THAT(log_, HasSubstr(what));
    EXPECT_THAT(log_, HasSubstr("the weights are packed anew"));
    load(true);
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{63}, std::size_t{64},
                                 std::size_t{4096}, good.size() / 2, good.size() - 1}) {
    damaged(good.substr(0, size), "has");
  }
  damaged(good + "x", "bytes, expected");
  std::mt19937 random(1);
  std::vector<std::size_t> places{0, 9, 17, 25, 33, 41, 49, 57, 70, good.size() - 1};
  for (int i = 0; i < 40; ++i) places.push_back(random() % good.size());
  for (const std::size_t place : places) {
    std::string flipped = good;
    flipped[place] = static_cast<char>(flipped[place] ^ (1 << random() % 8));
    damaged(flipped, file().filename().c_str());
  }
  damaged(std::string(good.size(), '\0'), "no file of packed weights");
}

TEST_F(PackedCacheTest, AFileOfAnotherModelUnderThisNameIsNotUsed) {
  load(false);
  const fs::path mine = file();
  const fs::path other_folder = folder_.path() / "other";
  const test::TinyModel other(test::TinyShape{.heads = 5, .head_dim = 16}, 2);  // other values
  Model::create(other.program(), other.checkpoint(), {.packed_cache = other_folder});
  fs::copy_file(fs::directory_iterator(other_folder)->path(), mine,
                fs::copy_options::overwrite_existing);
  load(false);
  EXPECT_THAT(log_, HasSubstr("the checkpoint has changed since it was made"));
}

// The stamp of a file that is old enough is believed without reading it; every change shows in it.
TEST_F(PackedCacheTest, AChangedCheckpointIsPackedAnewWhereverItChanged) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1300));  // stamps become proofs
  load(false);
  load(true);
  const auto times = fs::last_write_time(tiny_.path());
  const std::string good = read(tiny_.path());
  for (const std::size_t from_end : {std::size_t{1}, good.size() / 3}) {  // sampled or not
    std::string other = good;
    char& byte = other[other.size() - from_end];
    byte = static_cast<char>(byte ^ 1);
    write(tiny_.path(), other);
    fs::last_write_time(tiny_.path(), times);  // size and mtime as before: ctime tells
    const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(tiny_.path()));
    const auto fresh = run(Model::create(tiny_.program(), checkpoint, {}));
    const auto cached =
        run(Model::create(tiny_.program(), checkpoint, {.packed_cache = folder_.path() / "cache"}));
    EXPECT_EQ(cached, fresh);
  }
  write(tiny_.path(), good);
  load(false);  // the file is of the last change
  load(true);   // stamps differ, contents are the same
}

TEST_F(PackedCacheTest, AFolderThatCannotBeWrittenIsAWarning) {
  write(folder_.path() / "cache", "a file in the folder's place");
  load(false);
  EXPECT_THAT(log_, HasSubstr("packed weights are not stored"));
}

TEST_F(PackedCacheTest, WeightsThatAreNotFiniteAreReportedAtEveryStart) {
  std::string bytes = read(tiny_.path());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + bytes.size() - sizeof nan, &nan, sizeof nan);
  write(tiny_.path(), bytes);
  for (int i = 0; i < 2; ++i) {
    log_.clear();
    const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(tiny_.path()));
    Model::create(tiny_.program(), checkpoint, {.packed_cache = folder_.path() / "cache"});
    EXPECT_THAT(log_, HasSubstr("not finite"));
  }
}

TEST_F(PackedCacheTest, ACheckpointThatIsCutOrWrittenWhileMappedIsAnError) {
  for (const bool cuts : {true, false}) {
    const std::string good = read(tiny_.path());
    const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(tiny_.path()));
    const auto mapped = Model::create(tiny_.program(), checkpoint, {});
    const auto copied = Model::create(tiny_.program(), checkpoint, {.copy_tables = true});
    EXPECT_EQ(run(mapped), expected_);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the clock's grain
    if (cuts) {
      fs::resize_file(tiny_.path(), 0);
    } else {
      write(tiny_.path(), good);
    }
    try {
      run(mapped);
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
      EXPECT_THAT(e.what(), HasSubstr("changed while it is in use"));
    }
    EXPECT_EQ(run(copied), expected_);
    write(tiny_.path(), good);
  }
  // Replaced by rename, as it should be: the old file lives on behind the mapping.
  const auto model = Model::create(
      tiny_.program(), std::make_shared<const Checkpoint>(Checkpoint::open(tiny_.path())), {});
  write(folder_.path() / "new", "something else");
  fs::rename(folder_.path() / "new", tiny_.path());
  EXPECT_EQ(run(model), expected_);
}

TEST(ContentHashTest, EveryBitAndTheLengthCount) {
  std::vector<std::byte> bytes(200);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
  for (const std::size_t n : {0U, 1U, 63U, 64U, 65U, 200U}) {
    const auto part = std::span(bytes).first(n);
    const std::uint64_t hash = content_hash(part);
    for (std::size_t bit = 0; bit < 8 * n; ++bit) {
      bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
      EXPECT_NE(content_hash(part), hash) << n << " bytes, bit " << bit;
      bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    }
    if (n == 0) continue;
    EXPECT_NE(content_hash(part.first(n - 1)), hash);
  }
  const std::vector<std::byte> zeros(64);
  EXPECT_NE(content_hash(zeros), content_hash(std::span(zeros).first(63)));
  ContentHash pieces;
  pieces.update(std::span(bytes).first(128));
  pieces.update(std::span(bytes).subspan(128));
  EXPECT_EQ(pieces.value(), content_hash(bytes));
}

}  // namespace
}  // namespace tessera
