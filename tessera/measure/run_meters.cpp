// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/run_meters.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/meters/hardware.hpp"
#include "runtime/meters/replay.hpp"
#include "runtime/meters/time.hpp"
#include "runtime/plan/plan_file.hpp"

namespace tessera {
namespace {

/// Nobody else's, and removed at the end of the scope.
class PrivateDirectory {
 public:
  PrivateDirectory() {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    std::string pattern = (parent / "tessera-profile-XXXXXX").string();
    if (error || ::mkdtemp(pattern.data()) == nullptr) {
      throw Error(ErrorCode::io_error,
                  fmt::format("meter callgrind: cannot make a directory {}: {}", pattern,
                              error ? error.message() : std::strerror(errno)));
    }
    path_ = pattern;
  }
  ~PrivateDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

meters::Measurement measure_here(const std::string& meter, const std::string& events,
                                 MeteredModel& metered, Index runs) {
  const std::size_t ops = metered.session().program().ops.size();
  if (meter == "time") {
    meters::TimeMeter time(ops, static_cast<std::size_t>(runs));
    return metered.measure(time, runs);
  }
  if (meter == "hardware") {
    meters::HardwareMeter hardware(ops, meters::HardwareEvents::for_this_machine(events));
    return metered.measure(hardware, std::max(runs, static_cast<Index>(hardware.groups())));
  }
  throw Error(ErrorCode::internal, fmt::format("profile: no meter {}", meter));
}

meters::Measurement measure_with_replay(MeteredModel& metered) {
  meters::ReplayMeter replay(metered.session().program().ops.size(),
                             meters::simulated_caches(machine()));
  metered.run(&replay, 1);
  replay.take();
  metered.run(&replay, 1);
  return replay.take();
}

meters::Measurement measure_with_callgrind(const CallgrindCaches& caches,
                                           std::vector<std::string> arguments,
                                           const Session& session) {
  if (!meters::has_callgrind_requests()) {
    throw Error(ErrorCode::not_found,
                "meter callgrind: this build lacks the client requests of valgrind/callgrind.h; "
                "install Valgrind (Debian package valgrind) and build again");
  }
  const Machine& here = machine();
  const auto level_of = [&](const CacheLevel& level) {
    return meters::geometry_of(level, here.cache_line_bytes);
  };
  const bool is_l3 = caches.ll == "l3";
  if (is_l3 && here.l3.bytes == 0) {
    throw Error(ErrorCode::not_found, "--callgrind-ll: got l3, expected a machine with an L3");
  }
  const auto ll = is_l3               ? level_of(here.l3)
                  : caches.ll == "l2" ? level_of(here.l2)
                                      : meters::geometry_from_string(caches.ll);
  const auto d1 = caches.d1.empty() ? level_of(here.l1d) : meters::geometry_from_string(caches.d1);
  std::vector<std::string> notes;
  const PrivateDirectory directory;
  const std::filesystem::path plan = directory.path() / "plan.json";
  save_plan(plan, session.plan());
  meters::CallgrindRun run{.executable = std::filesystem::read_symlink("/proc/self/exe").string(),
                           .arguments = std::move(arguments),
                           .environment = {"TESSERA_ISA=" + session.plan().identity.isa},
                           .d1 = meters::valid_for_callgrind(d1, "L1", notes),
                           .ll = meters::valid_for_callgrind(ll, is_l3 ? "L3" : "L2", notes),
                           .last_level = is_l3 ? meters::LastLevel::l3 : meters::LastLevel::l2,
                           .directory = directory.path()};
  const Index evict = caches.is_cold ? 2 * std::max(run.ll.bytes, run.d1.bytes) : 0;
  run.arguments.insert(run.arguments.end(),
                       {"--plan", plan.string(), "--under-callgrind", fmt::format("{}", evict)});
  meters::Measurement measured = meters::run_callgrind(run);
  if (!(d1 == level_of(here.l1d)) || !(ll == level_of(is_l3 ? here.l3 : here.l2))) {
    notes.emplace_back("caches as given, but the plan and its predictions are for the machine's");
  }
  notes.emplace_back(caches.is_cold
                         ? "each op alone: cold caches before it, and what it changed written back"
                         : "ops find in the caches what the ops before left; --cold: each alone");
  measured.is_op_alone = caches.is_cold;
  measured.notes.insert(measured.notes.begin(), notes.begin(), notes.end());
  return measured;
}

void run_for_callgrind(MeteredModel& metered, std::size_t evict_bytes) {
  meters::CallgrindMarks marks(evict_bytes);
  meters::CallgrindMarks::start();
  metered.run(nullptr, 1);
  metered.run(&marks, 1);
  meters::CallgrindMarks::stop();
}

}  // namespace tessera
