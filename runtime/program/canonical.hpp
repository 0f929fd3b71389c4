// SPDX-License-Identifier: Apache-2.0
// The canonical text of a program: all that decides what it computes and how it may be scheduled,
// and nothing that is for people alone (names may change, the text stays). What plans are
// identified by.
#pragma once

#include <string>

#include "runtime/program/program.hpp"

namespace tessera {

/// Values, parameters (shapes, not contents), ops with every operand and attribute, outputs, specs.
/// Floats are written so that equal bits give equal text. Equal programs have equal texts; two that
/// differ in anything but names differ.
std::string canonical_text(const Program& program);

}  // namespace tessera
