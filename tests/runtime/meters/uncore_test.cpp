// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/uncore.hpp"

#include <gtest/gtest.h>

#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

using namespace meters;

/// A folder as /sys/bus/event_source/devices, removed at the end.
class UncoreTest : public testing::Test {
 protected:
  void file(const std::string& path, const std::string& text) {
    temporary_.write("devices/" + path, text + '\n');
  }
  void controller(const std::string& name) {
    file(name + "/type", "17");
    file(name + "/cpumask", "0,32");
    file(name + "/format/event", "config:0-7");
    file(name + "/format/umask", "config:8-15");
    file(name + "/format/edge", "config:18");
    file(name + "/events/cas_count_read", "event=0x04,umask=0x03");
    file(name + "/events/cas_count_read.scale", "6.103515625e-5");
    file(name + "/events/cas_count_read.unit", "MiB");
    file(name + "/events/cas_count_write", "event=0x04,umask=0x0c");
  }
  test::TemporaryDirectory temporary_;
  std::filesystem::path root_ = temporary_ / "devices";
};

TEST_F(UncoreTest, FindsEachControllerOnEachSocket) {
  controller("uncore_imc_1");
  controller("uncore_imc_0");
  controller("uncore_imc_free_running_0");
  controller("cpu");
  const auto found = find_memory_controllers(root_);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].name, "uncore_imc_0");
  EXPECT_EQ(found[0].cpu, 0);
  EXPECT_EQ(found[1].cpu, 32);
  EXPECT_EQ(found[0].reads, (PerfEncoding{.type = 17, .config = 0x0304}));
  EXPECT_EQ(found[0].writes, (PerfEncoding{.type = 17, .config = 0x0c04}));
  EXPECT_DOUBLE_EQ(found[0].bytes, 64);
  EXPECT_EQ(found[3].name, "uncore_imc_1");
}

TEST_F(UncoreTest, LeavesOutWhatItCannotRead) {
  EXPECT_TRUE(find_memory_controllers(root_).empty()) << "no such folder";
  controller("uncore_imc_0");
  file("uncore_imc_0/events/cas_count_write", "event=0x04,colour=7");
  EXPECT_TRUE(find_memory_controllers(root_).empty()) << "a term without a format";
  controller("uncore_imc_0");
  file("uncore_imc_0/type", "seventeen");
  EXPECT_TRUE(find_memory_controllers(root_).empty());
}

TEST_F(UncoreTest, PlacesTermsWhereTheFormatSays) {
  controller("uncore_imc_0");
  const auto format = root_ / "uncore_imc_0/format";
  EXPECT_EQ(encode_sysfs_event(5, "event=0xff,umask=1,edge", format)->config, 0x401ffU);
  EXPECT_FALSE(encode_sysfs_event(5, "", format));
  EXPECT_FALSE(encode_sysfs_event(5, "event=tea", format));
  file("uncore_imc_0/format/umask", "config9:8-15");
  EXPECT_FALSE(encode_sysfs_event(5, "umask=1", format));
}

}  // namespace
}  // namespace tessera
