// SPDX-License-Identifier: Apache-2.0
// The values of a program that carry its residual stream.
#pragma once

#include "runtime/program/program.hpp"

namespace tessera {

/// `program` with an output more, called as the value is, for each value that something computed later is
/// added to: x of x + f(x). A layer of an encoder has two, what attention is added to and what the
/// feed-forward is. Values that are outputs stay as they are.
Program with_stream(const Program& program);

}  // namespace tessera
