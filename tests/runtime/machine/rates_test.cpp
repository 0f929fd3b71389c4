// SPDX-License-Identifier: Apache-2.0
// Where rates come from, what a file of them must be, and that a measurement is plausible. No test
// expects a speed.
#include "runtime/machine/rates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

MachineRates some_rates() {
  return {.flops = {1.5e11, 3e11, 6e11},
          .l1_bytes = 4e11,
          .l2_bytes = 1e11,
          .l3_bytes = 2.5e10,
          .memory_bytes = 1.1e10,
          .exps = 5e9,
          .source = "measured"};
}

Machine some_machine() {
  Machine machine;
  machine.cpu_name = "A \"quoted\" CPU";
  machine.l2.bytes = 1 << 20;
  machine.l3.bytes = 32 << 20;
  return machine;
}

/// The log while it lives.
class RecordedLog {
 public:
  RecordedLog() {
    set_log_callback([this](LogLevel level, std::string_view message) {
      (level == LogLevel::warning ? warnings : infos).emplace_back(message);
    });
  }
  RecordedLog(const RecordedLog&) = delete;
  RecordedLog& operator=(const RecordedLog&) = delete;
  ~RecordedLog() { set_log_callback({}); }

  std::vector<std::string> warnings, infos;
};

class MachineRatesTest : public testing::Test {
 protected:
  fs::path file() const { return directory_.path() / "rates.json"; }
  RatesPlaces cache() const {
    return {.override_files = {}, .cache_directory = directory_.path() / "cache"};
  }
  fs::path cache_file() const {
    return rates_cache_file(*cache().cache_directory, machine_, Isa::avx2);
  }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  /// The text of a good file with `from` replaced by `to`.
  std::string text_with(const std::string& from, const std::string& to) const {
    std::string text = rates_to_json(some_rates(), machine_, Isa::avx2);
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }
  void expect_refused(const std::string& text, ErrorCode code, const std::string& got,
                      const std::string& expected) const {
    write(file(), text);
    try {
      load_rates(file(), machine_, Isa::avx2);
      ADD_FAILURE() << "accepted: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(file().string()));
      EXPECT_THAT(error.what(), HasSubstr(got));
      EXPECT_THAT(error.what(), HasSubstr(expected));
    }
  }

  test::TemporaryDirectory directory_;
  Machine machine_ = some_machine();
};

TEST_F(MachineRatesTest, ComeBackFromAFileAsTheyWere) {
  save_rates(file(), some_rates(), machine_, Isa::avx2);
  MachineRates expected = some_rates();
  expected.source = file().string();
  EXPECT_EQ(load_rates(file(), machine_, Isa::avx2), expected);
}

TEST_F(MachineRatesTest, SavingLeavesNothingElseBehindAndReplacesWhatWasThere) {
  const fs::path nested = directory_.path() / "a" / "b" / "rates.json";
  write(nested, "old");
  save_rates(nested, some_rates(), machine_, Isa::avx2);
  EXPECT_EQ(load_rates(nested, machine_, Isa::avx2).flops[Precision::f32],
            some_rates().flops[Precision::f32]);
  EXPECT_EQ(std::distance(fs::directory_iterator(nested.parent_path()), {}), 1);
}

TEST_F(MachineRatesTest, NamesAFileThatIsNotThere) {
  try {
    load_rates(file(), machine_, Isa::avx2);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr(file().string()));
  }
  EXPECT_THROW(load_rates(directory_.path(), machine_, Isa::avx2), Error);  // a folder
}

TEST_F(MachineRatesTest, RefusesEveryTruncation) {
  const std::string text = rates_to_json(some_rates(), machine_, Isa::avx2);
  for (std::size_t n = 0; n + 2 < text.size(); ++n) {  // without '}' and the line's end
    expect_refused(text.substr(0, n), ErrorCode::corrupt_file, "", "expected");
  }
}

TEST_F(MachineRatesTest, RefusesWhatIsNoObjectOfRates) {
  const auto corrupt = ErrorCode::corrupt_file;
  expect_refused("[1, 2]", corrupt, "another JSON value", "a JSON object of machine rates");
  expect_refused("{}", corrupt, "has no \"tessera_machine_rates\"", "an integer");
  expect_refused(text_with("\"exps\"", "\"exp\""), corrupt, "has no \"exps\"", "a number");
  expect_refused(text_with("1.5e+11", "\"fast\""), corrupt, "flops is \"fast\"", "a number");
  expect_refused(std::string(100'000, ' '), corrupt, "not a regular file", "65536 bytes");
}

TEST_F(MachineRatesTest, RefusesAbsurdRates) {
  const auto corrupt = ErrorCode::corrupt_file;
  expect_refused(text_with("1.5e+11", "0"), corrupt, "flops is 0", "1e+08 to 1e+14");
  expect_refused(text_with("1.5e+11", "-1.5e11"), corrupt, "flops is -1.5e+11", "1e+08 to 1e+14");
  expect_refused(text_with("1.5e+11", "1e30"), corrupt, "flops is 1e+30", "1e+08 to 1e+14");
  expect_refused(text_with("1.5e+11", "1e999"), corrupt, "", "expected a JSON object");
  expect_refused(text_with("1.5e+11", "NaN"), corrupt, "", "expected a JSON object");
  expect_refused(text_with("5e+09", "1"), corrupt, "exps is 1", "1e+06 to 1e+13");
  // L2 ten times slower than memory
  expect_refused(text_with("\"l2_bytes\": 1e+11", "\"l2_bytes\": 1.1e+09"), corrupt,
                 "l2_bytes is 1.1e+09", "at least half of l3_bytes = 2.5e+10");
}

TEST_F(MachineRatesTest, RefusesTheRatesOfAnotherMachineLevelOrVersion) {
  const auto foreign = ErrorCode::invalid_argument;
  expect_refused(text_with("A \\\"quoted", "Another"), foreign, "cpu is \"Another", "\"A \\\"quot");
  expect_refused(text_with("avx2", "avx512"), foreign, "isa is \"avx512\"", "\"avx2\"");
  expect_refused(text_with("1048576", "2097152"), foreign, "l2_size is 2097152", "1048576");
  expect_refused(text_with("rates\": 3", "rates\": 4"), foreign, "tessera_machine_rates is 4", "3");
}

TEST_F(MachineRatesTest, TheOverrideComesFirstAndIsNeverPassedOver) {
  RatesPlaces places = cache();
  save_rates(cache_file(), some_rates(), machine_, Isa::avx2);
  places.override_files = {file()};
  MachineRates other = some_rates();
  other.flops[Precision::f32] = 2e11;
  save_rates(file(), other, machine_, Isa::avx2);
  const MachineRates got = resolve_rates(machine_, Isa::avx2, places);
  EXPECT_EQ(got.flops[Precision::f32], 2e11);
  EXPECT_EQ(got.source, file().string());
  write(file(), "{");
  EXPECT_THROW(resolve_rates(machine_, Isa::avx2, places), Error);
  EXPECT_THROW(measured_rates(machine_, Isa::avx2, places), Error);
  fs::remove(file());
  EXPECT_THROW(resolve_rates(machine_, Isa::avx2, places), Error);
}

TEST_F(MachineRatesTest, OfSeveralOverridesTheOneOfTheLevelHolds) {
  RatesPlaces places = cache();
  const fs::path second = directory_.path() / "second.json";
  places.override_files = {file(), second};
  save_rates(file(), some_rates(), machine_, Isa::avx2);
  save_rates(second, some_rates(), machine_, Isa::avx512);
  EXPECT_EQ(resolve_rates(machine_, Isa::avx2, places).source, file().string());
  EXPECT_EQ(resolve_rates(machine_, Isa::avx512, places).source, second.string());
  try {
    resolve_rates(machine_, Isa::baseline, places);
    FAIL() << "rates of other levels";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(e.what(), HasSubstr("isa is \"avx2\", expected \"baseline\""));
  }
  write(file(), "{");  // a damaged file is never passed over, even for one that fits
  EXPECT_THROW(resolve_rates(machine_, Isa::avx512, places), Error);
}

TEST_F(MachineRatesTest, TheCacheComesSecond) {
  save_rates(cache_file(), some_rates(), machine_, Isa::avx2);
  const RecordedLog log;
  EXPECT_EQ(resolve_rates(machine_, Isa::avx2, cache()).source, cache_file().string());
  EXPECT_TRUE(log.warnings.empty());
  EXPECT_THAT(log.infos, Contains(HasSubstr(cache_file().string())));
  EXPECT_EQ(resolve_rates(machine_, Isa::baseline, cache()).source, "nominal");  // its own file
}

TEST_F(MachineRatesTest, NominalRatesHoldWhereNothingWasMeasured) {
  const RecordedLog log;
  EXPECT_EQ(resolve_rates(machine_, Isa::avx2, cache()), nominal_rates(machine_, Isa::avx2));
  EXPECT_EQ(resolve_rates(machine_, Isa::avx2, {}), nominal_rates(machine_, Isa::avx2));
  EXPECT_TRUE(log.warnings.empty());
  EXPECT_THAT(log.infos, Contains(HasSubstr("no such file")));
  EXPECT_THAT(log.infos, Contains(HasSubstr("neither XDG_CACHE_HOME nor HOME")));
  EXPECT_THAT(log.infos, Contains(HasSubstr("nominal ones hold")));
}

TEST_F(MachineRatesTest, ADamagedCacheIsPassedOverWithAWarning) {
  write(cache_file(), text_with("1.5e+11", "0"));
  const RecordedLog log;
  EXPECT_EQ(resolve_rates(machine_, Isa::avx2, cache()).source, "nominal");
  EXPECT_THAT(log.warnings, Contains(HasSubstr("flops is 0")));
}

TEST_F(MachineRatesTest, MeasuresOnceAndKeepsIt) {
  const MachineRates first = measured_rates(machine_, Isa::baseline, cache());
  EXPECT_EQ(first.source, "measured");
  const fs::path kept = rates_cache_file(*cache().cache_directory, machine_, Isa::baseline);
  EXPECT_EQ(measured_rates(machine_, Isa::baseline, cache()).source, kept.string());
  EXPECT_EQ(resolve_rates(machine_, Isa::baseline, cache()).source, kept.string());
}

TEST_F(MachineRatesTest, AnUnwritableCacheIsAWarning) {
  const fs::path in_the_way = directory_.path() / "file";
  write(in_the_way, "");
  const RatesPlaces places{.override_files = {}, .cache_directory = in_the_way / "tessera"};
  const RecordedLog log;
  EXPECT_EQ(measured_rates(machine_, Isa::baseline, places).source, "measured");
  EXPECT_THAT(log.warnings, Contains(HasSubstr("for this process only")));
}

TEST_F(MachineRatesTest, PlacesFollowTheEnvironment) {
  const auto with = [](const char* rates, const char* xdg, const char* home) {
    for (const auto& [name, value] :
         {std::pair{"TESSERA_RATES", rates}, {"XDG_CACHE_HOME", xdg}, {"HOME", home}}) {
      value == nullptr ? unsetenv(name) : setenv(name, value, 1);
    }
    return RatesPlaces::from_environment();
  };
  const char* home = std::getenv("HOME");
  const std::string old_home = home == nullptr ? "" : home;
  EXPECT_THAT(with("r.json", "/x", "/h").override_files, testing::ElementsAre("r.json"));
  EXPECT_THAT(with("r.json:/a/b c.json:", "/x", "/h").override_files,
              testing::ElementsAre("r.json", "/a/b c.json"));
  EXPECT_TRUE(with("", "/x", "/h").override_files.empty());
  EXPECT_EQ(with(nullptr, "/x", "/h").cache_directory, "/x/tessera");
  EXPECT_EQ(with(nullptr, "relative", "/h").cache_directory, "/h/.cache/tessera");
  EXPECT_EQ(with(nullptr, nullptr, "/h").cache_directory, "/h/.cache/tessera");
  EXPECT_EQ(with(nullptr, nullptr, nullptr).cache_directory, std::nullopt);
  with(nullptr, nullptr, old_home.c_str());
}

/// What a level multiplies at, by registers or tiles, in units of f32.
TEST(NominalRatesTest, SayWhatAnInstructionOfALevelMultiplies) {
  const auto times = [](Isa isa, Precision precision) {
    const MachineRates rates = nominal_rates(machine(), isa);
    return rates.flops[precision] / rates.flops[Precision::f32];
  };
  EXPECT_EQ(times(Isa::avx2, Precision::s8), 1);
  EXPECT_EQ(times(Isa::avx512_vnni, Precision::s8), 4);
  EXPECT_EQ(times(Isa::amx_bf16, Precision::s8), 24);
  EXPECT_EQ(times(Isa::avx512_bf16, Precision::bf16), 1);
  EXPECT_EQ(times(Isa::amx_bf16, Precision::bf16), 12);
}

class MeasuredRatesTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(MeasuredRatesTest);

TEST_P(MeasuredRatesTest, AreSuchAsAFileAccepts) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const test::TemporaryDirectory directory;
  const fs::path file = directory.path() / "rates.json";
  for (const MachineRates& rates :
       {measure_rates(GetParam()), nominal_rates(machine(), GetParam())}) {
    SCOPED_TRACE(describe(rates));
    save_rates(file, rates, machine(), GetParam());
    EXPECT_NO_THROW(load_rates(file, machine(), GetParam()));
  }
}

}  // namespace
}  // namespace tessera
