// SPDX-License-Identifier: Apache-2.0
// The library prints nothing: that bf16 is slower here goes to the caller's callback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "runtime/machine/rates.hpp"
#include "runtime/session/session.hpp"
#include "tessera/tessera.h"
#include "tests/support/temporary.hpp"

namespace tessera::c_api {
namespace {

/// Warnings of opening the demo and making two sessions of it.
std::vector<std::string> warnings_of(tessera_precision precision) {
  std::vector<std::string> warnings;
  tessera_set_log_callback(
      [](void* context, tessera_log_level level, const char* message) {
        if (level == TESSERA_LOG_WARNING)
          static_cast<std::vector<std::string>*>(context)->emplace_back(message);
      },
      &warnings);
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  options.precision = precision;
  tessera_model* model = nullptr;
  EXPECT_EQ(tessera_model_open(TESSERA_SOURCE_DIR "/models/demo/text", &options, &model),
            TESSERA_OK);
  for (int i = 0; i < 2; ++i) {
    tessera_session* session = nullptr;
    EXPECT_EQ(tessera_session_create(model, nullptr, &session), TESSERA_OK);
    tessera_session_close(session);
  }
  tessera_model_close(model);
  tessera_set_log_callback(nullptr, nullptr);
  return warnings;
}

TEST(PrecisionOfModelTest, SlowerBf16IsOneWarning) {
  const test::TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "rates.json";
  const std::filesystem::path of_bf16 = directory.path() / "bf16.json";
  MachineRates rates = nominal_rates(machine(), resolve_isa({}));
  rates.flops[Precision::bf16] = 0.75 * rates.flops[Precision::f32];
  save_rates(file, rates, machine(), resolve_isa({}));
  save_rates(of_bf16, rates, machine(), resolve_isa({}, Precision::bf16));
  ::setenv("TESSERA_RATES", (file.string() + ":" + of_bf16.string()).c_str(), 1);
  const std::vector<std::string> slower = warnings_of(TESSERA_PRECISION_BF16);
  ASSERT_EQ(slower.size(), 1U);
  EXPECT_THAT(slower[0], testing::HasSubstr("bf16 multiplies 0.75 x as fast as fp32 here"));
  EXPECT_TRUE(warnings_of(TESSERA_PRECISION_FP32).empty());
  EXPECT_TRUE(warnings_of(TESSERA_PRECISION_AUTOMATIC).empty());
  ::unsetenv("TESSERA_RATES");
}

}  // namespace
}  // namespace tessera::c_api
