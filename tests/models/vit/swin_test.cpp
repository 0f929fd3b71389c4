// SPDX-License-Identifier: Apache-2.0
//
// What config.json says of Swin and Swin V2, what is refused by name, and what bf16 does to them. What
// they compute is compared by the golden cases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/program/image.hpp"
#include "runtime/program/rewrites.hpp"
#include "runtime/session/memory_bytes.hpp"
#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::Package;
using testing::AllOf;
using testing::HasSubstr;

std::string problem_of(const char* name, const char* key, const char* value) {
  CheckpointCopy copy(name);
  copy.config[key] = value;
  return error_of([&] { (void)copy.open(); });
}

TEST(SwinTest, WhatTheConfigSaysWrongIsNamed) {
  EXPECT_THAT(problem_of("swin-model", "num_heads", "[2, 2]"),
              HasSubstr("expected an array of 3 numbers, as \"depths\" is"));
  EXPECT_THAT(problem_of("swin-model", "num_heads", "[5, 2, 4]"),
              HasSubstr("expected a divisor of the width of each stage, embed_dim times 2^stage, "
                        "which is 12 of stage 0"));
  for (const char* value : {"[]", "[2, 0, 2]", "[2, \"2\", 2]", "2", "{}", "[1.5]", "[2000, 2, 2]",
                            "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"}) {
    EXPECT_THAT(problem_of("swin-model", "depths", value),
                AllOf(HasSubstr("\"depths\" is"), HasSubstr("expected an array of")))
        << value;
  }
  EXPECT_THAT(problem_of("swin-model", "window_size", "5"),
              HasSubstr("\"window_size\" is 5, expected at most the smaller side of the last "
                        "stage's map of an image of 32 x 32"));
  EXPECT_THAT(problem_of("swin-model", "window_size", "3"),
              HasSubstr("relative_position_bias_table"));
  for (const char* value : {"0", "65", "7.5", "[4, 4]"}) {
    EXPECT_THAT(problem_of("swin-model", "window_size", value), HasSubstr("window_size")) << value;
  }
  EXPECT_THAT(problem_of("swin-model", "mlp_ratio", "1e9"), HasSubstr("mlp_ratio"));
  EXPECT_THAT(problem_of("swin-model", "use_absolute_embeddings", "true"),
              AllOf(HasSubstr("unsupported"), HasSubstr("use_absolute_embeddings")));
  EXPECT_THAT(problem_of("swin-model", "quantization_config", "{\"bits\": 8}"),
              HasSubstr("quantization_config"));
  EXPECT_THAT(problem_of("swinv2-model", "pretrained_window_sizes", "[1, 0]"),
              HasSubstr("expected 0 or 2 and more"));
  EXPECT_THAT(problem_of("swinv2-model", "pretrained_window_sizes", "[0]"),
              HasSubstr("expected an array of 2 numbers"));
  EXPECT_THAT(problem_of("swinv2-model", "image_size", "4"),
              HasSubstr("expected fewer stages: 2 halve a map of 1 rows to none"));
}

TEST(SwinTest, ClassesThatAreNotComputedAreRefused) {
  for (const char* name : {"SwinForMaskedImageModeling", "SwinBackbone"}) {
    CheckpointCopy copy("swin-model");
    copy.config["architectures"] = "[\"" + std::string(name) + "\"]";
    EXPECT_THAT(error_of([&] { (void)copy.open(); }),
                AllOf(HasSubstr(name), HasSubstr("SwinForImageClassification")));
  }
}

TEST(SwinTest, AnImageWhoseMapIsSmallerThanAWindowIsRefused) {
  const Package package =
      CheckpointCopy("swin-model").open();  // 3 stages, windows of 4, patches of 2
  const ImageSpec& images = *package.program.images();
  EXPECT_EQ(images.least_height, 25);  // ⌈25/8⌉ = 4 cells
  EXPECT_EQ(image_rows(images, 25, 32), 13 * 16);
  EXPECT_THAT(error_of([&] { (void)image_rows(images, 24, 32); }),
              HasSubstr("image: size is 24 x 32 (height x width), expected at least 25 x 25"));
  const Package second = CheckpointCopy("swinv2-model").open();
  EXPECT_EQ(image_rows(*second.program.images(), 1, 1), 1);  // its windows are filled up
}

TEST(SwinTest, RoomIsThatOfWindowsWhereTheyAreMore) {
  const Package package = CheckpointCopy("swin-model").open();
  const Program& program = package.program;
  EXPECT_EQ(image_room(program, 64, 64), 1024);  // all maps are whole windows
  EXPECT_GT(image_room(program, 65, 65), image_rows(*program.images(), 65, 65));
}

TEST(SwinTest, OneVariantOfABiasWhereNothingIsRolled) {
  const Package package = CheckpointCopy("swin-model").open();
  Index plain = 0, rolled = 0;
  for (const Parameter& p : package.program.parameters) {
    if (p.kind != ParameterKind::pair_bias) continue;
    p.window.shift == 0 ? ++plain : ++rolled;
    EXPECT_EQ(p.rows % variants_of(p), 0);
  }
  EXPECT_GT(plain, 0);
  EXPECT_GT(rolled, 0);
}

TEST(SwinTest, Bf16GoesThroughTheWindows) {
  const Package package = CheckpointCopy("swin-model").open();
  const std::vector<std::string> wanted{"pooler_output"};
  const Program program =
      in_precision(fuse_epilogues(keep_outputs(package.program, wanted, KeepParameters::used)),
                   {.precision = Precision::bf16, .attention = true});
  check(program);
  Index moved = 0;
  for (const Op& op : program.ops) {
    if (const auto* attention = std::get_if<AttentionOp>(&op)) {
      EXPECT_EQ(attention->precision, Precision::bf16);
    }
    if (const auto* rows = std::get_if<WindowRowsOp>(&op)) {
      EXPECT_EQ(program.values[at(rows->out)].type, DType::bf16);
      ++moved;
    }
  }
  EXPECT_GT(moved, 0);
}

TEST(SwinTest, CosinesTimesAHundredStayF32) {
  const Package package = CheckpointCopy("swinv2-model").open();
  const Program program = in_precision(fuse_epilogues(package.program),
                                       {.precision = Precision::bf16, .attention = true});
  check(program);
  Index attentions = 0;
  for (const Op& op : program.ops) {
    const auto* attention = std::get_if<AttentionOp>(&op);
    if (attention == nullptr) continue;
    EXPECT_EQ(attention->precision, Precision::f32);
    ++attentions;
  }
  EXPECT_EQ(attentions, 3);
}

TEST(SwinTest, MemoryIsWhatWasPromised) {
  for (const char* name : {"swin-model", "swinv2-model"}) {
    const Package package = CheckpointCopy(name).open();
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      const auto model = Model::create(package.program, package.checkpoint,
                                       {.outputs = {}, .precision = precision});
      for (const Index rows : {1, 64, 256, 700}) {
        const SessionOptions options{.max_rows = rows,
                                     .max_sequences = std::min<Index>(rows, 5),
                                     .threads = 2,
                                     .outputs = {}};
        const MemoryBytes promised = memory_bytes(package.program, *package.checkpoint,
                                                  {.outputs = {}, .precision = precision}, options);
        EXPECT_EQ(promised, memory_bytes(*model, options));
        EXPECT_EQ(promised.weights_packed, model->packed_bytes());
        EXPECT_EQ(promised.arena, Session::create(model, options)->memory_bytes()) << rows;
      }
    }
  }
}

}  // namespace
}  // namespace tessera::test
