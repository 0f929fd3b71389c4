// SPDX-License-Identifier: Apache-2.0
// ModelOptions::held_outputs: what is there anyway, and nothing that would have to be computed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/tiny_model.hpp"

namespace tessera {
namespace {

using testing::ElementsAre;

class HeldOutputsTest : public testing::Test {
 protected:
  /// The outputs of a model that computes `computed`.
  std::vector<std::string> outputs(const std::string& computed,
                                   const std::vector<std::string>& held) const {
    const auto model =
        Model::create(program_, tiny_.checkpoint(), {.outputs = {computed}, .held_outputs = held});
    std::vector<std::string> names;
    for (const Output& output : model->program().outputs) names.push_back(output.name);
    return names;
  }
  void show(const std::string& name, const std::string& value) {
    for (std::size_t v = 0; v < program_.values.size(); ++v) {
      if (program_.values[v].name == value) {
        program_.outputs.push_back({name, static_cast<ValueId>(v)});
      }
    }
  }
  test::TinyModel tiny_{test::TinyShape{}};
  Program program_ = tiny_.program();
};

TEST_F(HeldOutputsTest, AreThoseOnTheWay) {
  EXPECT_THAT(outputs("pooled.mean", {"last_hidden_state"}),
              ElementsAre("pooled.mean", "last_hidden_state"));
  EXPECT_THAT(outputs("last_hidden_state", {"pooled.mean", "last_hidden_state"}),
              ElementsAre("last_hidden_state"));
}

TEST_F(HeldOutputsTest, WhatAnOpTookInIsLeftOut) {
  show("sum", "mid");  // an epilogue of the linear before it
  show("norm", "mid.norm");
  EXPECT_THAT(outputs("last_hidden_state", {"sum", "norm"}),
              ElementsAre("last_hidden_state", "norm"));
}

TEST_F(HeldOutputsTest, HaveTheRowsThatAreComputed) {
  const auto model =
      Model::create(program_, tiny_.checkpoint(),
                    {.outputs = {"pooled.first"}, .held_outputs = {"last_hidden_state"}});
  const auto session = Session::create(model, {.max_rows = 8, .max_sequences = 2, .threads = 1});
  const std::vector<std::int32_t> ids{1, 2, 3, 4, 5}, offsets{0, 3, 5};
  session->run({.ids = ids, .offsets = offsets});
  EXPECT_EQ(session->output("last_hidden_state").rows, 2);
}

TEST_F(HeldOutputsTest, AnUnknownOneIsNamed) {
  try {
    outputs("pooled.mean", {"nothing"});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(),
                testing::HasSubstr("held_outputs: the model has no output \"nothing\""));
  }
}

}  // namespace
}  // namespace tessera
