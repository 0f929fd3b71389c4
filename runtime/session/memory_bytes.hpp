// SPDX-License-Identifier: Apache-2.0
// The memory promise: what a model and a session will take, said before any of it is allocated.
//
//   total = weights packed (once per Model) + tables mapped (once per Model) + arena (per Session)
//
// Not in it: the executable, the thread stacks, plans and names (together under 8 MiB), and the
// tokenizer's vocabulary.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/session/session.hpp"

namespace tessera {

struct MemoryBytes {
  std::size_t weights_packed = 0;  ///< panels and vectors; shared by all sessions of the Model
  std::size_t weights_mapped = 0;  ///< tables that are read where the checkpoint is mapped; shared
  std::size_t arena = 0;           ///< of one session: values, scratch of its workers, indices

  std::size_t weights() const noexcept { return weights_packed + weights_mapped; }
  std::size_t total() const noexcept { return weights() + arena; }

  friend bool operator==(const MemoryBytes&, const MemoryBytes&) = default;
};

/// Of a session of `model`. Allocates nothing that lasts. Errors: as Session::create(), without the
/// cap.
MemoryBytes memory_bytes(const Model& model, const SessionOptions& options);

/// The same before the model is loaded: reads shapes, not weights.
/// Errors: also those of Model::create().
MemoryBytes memory_bytes(const Program& program, const Checkpoint& checkpoint,
                         const ModelOptions& model_options, const SessionOptions& options);

/// Model::parameter_count() of the model that these options make.
std::size_t parameter_count(const Program& program, const ModelOptions& options);

/// `options` with the largest max_rows and max_sequences, at most those given, whose memory is
/// within options.memory_cap_bytes; as they are without a cap. The number of sequences falls in
/// proportion to the rows. Errors: Error{out_of_memory} where not even `least_rows` rows in one
/// sequence fit, naming the bytes that would.
SessionOptions fit_to_cap(const Model& model, const SessionOptions& options, Index least_rows = 1);
/// The same before the model is loaded.
SessionOptions fit_to_cap(const Program& program, const Checkpoint& checkpoint,
                          const ModelOptions& model_options, const SessionOptions& options,
                          Index least_rows = 1);

/// "41.3 MiB (weights 30.1 packed + 9.0 mapped, arena 2.2)"
std::string to_string(const MemoryBytes& bytes);

}  // namespace tessera
