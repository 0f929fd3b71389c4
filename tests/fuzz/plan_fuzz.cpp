// SPDX-License-Identifier: Apache-2.0
// Plan files: any bytes give a plan or an Error; a plan that check_plan() takes runs, with the results of
// every other. The first byte says whether the identity (version, model, machine, ...) is put right
// before the plan is checked, so that mutations reach what the executor relies on.
#include <cmath>
#include <memory>
#include <vector>

#include "runtime/plan/plan_file.hpp"
#include "runtime/session/session.hpp"
#include "tests/fuzz/input_file.hpp"
#include "tests/runtime/tiny_model.hpp"

namespace tessera::fuzz {
namespace {

// Two sequences, of 9 and 6 tokens.
constexpr Index kRows = 15;
SessionOptions limits() {
  return {.max_rows = kRows, .max_sequences = 2, .threads = 1};
}

struct Fixture {
  test::TinyModel tiny{test::TinyShape{}};
  std::shared_ptr<const Model> model =
      Model::create(tiny.program(), tiny.checkpoint(), {.isa = Isa::baseline});
  std::unique_ptr<Session> session = [this] {
    SessionOptions options = limits();
    options.rates = nominal_rates(machine(), Isa::baseline);
    return Session::create(model, options);
  }();
  std::vector<float> expected = results(*session);

  static std::vector<float> results(Session& s) {
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < kRows; ++i) ids.push_back(i * 7 % 50);
    const std::vector<std::int32_t> offsets{0, 9, kRows};
    s.run({.ids = ids, .offsets = offsets});
    const TensorView<const float> out = s.output("last_hidden_state");
    std::vector<float> rows;
    for (Index r = 0; r < out.rows; ++r) {
      const auto row = out.row(r);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
  }
};

const Fixture& fixture() {
  static const Fixture it;
  return it;
}

Plan load(std::string_view bytes) {
  const InputFile file(bytes);
  Plan plan = load_plan(file.path());
  plan.file = "plan.json";
  return plan;
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const Fixture& with = fixture();
  Plan plan = load(input.substr(1));
  const std::string text = plan_to_json(plan);
  require(plan_to_json(load(text)) == text, "what was written is read");
  if (input[0] % 2 != 0) plan.identity = with.session->plan().identity;
  try {
    (void)diff_plans(with.session->plan(), plan, with.session->program());
  } catch (const Error& e) {
    check_message(e);
  }
  SessionOptions options = limits();
  options.plan = std::make_shared<const Plan>(std::move(plan));
  const auto session = Session::create(with.model, options);
  const std::vector<float> got = Fixture::results(*session);
  require(got.size() == with.expected.size(), "results have their size");
  for (std::size_t i = 0; i < got.size(); ++i) {
    // Attention's dataflows round in their own ways.
    require(std::abs(got[i] - with.expected[i]) < 1e-4F, "a plan decides speed, not results");
  }
}

Seeds seeds() {
  const std::string plan = plan_to_json(fixture().session->plan());
  Seeds out = {{"plan", "0" + plan}, {"plan-identity", "1" + plan}};
  SessionOptions options = limits();
  options.rates = nominal_rates(machine(), Isa::baseline);
  options.row_blocks = 8;
  out.emplace_back("chains", "1" + plan_to_json(Session::create(fixture().model, options)->plan()));
  return out;
}

}  // namespace tessera::fuzz
