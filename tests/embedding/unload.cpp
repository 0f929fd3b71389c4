// SPDX-License-Identifier: Apache-2.0
// A host with shared objects that use tessera.hpp: dlclose() unloads them, and the host's own warnings
// go on. unload MODEL PLUGIN...
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::string model = host::model(argc, argv);
  char name[] = "unload-XXXXXX";
  const int file = mkstemp(name);
  const int saved = dup(STDERR_FILENO), writer = open(name, O_WRONLY | O_APPEND);
  unlink(name);
  for (int i = 2; i < argc; ++i) {
    void* const plugin = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
    host::expect(plugin != nullptr, std::string(argv[i]) + " opens");
    const auto embeds = reinterpret_cast<int (*)(const char*)>(dlsym(plugin, "plugin_embeds"));
    host::expect(embeds != nullptr && embeds(model.c_str()) == 1, "the plugin embeds");
    dlclose(plugin);
    host::expect(dlopen(argv[i], RTLD_NOW | RTLD_NOLOAD) == nullptr,
                 std::string(argv[i]) + " is gone after dlclose()");
    dup2(writer, STDERR_FILENO);
    host::provoke_warning(model);
    dup2(saved, STDERR_FILENO);
    char text[4096] = {};
    const ssize_t size = pread(file, text, sizeof text - 1, 0);
#ifdef NDEBUG
    host::expect(size == 0, "no warning in a release build");
#else
    host::expect(size > 0 && std::strstr(text, "tessera: warning: ") != nullptr, "a warning");
#endif
    if (ftruncate(file, 0) != 0) return 3;
  }
  return 0;
}
