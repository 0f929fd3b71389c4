// SPDX-License-Identifier: Apache-2.0
// A host that is an OpenMP program: every thread of its team has a session; then sessions of two
// threads one after another inside the team. TESSERA_THREADS may ask for the team of OpenMP.
#include <omp.h>

#include <atomic>

#include "tests/embedding/host.hpp"

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const tessera::Model model(path);
  const std::vector<float> expected = host::embed(path);
  std::atomic<int> right{0};
#pragma omp parallel num_threads(4)
  {
    try {
      tessera::Session session(model, host::with_threads(1));
      for (int i = 0; i < 20; ++i) right += session.embed(host::kText) == expected ? 1 : 0;
    } catch (const tessera::Error& e) {
      host::fail(e.what());
    }
  }
  host::expect(right == 80, "80 equal vectors");
  host::expect(host::embed(path, 2) == expected, "the same vector with two threads");
}
