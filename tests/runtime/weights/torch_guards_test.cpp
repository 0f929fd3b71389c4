// SPDX-License-Identifier: Apache-2.0
// What would give wrong numbers if it were not refused: parts of PyTorch's checkpoints that say "read
// these bytes another way".
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "runtime/weights/torch_file.hpp"
#include "tests/runtime/weights/files.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera {
namespace {

using namespace test;
using testing::HasSubstr;

const std::string kTrue = "\x88", kFalse = "\x89", kNone = "N";
const std::string kTwoFloats(8, 'x');

/// A tensor (2) of storage "0", with more arguments of _rebuild_tensor_v2.
std::string tensor(const std::string& storage, const std::string& metadata = {}) {
  return p_global("torch._utils", "_rebuild_tensor_v2") +
         p_tuple({storage, p_int(0), p_ints({2}), p_ints({1}), kFalse, "}", metadata}) + "R";
}

std::string storage(const std::string& view = {}) {
  return p_tuple({p_text("storage"), p_global("torch", "FloatStorage"), p_text("0"), p_text("cpu"),
                  p_int(2), view}) +
         "Q";
}

/// The form of before 1.6.
struct Legacy {
  std::string version = p_int(1001), little_endian = kTrue, view = kNone;
  std::int64_t elements = 2;

  std::string text() const {
    using namespace std::string_literals;
    return "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19."s + pickle_of(version) +
           pickle_of(p_dict({{"little_endian", little_endian}})) +
           pickle_of(p_dict({{"w", tensor(storage(view))}})) + pickle_of("](" + p_text("0") + "e") +
           bytes_of(elements) + kTwoFloats;
  }
};

class TorchGuardsTest : public testing::Test {
 protected:
  void accept(const std::string& text) {
    write_text(path, text);
    EXPECT_EQ(TorchFile::open(path).tensors().size(), 1U);
  }
  std::string refusal(ErrorCode code, const std::string& text) {
    write_text(path, text);
    return message_of(code, [&] { TorchFile::open(path); });
  }

  TemporaryDirectory folder;
  std::filesystem::path path = folder / "x.bin";
};

constexpr auto kCorrupt = ErrorCode::corrupt_file, kUnsupported = ErrorCode::unsupported_model;

TEST_F(TorchGuardsTest, ConjugateAndNegativeViewsAreRefused) {
  const auto with = [](const std::string& metadata) {
    return torch_zip(p_dict({{"w", tensor(storage(), metadata)}}), {kTwoFloats});
  };
  accept(with(""));
  accept(with(kNone));
  accept(with("}"));
  EXPECT_THAT(refusal(kUnsupported, with(p_dict({{"neg", kTrue}}))),
              HasSubstr("its metadata are a dict of 1, expected none"));
}

TEST_F(TorchGuardsTest, LegacyStoragesThatAreReadAnotherWayAreRefused) {
  accept(Legacy{}.text());
  EXPECT_THAT(
      refusal(kUnsupported, Legacy{.view = p_tuple({p_text("0"), p_int(1), p_int(1)})}.text()),
      HasSubstr("is a view of another one"));
  EXPECT_THAT(refusal(kUnsupported, Legacy{.little_endian = kFalse}.text()),
              HasSubstr("little_endian"));
  EXPECT_THAT(refusal(kUnsupported, Legacy{.little_endian = p_int(1)}.text()),
              HasSubstr("little_endian"));
  EXPECT_THAT(refusal(kCorrupt, Legacy{.version = p_int(1002)}.text()), HasSubstr("1001"));
  EXPECT_THAT(refusal(kCorrupt, Legacy{.elements = 1}.text()),
              HasSubstr("says 1 elements, expected 2"));
}

TEST_F(TorchGuardsTest, APickleThatItsChecksumDoesNotFitIsRefused) {
  std::string text = torch_zip(p_dict({{"name", tensor(storage())}}), {kTwoFloats});
  accept(text);
  text[text.find("name")] = 'N';  // a good pickle of another tensor
  EXPECT_THAT(refusal(kCorrupt, text), HasSubstr("data.pkl has the checksum"));
}

TEST_F(TorchGuardsTest, CopiesOfManyViewsTogetherTakeNoMoreThanTheFile) {
  // One storage of 1000 floats; each view is 20 x 20 by columns, another offset each.
  const auto views = [](int count) {
    std::string dict = "}";
    for (int i = 0; i < count; ++i) {
      dict += p_text(fmt::format("w{}", i)) +
              p_tensor(p_storage("0", 1000), i, p_ints({20, 20}), p_ints({1, 20})) + "s";
    }
    return torch_zip(dict, {std::string(4000, 'x')});
  };
  write_text(path, views(2));
  EXPECT_EQ(TorchFile::open(path).tensors().size(), 2U);
  EXPECT_THAT(refusal(kUnsupported, views(40)), HasSubstr("that remain of the file's size"));
}

}  // namespace
}  // namespace tessera
