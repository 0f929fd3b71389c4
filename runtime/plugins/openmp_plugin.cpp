// SPDX-License-Identifier: Apache-2.0
// tessera_openmp.so: the only file that knows OpenMP.
#include <omp.h>

#include "runtime/base/float_environment.hpp"
#include "runtime/plugins/plugin.hpp"

namespace {

using tessera::Index;

void run(int count, Index tasks, const tessera::TaskBody& body) {
  // A team of the same size every time: libgomp keeps its threads from one region to the next.
  Index next = 0;
#pragma omp parallel num_threads(count) default(none) shared(next, tasks, body)
  {
    const tessera::FloatEnvironment floats;
    const int worker = omp_get_thread_num();
    for (;;) {
      Index task = 0;
#pragma omp atomic capture
      task = next++;
      if (task >= tasks) break;
      body(task, worker);
    }
  }
}

constexpr tessera::plugins::OpenMp kTable{{TESSERA_VERSION, "openmp"}, run};

}  // namespace

TESSERA_PLUGIN_EXPORT const void* tessera_plugin() {
  return &kTable;
}
