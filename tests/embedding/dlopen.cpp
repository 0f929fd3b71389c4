// SPDX-License-Identifier: Apache-2.0
// A plugin host: libtessera.so is loaded and closed with dlopen() three times, the last time while a
// session lives and a thread of it sleeps; the process goes on and exits.
#include <dlfcn.h>
#include <tessera/tessera.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  for (int round = 0; round < 3; ++round) {
    void* const library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return std::fprintf(stderr, "%s\n", dlerror()), 1;
#define GET(name) const auto name##_ = reinterpret_cast<decltype(&name)>(dlsym(library, #name))
    GET(tessera_model_open);
    GET(tessera_model_close);
    GET(tessera_session_create);
    GET(tessera_session_close);
    GET(tessera_encode_texts);
    GET(tessera_last_error);
    tessera_model* model = nullptr;
    tessera_session* session = nullptr;
    tessera_session_options options = TESSERA_SESSION_OPTIONS_INIT;
    options.threads = 2;
    const char* text = "A tiny text editor";
    tessera_texts texts = TESSERA_TEXTS_INIT;
    texts.texts = &text;
    texts.count = 1;
    float vector[4096];
    tessera_output output = TESSERA_OUTPUT_INIT;
    output.data = vector;
    output.capacity = 4096;
    std::int64_t offsets[2];
    if (tessera_model_open_(argv[1], nullptr, &model) != TESSERA_OK ||
        tessera_session_create_(model, &options, &session) != TESSERA_OK ||
        tessera_encode_texts_(session, &texts, nullptr, &output, 1, offsets) != TESSERA_OK) {
      return std::fprintf(stderr, "%s\n", tessera_last_error_()), 1;
    }
    tessera_model* none = nullptr;
    if (tessera_model_open_("/nonexistent", nullptr, &none) == TESSERA_OK) return 1;
    if (round < 2) {
      tessera_session_close_(session);
      tessera_model_close_(model);
    }
    dlclose(library);
  }
}
