// SPDX-License-Identifier: Apache-2.0
// The only file that includes libpfm4.
#include "runtime/meters/perf_encoding.hpp"

#include <fmt/format.h>
#include <linux/perf_event.h>

#include <cstring>
#include <string_view>

#include "runtime/base/error.hpp"

#ifdef TESSERA_WITH_LIBPFM
#include <perfmon/pfmlib_perf_event.h>
#endif

namespace tessera::meters {
namespace {

struct GenericEvent {
  std::string_view name;
  PerfEncoding encoding;
};

constexpr std::uint64_t cache_event(std::uint64_t cache, std::uint64_t op, std::uint64_t result) {
  return cache | op << 8 | result << 16;
}

/// Events of the kernel itself, under libpfm's names for them.
constexpr GenericEvent kGeneric[] = {
    {"perf::INSTRUCTIONS", {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS}},
    {"perf::CYCLES", {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES}},
    {"perf::CACHE-MISSES", {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES}},
    {"perf::L1-DCACHE-LOAD-MISSES",
     {PERF_TYPE_HW_CACHE, cache_event(PERF_COUNT_HW_CACHE_L1D, PERF_COUNT_HW_CACHE_OP_READ,
                                      PERF_COUNT_HW_CACHE_RESULT_MISS)}},
    {"perf::TASK-CLOCK", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK}},
    {"perf::CONTEXT-SWITCHES", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES}},
    {"perf::PAGE-FAULTS", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS}},
};

[[noreturn]] void unknown(const std::string& name, const std::string& why) {
  throw Error(ErrorCode::not_found,
              fmt::format("event: got \"{}\", expected one that {}", name, why));
}

}  // namespace

PerfEncoding raw_encoding(std::uint64_t config) noexcept {
  return {.type = PERF_TYPE_RAW, .config = config};
}

#ifdef TESSERA_WITH_LIBPFM

PerfEncoding encode_event(const std::string& name) {
  for (const GenericEvent& event : kGeneric) {
    if (event.name == name) return event.encoding;
  }
  static const int started = pfm_initialize();
  if (started != PFM_SUCCESS) {
    unknown(name, fmt::format("the kernel itself has: libpfm4 says {}", pfm_strerror(started)));
  }
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  pfm_perf_encode_arg_t argument;
  std::memset(&argument, 0, sizeof argument);
  argument.attr = &attributes;
  argument.size = sizeof argument;
  const int status =
      pfm_get_os_event_encoding(name.c_str(), PFM_PLM3, PFM_OS_PERF_EVENT, &argument);
  if (status != PFM_SUCCESS) {
    unknown(name, fmt::format("libpfm4 knows for this CPU: {}", pfm_strerror(status)));
  }
  return {.type = attributes.type,
          .config = attributes.config,
          .config1 = attributes.config1,
          .config2 = attributes.config2};
}

std::string libpfm_version() {
  const int version = pfm_get_version();
  return fmt::format("libpfm {}.{}", PFM_MAJ_VERSION(version), PFM_MIN_VERSION(version));
}

#else

PerfEncoding encode_event(const std::string& name) {
  for (const GenericEvent& event : kGeneric) {
    if (event.name == name) return event.encoding;
  }
  unknown(name, "the kernel itself has: this build lacks libpfm4 (Debian package libpfm4-dev)");
}

std::string libpfm_version() {
  return {};
}

#endif

}  // namespace tessera::meters
