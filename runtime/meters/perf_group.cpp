// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/perf_group.hpp"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera::meters {
namespace {

constexpr std::size_t kHead = 3;  // events, enabled, running

int open_event(const PerfEncoding& event, int thread, int cpu, int leader, bool user_only) {
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.config1 = event.config1;
  attributes.config2 = event.config2;
  attributes.disabled = leader < 0;
  attributes.exclude_kernel = user_only;
  attributes.exclude_hv = user_only;
  attributes.read_format =
      PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, thread, cpu, leader, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

GroupReading parse_reading(std::span<const std::uint64_t> words, std::size_t events) {
  if (words.size() < kHead + events || words[0] != events) {
    throw Error(
        ErrorCode::io_error,
        fmt::format("perf_event: got a reading of {} words for {} events, expected {} words",
                    words.size(), words.empty() ? 0 : words[0], kHead + events));
  }
  const auto counts = words.subspan(kHead, events);
  return {.enabled_ns = words[1],
          .running_ns = words[2],
          .counts = std::vector<std::uint64_t>(counts.begin(), counts.end())};
}

double counted_share(const GroupReading& reading) noexcept {
  if (reading.enabled_ns == 0) return reading.running_ns == 0 ? 0 : 1;
  return static_cast<double>(reading.running_ns) / static_cast<double>(reading.enabled_ns);
}

std::optional<double> scale_of(double share) noexcept {
  if (!(share >= kLeastShare)) return std::nullopt;
  return share >= 1 ? 1 : 1 / share;
}

std::string read_paranoid() {
  std::ifstream file("/proc/sys/kernel/perf_event_paranoid");
  std::string value;
  file >> value;
  return value;
}

std::string explain_refusal(int error, const std::string& event, const std::string& paranoid) {
  switch (error) {
    case ENOENT:
    case EOPNOTSUPP:
      return fmt::format(
          "{}: this CPU exposes no such counter (a virtual machine without a PMU, or an event that "
          "its PMU lacks)",
          event);
    case ENODEV:
    case ENXIO:
      return fmt::format("{}: there is no such PMU here", event);
    case EACCES:
    case EPERM:
      return fmt::format(
          "{}: refused by the kernel: kernel.perf_event_paranoid is {}; as root `sysctl "
          "kernel.perf_event_paranoid=2` lets a user count own threads, 0 also whole CPUs "
          "(containers: CAP_PERFMON and a seccomp profile that allows perf_event_open)",
          event, paranoid.empty() ? "unknown" : paranoid);
    case ENOSYS:
      return fmt::format("{}: this kernel has no perf_event_open", event);
    case EINVAL:
      return fmt::format("{}: the kernel cannot count it, or not together with the others", event);
    case EMFILE:
      return fmt::format("{}: too many open files", event);
    case EBUSY:
      return fmt::format("{}: another user has the PMU to itself", event);
    default:
      return fmt::format("{}: {}", event, std::strerror(error));
  }
}

PerfGroup::PerfGroup(std::vector<PerfEvent> events, int thread, int cpu, bool user_only)
    : events_(std::move(events)) {
  if (events_.empty() || events_.size() > kMostEvents) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("perf_event: got a group of {} events, expected 1 to {}",
                            events_.size(), kMostEvents));
  }
  descriptors_.reserve(events_.size());
  for (const PerfEvent& event : events_) {
    const int leader = descriptors_.empty() ? -1 : descriptors_.front();
    const int descriptor = open_event(event.encoding, thread, cpu, leader, user_only);
    if (descriptor < 0) {
      const int error = errno;
      close_all();
      throw Error(ErrorCode::io_error, explain_refusal(error, event.name, read_paranoid()));
    }
    descriptors_.push_back(descriptor);
  }
}

PerfGroup::PerfGroup(PerfGroup&& other) noexcept
    : events_(std::move(other.events_)), descriptors_(std::exchange(other.descriptors_, {})) {}

PerfGroup::~PerfGroup() {
  close_all();
}

void PerfGroup::close_all() noexcept {
  for (const int descriptor : descriptors_) ::close(descriptor);
  descriptors_.clear();
}

// The leader alone: the others count while it does. (With PERF_IOC_FLAG_GROUP, Linux 6.18 leaves
// page faults behind a clock stopped from the second time on.)
void PerfGroup::enable() noexcept {
  ::ioctl(descriptors_.front(), PERF_EVENT_IOC_ENABLE, 0);
}

void PerfGroup::disable() noexcept {
  ::ioctl(descriptors_.front(), PERF_EVENT_IOC_DISABLE, 0);
}

bool PerfGroup::read_words(std::span<std::uint64_t> words) const noexcept {
  const std::size_t bytes = (kHead + events_.size()) * sizeof(std::uint64_t);
  if (words.size_bytes() < bytes) return false;
  return ::read(descriptors_.front(), words.data(), bytes) == static_cast<ssize_t>(bytes);
}

GroupReading PerfGroup::read() const {
  std::array<std::uint64_t, kHead + kMostEvents> words{};
  if (!read_words(words)) {
    throw Error(ErrorCode::io_error, fmt::format("perf_event: cannot read {}: {}",
                                                 events_.front().name, std::strerror(errno)));
  }
  return parse_reading(std::span(words).first(kHead + events_.size()), events_.size());
}

}  // namespace tessera::meters
