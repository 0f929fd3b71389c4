// SPDX-License-Identifier: Apache-2.0
//
// Libraries of others that only some hosts ask for stand in plugins, tessera_<name>.so, which are
// loaded at the first use and stay: a host that asks for neither has none of their code, threads or
// destructors in its process. Where a plugin is looked for, the first that is there counts:
//
//   1. in the folder that TESSERA_PLUGIN_DIR names; where it is set, nowhere else
//   2. where the system finds its name: LD_LIBRARY_PATH, the RUNPATH of libtessera.so or of a program
//      that is linked with libtessera.a
//   3. in tessera/ beside the file that holds this code, and in ../lib/tessera as seen from it: an
//      installation that was moved, a program in its bin/
//   4. where the build was configured to install them
//
// A plugin exports one function, `tessera_plugin`, which gives its table; it sees nothing of the
// library but the headers of this folder, and is used by the version that it was built with only.
#pragma once

#include <string>

#include "kernels/types.hpp"
#include "runtime/base/task_body.hpp"

namespace tessera::plugins {

/// The first word of every table: the version of the library, then these structs.
struct Stamp {
  const char* version;
  const char* name;
};

/// An OpenMP team.
struct OpenMp {
  Stamp stamp;
  /// body(task, worker) once for every task in [0, tasks), worker in [0, count).
  void (*run)(int count, Index tasks, const TaskBody& body);
};

struct OneDnnShape {
  Index M, lda, ldc;
};

/// What went wrong, from a plugin. code: 0 nothing, 1 out of memory, 2 anything else.
struct Failure {
  int code = 0;
  char text[256] = {};
};

/// Linears of oneDNN. `linear` is what create() gave; no function throws.
struct OneDnn {
  Stamp stamp;
  void* (*create)(Index N, Index K, const float* bias, OneDnnShape typical, bool is_bf16,
                  Failure& failure);
  void (*destroy)(void* linear);
  std::size_t (*weight_bytes)(void* linear);
  void (*load)(void* linear, const void* w, Index ldw, float* storage, Failure& failure);
  void (*use)(void* linear, const float* storage);
  /// c = a Wᵀ + bias, or += ; false where oneDNN refuses or has only its reference loops.
  bool (*run)(void* linear, const void* a, float* c, OneDnnShape shape, bool adds);
  /// Into `name`, cut to `bytes`; false where it refuses.
  bool (*implementation)(void* linear, OneDnnShape shape, char* name, std::size_t bytes);
};

/// The plugin, or null and in `why` what is the matter, with the system's words. Loaded once; one
/// that could not be loaded is asked for again next time.
const OpenMp* openmp(std::string& why);
const OneDnn* onednn(std::string& why);

}  // namespace tessera::plugins

#define TESSERA_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))
