// SPDX-License-Identifier: Apache-2.0
// Patches of images whose heads of Q and K turn by their place, and images of any grids.
#pragma once

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "tests/runtime/op_model.hpp"
#include "tests/support/random.hpp"

namespace tessera::test {

struct GridModel {
  static constexpr Index kPatchHeight = 2, kPatchWidth = 3, kD = 12, kQ = 2, kK = 1,
                         kWidth = (kQ + 2 * kK) * kD;
  static constexpr std::array kDown{1.0F, 0.3F, 0.01F}, kAcross{0.9F, 0.2F, 0.05F};

  explicit GridModel(Index special, ImageSizes sizes = ImageSizes::any) {
    Program& program = model.program();
    const ImageSpec spec{.channels = 1,
                         .height = 8,
                         .width = 9,
                         .patch_height = kPatchHeight,
                         .patch_width = kPatchWidth,
                         .special_tokens = special,
                         .sizes = sizes};
    program.inputs = spec;
    PatchEmbedOp patches{
        .weight = model.parameter("weight", ParameterKind::matrix, kWidth, spec.patch_elements()),
        .out = kNone};
    if (special > 0) {
      patches.special = model.parameter("special", ParameterKind::rows, special, kWidth);
    }
    const ValueId in = model.add("in", kTokens, kWidth, patches);
    std::vector<float> frequencies(kDown.begin(), kDown.end());
    frequencies.insert(frequencies.end(), kAcross.begin(), kAcross.end());
    model.add("out", kTokens, kWidth,
              RotateOp{.in = in,
                       .out = kNone,
                       .q = {.first = 0, .count = kQ},
                       .k = {.first = kQ * kD, .count = kK},
                       .head_dim = kD,
                       .rotation = program.add_rotation(
                           {.frequencies = std::move(frequencies), .on_grid = true})});
  }

  OpModel model;
};

/// Random images of these grids (rows, columns), some with pixels to the right and below that no patch
/// has.
struct GridImages {
  explicit GridImages(std::vector<std::pair<Index, Index>> rows_and_cols)
      : grids(std::move(rows_and_cols)) {
    Random random{7};
    for (const auto& [rows, cols] : grids) {
      const Index height = rows * GridModel::kPatchHeight + rows % 2,
                  width = cols * GridModel::kPatchWidth + cols % 3;
      std::vector<float>& values = planes.emplace_back(static_cast<std::size_t>(height * width));
      for (float& value : values) value = random.normal();
      images.push_back({.planes = values.data(), .height = height, .width = width});
    }
  }

  GridImages(const GridImages&) = delete;
  GridImages& operator=(const GridImages&) = delete;

  std::vector<std::pair<Index, Index>> grids;
  std::vector<std::vector<float>> planes;
  std::vector<Image> images;
};

}  // namespace tessera::test
