// SPDX-License-Identifier: Apache-2.0
// How long a host waits: opens MODEL again and again, makes a session of one thread and embeds, and
// prints the least and the median of each step, milliseconds.
//
//   load_times MODEL [TIMES]
#include <algorithm>
#include <array>
#include <chrono>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const int times = argc > 2 ? std::max(1, std::atoi(argv[2])) : 20;
  const std::array<const char*, 3> names{"open", "session", "first embedding"};
  std::array<std::vector<double>, 3> steps;
  for (int i = 0; i < times; ++i) {
    auto before = std::chrono::steady_clock::now();
    const auto step = [&](std::size_t n) {
      const auto now = std::chrono::steady_clock::now();
      steps[n].push_back(std::chrono::duration<double, std::milli>(now - before).count());
      before = now;
    };
    const tessera::Model model(path);
    step(0);
    tessera::Session session(model, host::with_threads(1));
    step(1);
    session.embed(host::kText);
    step(2);
  }
  for (std::size_t n = 0; n < steps.size(); ++n) {
    std::sort(steps[n].begin(), steps[n].end());
    std::printf("%s: %.2f ms at least, median %.2f ms\n", names[n], steps[n].front(),
                steps[n][steps[n].size() / 2]);
  }
}
