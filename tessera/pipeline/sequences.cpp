// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/sequences.hpp"

#include <fmt/format.h>

namespace tessera {

BadSequence::BadSequence(std::size_t index, const Error& reason)
    : Error(reason.code(), fmt::format("sequence {}: {}", index, reason.what())),
      index_(index),
      reason_(reason.what()) {}

void check_sequences(const Program& program, const Sequences& sequences) {
  const SequenceCheck check(program);
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    try {
      check(sequences[s]);
    } catch (const Error& error) {
      throw BadSequence(s, error);
    }
  }
}

}  // namespace tessera
