// SPDX-License-Identifier: Apache-2.0
// A host's thread with a stack of 128 KiB opens a model, tokenises a long text and embeds.
#include <pthread.h>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  static std::string path = host::model(argc, argv);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  host::expect(pthread_attr_setstacksize(&attributes, std::size_t{128} << 10) == 0, "the stack");
  pthread_t thread;
  const int made = pthread_create(
      &thread, &attributes,
      [](void*) -> void* {
        const tessera::Model model(path);
        tessera::Session session(model, host::with_threads(2));
        std::string text;
        for (int i = 0; i < 20000; ++i) text += "word ";
        session.embed(text);
        return nullptr;
      },
      nullptr);
  host::expect(made == 0 && pthread_join(thread, nullptr) == 0, "a thread");
}
