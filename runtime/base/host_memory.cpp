// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/host_memory.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace tessera {
namespace {

std::uintptr_t page_bytes() noexcept {
  return static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
}

constexpr std::size_t kProbe = 8;

/// rt_sigprocmask() reads its set, kProbe bytes, before it refuses a `how` that there is not: EFAULT or
/// EINVAL. Unlike process_vm_readv() no sandbox forbids it.
bool can_read(std::uintptr_t at) noexcept {
  constexpr int kNoHow = -1;
  return ::syscall(SYS_rt_sigprocmask, kNoHow, at, nullptr, kProbe) == 0 || errno != EFAULT;
}

}  // namespace

bool is_mapped(std::span<const std::byte> bytes) noexcept {
  const int kept_errno = errno;
  const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t begin = first / page_bytes() * page_bytes();
  // MS_ASYNC does nothing but look at the mappings.
  const bool is_refused =
      ::msync(reinterpret_cast<void*>(begin), first - begin + bytes.size(), MS_ASYNC) != 0 &&
      errno == ENOMEM;
  errno = kept_errno;
  return !is_refused;
}

bool is_readable(std::span<const std::byte> bytes) noexcept {
  const int kept_errno = errno;
  const std::uintptr_t step = page_bytes();
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()), end = begin + bytes.size();
  // Memory around them is somebody else's (memcheck says so): nothing is read there, unless they are fewer.
  const std::uintptr_t last = end - std::min<std::uintptr_t>(kProbe, bytes.size());
  bool is_so = true;
  for (std::uintptr_t at = begin; is_so && at < end; at = at / step * step + step) {
    is_so = can_read(std::min(at, last));
  }
  errno = kept_errno;
  return is_so;
}

}  // namespace tessera
