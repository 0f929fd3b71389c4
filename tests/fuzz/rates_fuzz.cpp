// SPDX-License-Identifier: Apache-2.0
// Files of measured rates: any bytes give rates that a plan can be made of, or an Error.
#include <span>

#include "kernels/isa.hpp"
#include "kernels/kernel_table.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/machine/rates.hpp"
#include "runtime/plan/plan.hpp"
#include "tests/fuzz/input_file.hpp"
#include "tests/runtime/tiny_model.hpp"

namespace tessera::fuzz {
namespace {

constexpr Isa kIsa = Isa::baseline;

MachineRates load(std::string_view bytes) {
  const InputFile file(bytes);
  MachineRates rates = load_rates(file.path(), machine(), kIsa);
  rates.source.clear();  // differs from file to file
  return rates;
}

}  // namespace

void run(std::string_view input) {
  static const test::TinyModel model{test::TinyShape{}};
  const MachineRates rates = load(input);
  const std::string text = rates_to_json(rates, machine(), kIsa);
  const MachineRates again = load(text);  // six digits are kept
  require(rates_to_json(again, machine(), kIsa) == text, "what was written is read");
  require(!describe(rates).empty(), "rates are described");
  const Plan plan = make_plan({.program = model.program(),
                               .machine = machine(),
                               .rates = rates,
                               .isa = kIsa,
                               .tile = tile_shapes(kernels::kernels_at(kIsa)),
                               .threads = 2,
                               .max_rows = 40,
                               .max_sequences = 4});
  require(plan.ops.size() == model.program().ops.size(), "a plan has every op");
}

Seeds seeds() {
  return {{"nominal", rates_to_json(nominal_rates(machine(), kIsa), machine(), kIsa)}};
}

}  // namespace tessera::fuzz
