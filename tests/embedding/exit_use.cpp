// SPDX-License-Identifier: Apache-2.0
// A host keeps model and session in a static object, and uses them while the process ends: in its
// destructor (use, open: opens again, error: a directory that is none, tokens, close) or in a handler
// of atexit (atexit). The vectors are those of before; nothing aborts.
#include <memory>

#include "tests/embedding/host.hpp"

namespace {

std::string path, mode;
std::vector<float> before;

struct Static {
  std::unique_ptr<tessera::Model> model;
  std::unique_ptr<tessera::Session> session;
  ~Static() {
    if (mode == "use") host::expect(session->embed(host::kText) == before, "the same vector");
    if (mode == "open") host::expect(host::embed(path, 2) == before, "the same vector");
    if (mode == "tokens") host::expect(model->tokenize(host::kText).ids.size() > 2, "tokens");
    if (mode == "error") {
      for (int i = 0; i < 3; ++i) {
        try {
          host::embed("/nonexistent");
          host::fail("expected: an error");
        } catch (const tessera::Error& e) {
          host::expect(std::string(e.what()).find("/nonexistent") != std::string::npos, e.what());
        }
      }
    }
  }
};
Static object;

void at_exit() {
  if (mode == "atexit")
    host::expect(object.session->embed(host::kText) == before, "the same vector");
}

}  // namespace

int main(int argc, char** argv) {
  path = host::model(argc, argv);
  mode = host::argument(argc, argv, 2);
  std::atexit(at_exit);
  object.model = std::make_unique<tessera::Model>(path);
  object.session = std::make_unique<tessera::Session>(
      *object.model, host::with_threads(std::atoi(host::argument(argc, argv, 3).c_str())));
  before = object.session->embed(host::kText);
  tessera::Model(path).prepare();  // a second one, closed before
}
