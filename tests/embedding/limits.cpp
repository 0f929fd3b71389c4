// SPDX-License-Identifier: Apache-2.0
// Limits of the process: no more descriptors (files), too little address space (memory), no thread
// (threads). A status with the system's words; when the limit is gone, everything works.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/embedding/host.hpp"

namespace {

std::string error_of(const std::string& path, int threads) {
  try {
    host::embed(path, threads);
  } catch (const tessera::Error& e) {
    return e.what();
  }
  return "";
}
bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv), mode = host::argument(argc, argv, 2);
  const std::vector<float> expected = host::embed(path);
  std::string error;
  if (mode == "files") {
    std::vector<int> open_files;
    rlimit limit{64, 64};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;) open_files.push_back(fd);
    error = error_of(path, 1);
    host::expect(has(error, "Too many open files"), "errno's words, got: " + error);
    for (std::size_t spare = 1; !open_files.empty(); ++spare) {  // one more at a time
      close(open_files.back());
      open_files.pop_back();
      const std::string next = error_of(path, 1);
      if (next.empty()) break;
      host::expect(has(next, "Too many open files"), "errno's words, got: " + next);
    }
    for (int fd : open_files) close(fd);
  }
  if (mode == "memory") {
    for (rlim_t megabytes = 4; megabytes < 4096; megabytes += megabytes / 2) {
      // Above what the process has: its size, and so much more.
      long pages = 0;
      std::FILE* const statm = std::fopen("/proc/self/statm", "r");
      host::expect(statm != nullptr && std::fscanf(statm, "%ld", &pages) == 1, "statm");
      std::fclose(statm);
      rlimit limit{};
      getrlimit(RLIMIT_AS, &limit);
      limit.rlim_cur = static_cast<rlim_t>(pages) * 4096 + (megabytes << 20);
      setrlimit(RLIMIT_AS, &limit);
      error = error_of(path, 2);
      limit.rlim_cur = limit.rlim_max;
      setrlimit(RLIMIT_AS, &limit);
      if (error.empty()) break;
    }
    host::expect(error.empty(), "enough at last, got: " + error);
  }
  if (mode == "threads") {
    if (getuid() == 0 && setuid(65534) != 0) return 0;  // root has no such limit
    const rlimit none{1, 1};
    setrlimit(RLIMIT_NPROC, &none);
    error = error_of(path, 4);
    host::expect(has(error, "thread"), "the thread that was refused, got: " + error);
    host::expect(host::embed(path, 1) == expected, "one thread needs none");
    return 0;
  }
  host::expect(host::embed(path) == expected, "the same vector afterwards");
}
