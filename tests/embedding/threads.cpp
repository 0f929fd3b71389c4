// SPDX-License-Identifier: Apache-2.0
// Models are opened, sessions made and closed on threads that end; other threads use them. A path is
// relative and the host changes its directory afterwards.
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <thread>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::filesystem::path path = std::filesystem::canonical(host::model(argc, argv));
  const std::vector<float> expected = host::embed(path);
  host::expect(chdir(path.parent_path().c_str()) == 0, "a directory");
  std::unique_ptr<tessera::Model> model;
  std::thread([&] { model = std::make_unique<tessera::Model>(path.filename().string()); }).join();
  host::expect(chdir("/") == 0, "a directory");
  std::unique_ptr<tessera::Session> session;
  std::thread([&] {
    session = std::make_unique<tessera::Session>(*model, host::with_threads(2));
  }).join();
  for (int i = 0; i < 50; ++i) {
    std::thread([&] {
      host::expect(session->embed(host::kText) == expected, "the same vector");
    }).join();
  }
  std::thread([&] { session.reset(); }).join();
}
