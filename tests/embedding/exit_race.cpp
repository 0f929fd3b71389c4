// SPDX-License-Identifier: Apache-2.0
// Detached threads embed, tokenise, open models and fail without end while main() returns.
#include <chrono>
#include <thread>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const auto* const model = new tessera::Model(path);  // the process ends under its users
  for (int threads : {1, 2}) {
    std::thread([model, threads] {
      tessera::Session session(*model, host::with_threads(threads));
      for (;;) session.embed(host::kText);
    }).detach();
  }
  std::thread([path] {
    for (;;) host::embed(path);
  }).detach();
  std::thread([] {
    for (;;) {
      try {
        const tessera::Model none("/nonexistent");
      } catch (const tessera::Error&) {
      }
    }
  }).detach();
  std::this_thread::sleep_for(std::chrono::milliseconds(std::rand() % 8 + 5));
}
