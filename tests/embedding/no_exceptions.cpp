// SPDX-License-Identifier: Apache-2.0
// A C++ host without exceptions and type information (-fno-exceptions -fno-rtti) uses tessera.h.
#include <tessera/tessera.h>

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  tessera_model* model = nullptr;
  if (tessera_model_open("/nonexistent", nullptr, &model) != TESSERA_NOT_FOUND) return 1;
  if (std::strstr(tessera_last_error(), "/nonexistent") == nullptr) return 1;
  if (tessera_model_open(argv[1], nullptr, &model) != TESSERA_OK) {
    return std::fprintf(stderr, "%s\n", tessera_last_error()), 1;
  }
  tessera_session* session = nullptr;
  if (tessera_session_create(model, nullptr, &session) != TESSERA_OK) return 1;
  if (tessera_session_create(reinterpret_cast<tessera_model*>(session), nullptr, &session) ==
      TESSERA_OK) {
    return 1;
  }
  tessera_session_close(session);
  tessera_model_close(model);
}
