// SPDX-License-Identifier: Apache-2.0
// Checkpoints that PyTorch itself wrote (scripts/make_torch_files.py), and what tensors may look like.
#include "runtime/weights/torch_file.hpp"

#include <gmock/gmock.h>

#include "tests/runtime/weights/files.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

const std::filesystem::path kFolder = TESSERA_SOURCE_DIR "/tests/data/torch";

template <class T>
std::vector<T> values(const TorchFile& file, const char* name, StoredType type,
                      const std::vector<std::int64_t>& shape) {
  const StoredTensor* tensor = file.find(name);
  EXPECT_NE(tensor, nullptr) << name;
  if (tensor == nullptr) return {};
  EXPECT_STREQ(to_string(tensor->type), to_string(type)) << name;
  EXPECT_EQ(tensor->shape, shape) << name;
  std::vector<T> result(static_cast<std::size_t>(tensor->elements()));
  EXPECT_EQ(tensor->bytes, result.size() * sizeof(T)) << name;
  if (tensor->bytes == result.size() * sizeof(T) && !result.empty()) {
    std::memcpy(result.data(), tensor->data, tensor->bytes);
  }
  return result;
}

bool is_in_place(const TorchFile& file, const char* name) {
  const auto bytes = file.file().bytes();
  const std::byte* data = file.find(name)->data;
  return data >= bytes.data() && data <= bytes.data() + bytes.size();
}

class WrittenByTorchTest : public testing::TestWithParam<const char*> {};

TEST_P(WrittenByTorchTest, GivesNamesShapesTypesAndValues) {
  const TorchFile file = TorchFile::open(kFolder / GetParam());
  EXPECT_THAT(file.tensors(), SizeIs(17));
  using enum StoredType;
  EXPECT_THAT(values<float>(file, "weight", f32, {2, 3}), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(values<float>(file, "bias", f32, {2}), ElementsAre(0.5F, -1.5F));
  EXPECT_THAT(values<float>(file, "row", f32, {3}), ElementsAre(3, 4, 5));
  EXPECT_THAT(values<float>(file, "transposed", f32, {3, 2}), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(values<std::uint16_t>(file, "half", f16, {3}), ElementsAre(0x3C00, 0xC000, 0x3400));
  EXPECT_THAT(values<std::uint16_t>(file, "bfloat16", bf16, {3}),
              ElementsAre(0x3F80, 0xC000, 0x3E80));
  EXPECT_THAT(values<double>(file, "double", f64, {1}), ElementsAre(0.1));
  EXPECT_THAT(values<std::int64_t>(file, "long", i64, {1, 4}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(values<std::int32_t>(file, "int", i32, {1, 1}), ElementsAre(7));
  EXPECT_THAT(values<std::uint8_t>(file, "byte", u8, {1}), ElementsAre(200));
  EXPECT_THAT(values<std::uint8_t>(file, "bool", boolean, {2}), ElementsAre(1, 0));
  EXPECT_THAT(values<float>(file, "scalar", f32, {}), ElementsAre(2.5F));
  EXPECT_THAT(values<float>(file, "empty", f32, {0, 3}), ElementsAre());
  EXPECT_THAT(values<float>(file, "expanded", f32, {3}), ElementsAre(4, 4, 4));
  EXPECT_THAT(values<float>(file, "parameter", f32, {2}), ElementsAre(8, 9));
  EXPECT_NE(file.find("empty")->data, nullptr);
  EXPECT_EQ(file.find("_metadata"), nullptr) << "an attribute of the dict";
}

TEST_P(WrittenByTorchTest, RowMajorTensorsAreReadInPlaceAndTiedOnesAreOne) {
  const TorchFile file = TorchFile::open(kFolder / GetParam());
  EXPECT_TRUE(is_in_place(file, "weight"));
  EXPECT_TRUE(is_in_place(file, "long")) << "strides of extents of 1 say nothing";
  EXPECT_EQ(file.find("tied")->data, file.find("weight")->data);
  EXPECT_EQ(file.find("row")->data, file.find("weight")->data + 12);
  EXPECT_FALSE(is_in_place(file, "transposed"));
  EXPECT_EQ(file.find("tied_transposed")->data, file.find("transposed")->data);
}

TEST_P(WrittenByTorchTest, MovingKeepsTensorsWhereTheyAre) {
  TorchFile file = TorchFile::open(kFolder / GetParam());
  const StoredTensor* transposed = file.find("transposed");
  const std::byte* data = transposed->data;
  const TensorFile moved = std::move(file);
  EXPECT_EQ(moved.find("transposed"), transposed);
  EXPECT_EQ(transposed->data, data);
}

INSTANTIATE_TEST_SUITE_P(Forms, WrittenByTorchTest, testing::Values("zip.bin", "legacy.bin"),
                         [](const auto& p) { return p.index == 0 ? "Zip" : "Legacy"; });

TEST(TorchFileTest, PlainDictsWrappedOnesAndZipFilesOfOthersAreRead) {
  for (const char* name : {"dict.bin", "dict_legacy.bin", "wrapped.pt", "rezipped.bin"}) {
    const TorchFile file = TorchFile::open(kFolder / name);
    EXPECT_THAT(file.tensors(), SizeIs(1)) << name;
    EXPECT_THAT(values<float>(file, "w", StoredType::f32, {2, 2}), ElementsAre(1, 2, 3, 4)) << name;
  }
}

TEST(TorchFileTest, WhatIsNoStateDictIsRefusedByName) {
  const auto refusal = [](const char* name) {
    return message_of(ErrorCode::unsupported_model, [&] { TorchFile::open(kFolder / name); });
  };
  EXPECT_THAT(refusal("torchscript.pt"), HasSubstr("TorchScript"));
  EXPECT_THAT(
      refusal("compressed.bin"),
      HasSubstr("member \"dict/data.pkl\" of the zip file is compressed (method 8), expected "
                "method 0"));
  EXPECT_THAT(refusal("big_endian.bin"),
              HasSubstr("its byteorder is \"big\", expected \"little\""));
  EXPECT_THAT(refusal("whole_model.pt"),
              HasSubstr("the global is \"torch.nn.modules.linear.Linear\", expected one of "));
  EXPECT_THAT(refusal("protocol4.bin"), HasSubstr("the pickle has protocol 4, expected 2"));
}

class TorchTensorTest : public testing::Test {
 protected:
  TorchFile open(const std::string& value, const std::vector<std::string>& storages) {
    write_text(path_, torch_zip(value, storages));
    return TorchFile::open(path_);
  }
  std::string refusal(const std::string& value, ErrorCode code = ErrorCode::corrupt_file) {
    const std::string message =
        message_of(code, [&] { open(value, {bytes_of(1.0F) + bytes_of(2.0F)}); });
    EXPECT_THAT(message, HasSubstr(path_.string() + ": "));
    EXPECT_THAT(message, HasSubstr("expected"));
    return message;
  }
  /// Of a storage of two elements.
  std::string refusal_of_tensor(std::int64_t offset, const std::string& sizes,
                                const std::string& strides,
                                ErrorCode code = ErrorCode::corrupt_file) {
    return refusal(p_dict({{"w", p_tensor(p_storage("0", 2), offset, sizes, strides)}}), code);
  }
  TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_ / "x.bin";
};

TEST_F(TorchTensorTest, MustLieInItsStorage) {
  const char* const outside = "lead out of its storage, expected 2 elements at most";
  EXPECT_THAT(refusal_of_tensor(0, p_ints({3}), p_ints({1})), HasSubstr(outside));
  EXPECT_THAT(refusal_of_tensor(1, p_ints({2}), p_ints({1})), HasSubstr(outside));
  EXPECT_THAT(refusal_of_tensor(2, p_ints({}), p_ints({})), HasSubstr(outside));
  EXPECT_THAT(refusal_of_tensor(-1, p_ints({1}), p_ints({1})), HasSubstr(outside));
  EXPECT_THAT(refusal_of_tensor(3, p_ints({0}), p_ints({1})), HasSubstr(outside));
  EXPECT_THAT(refusal_of_tensor(0, p_ints({2}), p_ints({INT64_MAX})), HasSubstr(outside));
  EXPECT_THAT(refusal_of_tensor(0, p_ints({2, 2}), p_ints({INT64_MAX, INT64_MAX})),
              HasSubstr(outside));
}

TEST_F(TorchTensorTest, ShapesAreChecked) {
  EXPECT_THAT(refusal_of_tensor(0, p_ints({1, 1}), p_ints({1})), HasSubstr("differ in length"));
  EXPECT_THAT(refusal_of_tensor(0, p_ints({-1}), p_ints({1})), HasSubstr("the integer -1"));
  EXPECT_THAT(refusal_of_tensor(0, p_ints({1}), p_ints({-1})), HasSubstr("the integer -1"));
  EXPECT_THAT(refusal_of_tensor(0, p_text("x"), p_ints({1})), HasSubstr("its size is the text"));
  EXPECT_THAT(refusal_of_tensor(0, p_ints(std::vector<std::int64_t>(65, 1)),
                                p_ints(std::vector<std::int64_t>(65, 1))),
              HasSubstr("a tuple of 65"));
  EXPECT_THAT(refusal_of_tensor(0, p_ints({0, INT64_MAX, 4}), p_ints({1, 1, 1})),
              HasSubstr("larger than any memory"));
}

TEST_F(TorchTensorTest, CopiesOfStridedTensorsAreNoLargerThanTheFile) {
  EXPECT_THAT(
      refusal_of_tensor(0, p_ints({1'000'000'000'000}), p_ints({0}), ErrorCode::unsupported_model),
      HasSubstr("its rows take 4000000000000 bytes"));
}

TEST_F(TorchTensorTest, StoragesMustBeThereAndBeOfOneType) {
  const auto two = [&](const std::string& a, const std::string& b) {
    return refusal(p_dict({{"a", p_tensor(a, 0, p_ints({1}), p_ints({1}))},
                           {"b", p_tensor(b, 0, p_ints({1}), p_ints({1}))}}));
  };
  EXPECT_THAT(two(p_storage("0", 2), p_storage("7", 2)),
              HasSubstr("storage \"7\" is missing, expected the member \"archive/data/7\""));
  EXPECT_THAT(two(p_storage("0", 2), p_storage("0", 4, "Half")),
              HasSubstr("storage \"0\" is 2 of F32 and 4 of F16"));
  EXPECT_THAT(two(p_storage("0", 3), p_storage("0", 3)),
              HasSubstr("storage \"0\" has 8 bytes, expected 12 for 3 elements of F32"));
  EXPECT_THAT(two(p_storage("0", INT64_MAX), p_storage("0", INT64_MAX)), HasSubstr("2^63 bits"));
  EXPECT_THAT(two(p_storage("0", -1), p_storage("0", -1)), HasSubstr("has -1 elements"));
  EXPECT_THAT(two(p_tuple({p_text("storage")}) + "Q", ""), HasSubstr("a persistent id is"));
}

TEST_F(TorchTensorTest, NamesAreTextsAndUnique) {
  const std::string w = p_tensor(p_storage("0", 2), 0, p_ints({2}), p_ints({1}));
  EXPECT_THAT(refusal(p_dict({{"w", w}, {"w", w}})),
              HasSubstr("tensor \"w\": the name occurs twice"));
  EXPECT_THAT(refusal(std::string("}") + p_int(5) + w + "s"),
              HasSubstr("a tensor's name is the integer 5"));
}

TEST_F(TorchTensorTest, AFileHoldsOneDictOfTensors) {
  const std::string w = p_tensor(p_storage("0", 2), 0, p_ints({2}), p_ints({1}));
  const std::string inner = p_dict({{"w", w}});
  EXPECT_NE(open(p_dict({{"model", inner}, {"x", "N"}}), {std::string(8, '\0')}).find("w"),
            nullptr);
  EXPECT_NE(open(p_dict({{"w", w}, {"model", inner}}), {std::string(8, '\0')}).find("w"), nullptr);
  EXPECT_THAT(refusal(p_dict({{"model", inner}, {"state_dict", inner}})), HasSubstr("2 dicts"));
  EXPECT_THAT(refusal(p_dict({{"other", inner}})), HasSubstr("0 dicts called state_dict"));
  EXPECT_THAT(refusal(p_dict({{"model", "}"}})), HasSubstr("holds no tensor"));
  EXPECT_THAT(refusal("}"), HasSubstr("its dict of 0 entries"));
  EXPECT_THAT(refusal(w), HasSubstr("it holds an object of torch._utils._rebuild_tensor_v2"));
  EXPECT_THAT(refusal("N"), HasSubstr("it holds None"));
}

}  // namespace
}  // namespace tessera
