// SPDX-License-Identifier: Apache-2.0
// The tables of all handles. Threads may outlive static objects, and the child of a fork() uses them,
// whatever other threads of its parent did at that moment.
#include "kernels/kernel_table.hpp"
#include "runtime/base/fork_locks.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {
namespace {

constinit NeverDestroyed<ModelTable> models;
constinit NeverDestroyed<SessionTable> sessions;
constinit NeverDestroyed<CancelTable> cancels;
constinit NeverDestroyed<IndexTable> indices;

/// A static variable of a function: made here, no thread is ever found making it.
[[maybe_unused]] const kernels::KernelTable& kFirst = kernels::kernels_at(Isa::baseline);

}  // namespace

ModelTable& model_table() {
  return models.value;
}
SessionTable& session_table() {
  return sessions.value;
}
CancelTable& cancel_table() {
  return cancels.value;
}
IndexTable& index_table() {
  return indices.value;
}

}  // namespace tessera::c_api
