// SPDX-License-Identifier: Apache-2.0
// The tool on a machine with the rates that a test wants.
#pragma once

#include <simdjson.h>

#include "runtime/machine/rates.hpp"
#include "runtime/session/session.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {

class RatedTest : public CliTest {
 protected:
  /// With linears that compute 1e11 and bf16_speed times that.
  void rate(double bf16_speed, double exps = 1e10) {
    const MachineRates rates{.flops = {1e11, bf16_speed * 1e11, 4e11},
                             .l1_bytes = 4e11,
                             .l2_bytes = 2e11,
                             .l3_bytes = 1e11,
                             .memory_bytes = 2e10,
                             .exps = exps,
                             .source = ""};
    save_rates(path("rates.json"), rates, machine(), resolve_isa({}));
    save_rates(path("bf16.json"), rates, machine(), resolve_isa({}, Precision::bf16));
  }
  /// With the rates of the last rate().
  CommandResult rated(const std::string& arguments) {
    return sh("TESSERA_RATES=rates.json:bf16.json \"$TESSERA\" " + arguments);
  }
  /// Where nobody has measured, and what is measured would be kept in "cache".
  CommandResult unrated(const std::string& arguments) {
    return sh("TESSERA_RATES= XDG_CACHE_HOME=\"$PWD/cache\" \"$TESSERA\" " + arguments);
  }
  /// What it prints, as JSON; valid until the next call.
  simdjson::dom::element json(const std::string& arguments) {
    const CommandResult result = rated(arguments + " --json");
    EXPECT_EQ(result.status, 0) << result.err;
    return parser_.parse(result.out);
  }
  std::string demo_ = TESSERA_SOURCE_DIR "/models/demo/text";  // every matrix in 16 bits

 private:
  simdjson::dom::parser parser_;
};

}  // namespace tessera::test
