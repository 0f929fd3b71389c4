// SPDX-License-Identifier: Apache-2.0
// A daemon has closed its standard files: what the library opens gets their numbers. Nothing is read
// from, written to or closed on them by mistake, and no descriptor is left open or seen after exec().
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/embedding/host.hpp"

namespace {

int count_open(bool inherited_only) {
  int count = 0;
  for (int fd = 0; fd < 256; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0 && (!inherited_only || (flags & FD_CLOEXEC) == 0)) ++count;
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const std::vector<float> expected = host::embed(path);
  const int before = count_open(false);
  for (int fd : {0, 1, 2}) close(fd);
  {
    const tessera::Model model(path);
    tessera::Session session(model, host::with_threads(2));
    host::expect(session.embed(host::kText) == expected, "the same vector");
    if (count_open(true) != before - 3) return 3;  // stderr is closed: the status says it
    try {
      host::embed("/nonexistent");
      return 4;
    } catch (const tessera::Error&) {
    }
  }
  return count_open(false) == before - 3 ? 0 : 5;
}
