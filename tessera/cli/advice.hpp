// SPDX-License-Identifier: Apache-2.0
// What a command that computes says on stderr about the precision.
#pragma once

#include <optional>

#include "tessera/cli/options.hpp"

namespace tessera::cli {

/// To be called once by a command, before its encoder is made of the options that come back:
///   a warning, where bf16 is asked for and was measured slower;
///   on a terminal, how much faster --precision auto would be, where nobody chose the precision.
/// By the rates of `options`, else by stored ones, which the options then hold. Nothing is measured.
EncoderOptions advised(const ModelFlags& flags, const models::Package& package,
                       EncoderOptions options, bool is_quiet = false);

/// How many times as fast --precision auto is predicted to be as fp32, for the batch that `tessera
/// plan` shows where nobody asks for another; empty below kWorthIt, and where auto is fp32.
/// Precondition: options.session.rates.
std::optional<double> gain_of_auto(const models::Package& package, const EncoderOptions& options);

/// Somebody reads stderr, and stdout does not go into a pipe.
bool has_reader();

}  // namespace tessera::cli
