// SPDX-License-Identifier: Apache-2.0
// Warnings of the library in a program that sets no callback: on stderr where the program is compiled
// without NDEBUG, nowhere else. debug_warnings MODEL [silent|other]: `silent` sets a callback of NULL,
// `other` has a file of its own where stderr would be.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <tessera/tessera.hpp>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const bool silences = argc > 2 && std::strcmp(argv[2], "silent") == 0;
  if (silences) tessera_set_log_callback(nullptr, nullptr);
  char name[] = "warnings-XXXXXX";
  const int file = mkstemp(name);
  const int writer = open(name, O_WRONLY);
  // "other": descriptor 2 is a file of the program, open for reading and writing
  const bool is_other = argc > 2 && std::strcmp(argv[2], "other") == 0;
  if (file < 0 || dup2(is_other ? file : writer, STDERR_FILENO) < 0) return 3;
  unlink(name);
  host::provoke_warning(host::model(argc, argv));
  char text[4096] = {};
  const ssize_t size = pread(file, text, sizeof text - 1, 0);
#ifdef NDEBUG
  (void)is_other;
  const bool shows = false;
#else
  const bool shows = !silences && !is_other;
#endif
  const bool is_there = size > 0 && std::strstr(text, "tessera: warning: ") != nullptr;
  if (is_there == shows && (shows || size == 0)) return 0;
  std::printf("stderr has \"%s\", expected %s\n", text, shows ? "a warning" : "nothing");
  return 1;
}
