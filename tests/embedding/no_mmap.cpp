// SPDX-License-Identifier: Apache-2.0
// A file system that cannot map files (some FUSE and 9p mounts, vfat on some systems): mmap() of a
// file is ENODEV. The host's mmap() stands for it.
#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>

#include "tests/embedding/host.hpp"

static bool is_refused = false;

extern "C" __attribute__((visibility("default"))) void* mmap(void* address, size_t bytes,
                                                             int protection, int flags, int fd,
                                                             off_t offset) noexcept {
  static const auto real = reinterpret_cast<decltype(&::mmap)>(dlsym(RTLD_NEXT, "mmap"));
  if (is_refused && fd >= 0) return errno = ENODEV, MAP_FAILED;
  return real(address, bytes, protection, flags, fd, offset);
}

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const std::vector<float> expected = host::embed(path);
  is_refused = true;
  host::expect(host::embed(path) == expected, "the same vector");
}
