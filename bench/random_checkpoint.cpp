// SPDX-License-Identifier: Apache-2.0
// random_checkpoint NAME DIRECTORY: writes a checkpoint of a known size with random weights, for
// tools that want a model and do not look at its values.
#include <fmt/format.h>

#include <exception>
#include <string_view>

#include "bench/support/random_checkpoint.hpp"
#include "bench/support/random_ternary.hpp"
#include "bench/support/random_vision.hpp"

int main(int argc, char** argv) try {
  using namespace tessera::bench;
  for (const BertSize& size : {kBertBase, kSpladeBase, kMiniLmL6}) {
    if (argc != 3 || std::string_view(argv[1]) != size.name) continue;
    std::filesystem::create_directories(argv[2]);
    write_random_bert(argv[2], size);
    return 0;
  }
  if (argc == 3 && std::string_view(argv[1]) == kTernaryBertBase.name) {
    std::filesystem::create_directories(argv[2]);
    write_random_ternary_bert(argv[2], kTernaryBertBase);
    return 0;
  }
  for (const ModernBertSize& size : {kModernBase, kModernFull}) {
    if (argc != 3 || std::string_view(argv[1]) != size.name) continue;
    std::filesystem::create_directories(argv[2]);
    write_random_modernbert(argv[2], size);
    return 0;
  }
  if (argc == 3 && std::string_view(argv[1]) == kNomicMoe.name) {
    std::filesystem::create_directories(argv[2]);
    write_random_nomic_moe(argv[2], kNomicMoe);
    return 0;
  }
  if (argc == 3 && std::string_view(argv[1]) == kDebertaBase.name) {
    std::filesystem::create_directories(argv[2]);
    write_random_deberta(argv[2], kDebertaBase);
    return 0;
  }
  for (const VitSize& size : {kVitBase, kVitLarge, kDinoSmall, kDino3Small}) {
    if (argc != 3 || std::string_view(argv[1]) != size.name) continue;
    std::filesystem::create_directories(argv[2]);
    write_random_vit(argv[2], size);
    return 0;
  }
  for (const EfficientVitSize& size : kEfficientVits) {
    if (argc != 3 || std::string_view(argv[1]) != size.name) continue;
    std::filesystem::create_directories(argv[2]);
    RandomEfficientVit(size).write(argv[2]);
    return 0;
  }
  for (const SwinSize& size : {kSwinTiny, kSwinV2Tiny}) {
    if (argc != 3 || std::string_view(argv[1]) != size.name) continue;
    std::filesystem::create_directories(argv[2]);
    write_random_swin(argv[2], size);
    return 0;
  }
  fmt::print(
      stderr,
      "usage: random_checkpoint {}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|EfficientViT-M0...M5 "
      "DIRECTORY\n",
      kBertBase.name, kTernaryBertBase.name, kSpladeBase.name, kMiniLmL6.name, kModernBase.name,
      kModernFull.name, kNomicMoe.name, kDebertaBase.name, kVitBase.name, kVitLarge.name,
      kDinoSmall.name, kDino3Small.name, kSwinTiny.name, kSwinV2Tiny.name);
  return 2;
} catch (const std::exception& e) {
  fmt::print(stderr, "random_checkpoint: {}\n", e.what());
  return 1;
}
