// SPDX-License-Identifier: Apache-2.0
// The reader of PyTorch's checkpoints against files that are cut, changed, or written to do harm: it
// accepts or throws Error, runs nothing, reads nothing outside the file, and takes no memory to speak of.
#include <gmock/gmock.h>

#include "runtime/weights/torch_file.hpp"
#include "runtime/weights/torch_storages.hpp"
#include "tests/runtime/weights/files.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera {
namespace {

using namespace test;
using testing::HasSubstr;

const std::filesystem::path kFolder = TESSERA_SOURCE_DIR "/tests/data/torch";

/// Sums all bytes of all tensors, so that a wrong pointer or size is met by the sanitizers.
std::uint64_t touch(const TorchFile& file) {
  std::uint64_t sum = 0;
  for (const StoredTensor& tensor : file.tensors()) {
    EXPECT_EQ(file.find(tensor.name), &tensor);
    EXPECT_EQ(static_cast<std::uint64_t>(tensor.elements()) *
                  static_cast<std::uint64_t>(bits_of(tensor.type)),
              tensor.bytes * 8);
    for (std::size_t i = 0; i < tensor.bytes; ++i) sum += std::to_integer<unsigned>(tensor.data[i]);
  }
  return sum;
}

class ChangedTorchFileTest : public testing::TestWithParam<const char*> {
 protected:
  bool accepts(const std::string& text) {
    write_text(path_, text);
    try {
      touch(TorchFile::open(path_));
      return true;
    } catch (const Error& e) {
      const bool is_refusal =
          e.code() == ErrorCode::corrupt_file || e.code() == ErrorCode::unsupported_model;
      EXPECT_TRUE(is_refusal) << e.what();
      EXPECT_THAT(e.what(), HasSubstr(path_.string() + ": "));
      EXPECT_THAT(e.what(), HasSubstr("expected"));
      return false;
    }
  }
  const std::string whole_ = read_text(kFolder / GetParam());
  TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_ / "x.bin";
};

TEST_P(ChangedTorchFileTest, EveryTruncationIsRefused) {
  ASSERT_TRUE(accepts(whole_));
  for (std::size_t length = 0; length < whole_.size(); ++length) {
    EXPECT_FALSE(accepts(whole_.substr(0, length))) << length;
  }
  EXPECT_FALSE(accepts(whole_ + '\0'));
}

TEST_P(ChangedTorchFileTest, EveryCutOfTheMappedFileIsAnErrorNotASignal) {
  for (std::size_t length = 0; length < whole_.size(); length += 7) {
    write_text(path_, whole_);
    const MappedFile file = MappedFile::open(path_);
    std::filesystem::resize_file(path_, length);
    try {
      const TorchContent content = read_torch_content(file, path_.string());
      for (const auto& [key, storage] : content.storages) {
        for (std::size_t at = 0; at < storage.data.size(); ++at) {
          std::byte byte{};
          file.read(storage.data.subspan(at, 1), &byte);
        }
      }
      ADD_FAILURE() << "accepted at " << length << " bytes";  // its last bytes are gone
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::corrupt_file) << e.what();
      EXPECT_THAT(e.what(), HasSubstr(path_.string()));
      EXPECT_THAT(e.what(), HasSubstr("changed while it is read"));
    }
  }
}

TEST_P(ChangedTorchFileTest, EveryChangeOfOneByteIsAcceptedOrRefusedCleanly) {
  for (std::size_t at = 0; at < whole_.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xFF, -1, -2}) {
      std::string text = whole_;
      text[at] = static_cast<char>(change == -1 ? 0 : change == -2 ? 0xFF : text[at] ^ change);
      accepts(text);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ChangedTorchFileTest,
                         testing::Values("zip.bin", "legacy.bin", "dict.bin", "dict_legacy.bin",
                                         "wrapped.pt", "rezipped.bin"),
                         [](const auto& p) {
                           std::string name(p.param, std::strchr(p.param, '.'));
                           std::erase(name, '_');
                           return name;
                         });

/// The pickle of dict.bin with each byte changed, under a checksum that is right: the zip file's own
/// checks do not stand in front of the pickle's.
TEST(ChangedPickleTest, EveryValueOfEveryByteIsAcceptedOrRefusedCleanly) {
  const std::string tensor = p_tensor(p_storage("0", 2), 0, p_ints({2}), p_ints({1}));
  const std::string whole =
      p_dict({{"w", tensor},
              {"o", p_global("collections", "OrderedDict") + ")R" + "}" + p_text("m") + "}sb"}});
  const TemporaryDirectory folder;
  const auto path = folder / "x.bin";
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int value = 0; value < 256; value += at % 8 == 0 ? 1 : 5) {
      std::string text = whole;
      text[at] = static_cast<char>(value);
      write_text(path, torch_zip(text, {std::string(8, 'x')}));
      try {
        touch(TorchFile::open(path));
      } catch (const Error& e) {
        ASSERT_THAT(e.what(), HasSubstr("expected"));
      }
    }
  }
}

struct Harm {
  const char* name;
  std::string value;  // between PROTO 2 and STOP
  ErrorCode code;
  std::string message;
};
void PrintTo(const Harm& h, std::ostream* out) {
  *out << h.name;
}

std::string repeated(const std::string& text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

class HarmfulPickleTest : public testing::TestWithParam<Harm> {};

TEST_P(HarmfulPickleTest, IsRefusedByName) {
  const Harm& harm = GetParam();
  const TemporaryDirectory folder;
  const auto path = folder / "x.bin";
  write_text(path, torch_zip(harm.value, {}));
  EXPECT_THAT(message_of(harm.code, [&] { TorchFile::open(path); }), HasSubstr(harm.message));
}

constexpr auto kCorrupt = ErrorCode::corrupt_file, kUnsupported = ErrorCode::unsupported_model;
const char* const kNoCode = "no code of a file is ever run";

INSTANTIATE_TEST_SUITE_P(
    Pickles, HarmfulPickleTest,
    testing::Values(
        Harm{"System", p_global("posix", "system") + p_tuple({p_text("id")}) + "R", kUnsupported,
             "data.pkl at byte 2: the global is \"posix.system\", expected one of "
             "collections.OrderedDict, "},
        Harm{"SystemSaysWhy", p_global("posix", "system"), kUnsupported, kNoCode},
        Harm{"Eval", p_global("__builtin__", "eval"), kUnsupported, "\"__builtin__.eval\""},
        Harm{"Import", p_global("importlib", "import_module"), kUnsupported, "import_module"},
        Harm{"StackGlobal", p_text("posix") + p_text("system") + "\x93", kUnsupported,
             "the operation is STACK_GLOBAL (0x93)"},
        Harm{"Inst", "(iposix\nsystem\n", kUnsupported, "the operation is INST (0x69)"},
        Harm{"Obj", "(o", kUnsupported, "OBJ (0x6F)"},
        Harm{"NewObj", "))\x81", kUnsupported, "NEWOBJ (0x81)"},
        Harm{"Ext", "\x82\x01", kUnsupported, "EXT1 (0x82)"},
        Harm{"Unknown", "\xFF", kUnsupported, "unknown (0xFF)"},
        Harm{"TwoProtocols", "\x80\x02", kUnsupported, "PROTO (0x80)"},
        Harm{"OrderedDictOfArguments",
             p_global("collections", "OrderedDict") + p_tuple({"]"}) + "R", kUnsupported,
             "is applied to 1 arguments"},
        Harm{"GlobalWithoutEnd", "c" + std::string(5000, 'x'), kCorrupt,
             "does not end within 1000"},
        Harm{"HugeText", "X\xFF\xFF\xFF\xFF", kCorrupt, "4294967295 bytes are wanted"},
        Harm{"TextThatIsNone", "X\x01" + std::string(3, '\0') + "\xC0", kCorrupt, "expected UTF-8"},
        Harm{"LongCutShort", "\x8A\xFF", kCorrupt, "255 bytes are wanted"},
        Harm{"HugeElements",
             p_dict({{"w", p_tensor(p_tuple({p_text("storage"), p_global("torch", "FloatStorage"),
                                             p_text("0"), p_text("cpu"),
                                             "\x8A\x10" + std::string(16, '\x7F')}) +
                                        "Q",
                                    0, p_ints({1}), p_ints({1}))}}),
             kCorrupt, "a persistent id is a tuple of 5"},
        Harm{"ManyMarks", std::string(1001, '('), kCorrupt, "more than 1000 marks"},
        Harm{"ManyValues", std::string(200000, 'N'), kCorrupt, "more than 131072 values"},
        Harm{"Pop", "]0", kUnsupported, "POP (0x30)"},
        Harm{"MemoFarAway", std::string("Nr\xFF\xFF\xFF\x7F", 6), kCorrupt,
             "memo entry 2147483647"},
        Harm{"MemoOfNothing", "h\x05", kCorrupt, "memo entry 5 is read"},
        Harm{"PutOfNothing", std::string("q\0", 2), kCorrupt, "0 values are on the stack"},
        Harm{"EmptyStack", "", kCorrupt, "the pickle ends with 0 values"},
        Harm{"TwoValues", "NN", kCorrupt, "the pickle ends with 2 values"},
        Harm{"OpenMark", "N(", kCorrupt, "1 open marks"},
        Harm{"TupleWithoutMark", "Nt", kCorrupt, "no mark is open"},
        Harm{"ReduceBelowTheMark", p_global("torch", "Size") + "()R", kCorrupt, "1 values are on"},
        Harm{"ReduceOfAText", p_text("x") + ")R", kCorrupt,
             "got the text \"x\", expected a global"},
        Harm{"ReduceOfADict", p_global("torch", "Size") + "}R", kCorrupt, "got a dict of 0"},
        Harm{"BuildOfAnObject", p_global("torch", "Size") + ")R}b", kCorrupt,
             "got an object of torch.Size"},
        Harm{"BuildFromAText", "}" + p_text("x") + "b", kCorrupt, "expected a dict of attributes"},
        Harm{"OddPairs", "}(NNNu", kCorrupt, "a dict gets 3 values"},
        Harm{"AppendToADict", "}Na", kCorrupt, "got a dict of 0, expected a list"},
        Harm{"ItemsOfAList", "](NNu", kCorrupt, "got a list of 0, expected a dict"}),
    [](const testing::TestParamInfo<Harm>& p) { return p.param.name; });

/// Pickles that are small and mean much: none may take long, or memory.
TEST(LargePickleTest, ValuesThatAreSharedOrNestedAreNeverUnfolded) {
  const TemporaryDirectory folder;
  const auto path = folder / "x.bin";
  const auto refusal = [&](const std::string& value) {
    write_text(path, torch_zip(value, {}));
    return message_of(kCorrupt, [&] { TorchFile::open(path); });
  };
  // Lists of ten of the list before, sixty deep: 10^60 elements.
  std::string laughs("]q\0", 3);
  for (char i = 1; i < 60; ++i) {
    laughs += std::string("]q") + i + "(" +
              repeated(std::string("h") + static_cast<char>(i - 1), 10) + "e";
  }
  EXPECT_THAT(refusal(std::string("](") + laughs + "e"), HasSubstr("it holds a list of 60"));
  EXPECT_THAT(refusal(")" + std::string(1'000'000, '\x85')), HasSubstr("a tuple of 1"));  // nested
  EXPECT_THAT(refusal(repeated("](", 1000) + "N" + std::string(1000, 'e')),
              HasSubstr("a list of 1"));
  EXPECT_THAT(refusal(std::string("]q\0", 3) + repeated(std::string("h\0a", 3), 1'000'000)),
              HasSubstr("a list of 1000000"));  // holds itself
  EXPECT_THAT(refusal("](" + repeated("}", 1000) + "e" + repeated("(Ne", 3'000'000)),
              HasSubstr("more than 8388608 operations"));
}

}  // namespace
}  // namespace tessera
