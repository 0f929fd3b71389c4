// SPDX-License-Identifier: Apache-2.0
// tessera verify: what is recorded is verified, what was changed is named, and nothing passes in silence.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <utility>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kDemo = TESSERA_SOURCE_DIR "/models/demo/";

/// A safetensors file that can be changed and written again.
struct Tensors {
  struct Tensor {
    StoredType type;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string, std::less<>> metadata;

  explicit Tensors(const std::filesystem::path& path) {
    const SafetensorsFile file = SafetensorsFile::open(path);
    metadata = file.metadata();
    for (const StoredTensor& t : file.tensors()) {
      tensors[t.name] = {t.type, t.shape, {t.data, t.data + t.bytes}};
    }
  }
  void write(const std::filesystem::path& path) const {
    std::vector<TensorToWrite> out;
    for (const auto& [name, t] : tensors) {
      out.push_back({.name = name, .type = t.type, .shape = t.shape, .data = t.bytes});
    }
    write_safetensors(path, out, metadata);
  }
  template <class T>
  void set(const std::string& name, std::size_t index, T value) {
    std::memcpy(tensors.at(name).bytes.data() + index * sizeof value, &value, sizeof value);
  }
};

class VerifyTest : public CliTest {
 protected:
  CommandResult recorded(const std::string& flags = "") {
    return tessera("verify model --record -o vectors.st " + flags);
  }
  /// The vectors of "model", changed.
  CommandResult verified_after(const std::function<void(Tensors&)>& change,
                               const std::string& flags = "") {
    EXPECT_EQ(recorded("--force").status, 0);
    Tensors vectors(path("vectors.st"));
    change(vectors);
    vectors.write(path("vectors.st"));
    return tessera("verify model --against vectors.st " + flags);
  }
  void expect_refusal(const CommandResult& result, int status, const std::string& part) {
    EXPECT_EQ(result.status, status);
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_THAT(result.out, Not(HasSubstr("\nverified")));
  }
};

TEST_F(VerifyTest, ShippedCheckpointsAreThoseOfTheReferenceAtEveryLevelAndPrecision) {
  for (const char* model :
       {"text", "text-sections", "text-ternary", "text-sections-ternary", "vision"}) {
    const CommandResult result = tessera("verify " + kDemo + model);
    EXPECT_EQ(result.status, 0) << model << "\n" << result.out << result.err;
    EXPECT_THAT(result.out, AllOf(HasSubstr("NumPy, float64"), HasSubstr("good baseline    fp32"),
                                  HasSubstr("good baseline    int8"), HasSubstr("\nverified\n"),
                                  Not(HasSubstr("OFF")), Not(HasSubstr("not in the file"))))
        << model;
  }
}

TEST_F(VerifyTest, WhatIsRecordedIsVerified) {
  const CommandResult record = tessera("verify model --record");
  EXPECT_EQ(record.status, 0) << record.err;
  EXPECT_EQ(record.out, "model/verify.safetensors: recorded\n");
  const CommandResult result = tessera("verify model");
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("tokens   3: every text"), HasSubstr("\nverified\n")));
  EXPECT_THAT(temporaries(), IsEmpty());
  expect_refusal(tessera("verify model --record"), 1, "model/verify.safetensors: is there");
  EXPECT_EQ(tessera("verify model --record --force").status, 0);
}

TEST_F(VerifyTest, WithoutVectorsNothingIsVerified) {
  expect_refusal(tessera("verify model"), 1, "nothing was verified");
  expect_refusal(tessera("verify model --against missing.st"), 1, "missing.st");
}

TEST_F(VerifyTest, OneFlippedWeightIsNamedWithItsLayer) {
  std::filesystem::copy(kDemo + "text", path("demo"), std::filesystem::copy_options::recursive);
  Tensors weights(path("demo/model.safetensors"));
  const std::string name = "encoder.layer.2.output.dense.weight";
  ASSERT_EQ(weights.tensors.at(name).type, StoredType::f16);
  std::uint16_t bits = 0;
  std::memcpy(&bits, weights.tensors.at(name).bytes.data() + 2 * 1000, sizeof bits);
  weights.set(name, 1000,
              static_cast<std::uint16_t>(bits ^ 0x4000U));  // the highest of the exponent
  weights.write(path("demo/model.safetensors"));
  const CommandResult result = tessera("verify demo");
  expect_refusal(result, 1, "demo: is not verified");
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("OFF  " + name + ": its bytes are others"),
                    HasSubstr("the first that is off: hidden_states.3, which layer.2.out writes"),
                    HasSubstr("NOT verified")));
  // By the states alone, too.
  Tensors vectors(path("demo/verify.safetensors"));
  vectors.metadata.erase("weights");
  vectors.write(path("states.st"));
  const CommandResult states = tessera("verify demo --against states.st --precision fp32");
  expect_refusal(states, 1, "is not verified");
  EXPECT_THAT(states.out, AllOf(HasSubstr("weights  not in the file: not compared"),
                                HasSubstr("the first that is off: hidden_states.3")));
}

// One that no text reads changes no state: the checksum sees it.
TEST_F(VerifyTest, AWeightThatNothingReadsIsNamed) {
  ASSERT_EQ(tessera("verify model --record").status, 0);
  Tensors weights(path("model/model.safetensors"));
  const auto table = std::find_if(weights.tensors.begin(), weights.tensors.end(), [](auto& each) {
    return each.first.ends_with("word_embeddings.weight");
  });
  ASSERT_NE(table, weights.tensors.end());
  table->second.bytes.back() ^= std::byte{1};
  weights.write(path("model/model.safetensors"));
  const CommandResult result = tessera("verify model");
  expect_refusal(result, 1, "is not verified");
  EXPECT_THAT(result.out, AllOf(HasSubstr("OFF  " + table->first), Not(HasSubstr("first that"))));
}

TEST_F(VerifyTest, WhatWasChangedIsOff) {
  const auto off = [&](const std::string& part, const std::function<void(Tensors&)>& change) {
    const CommandResult result = verified_after(change);
    expect_refusal(result, 1, "is not verified");
    EXPECT_THAT(result.out, HasSubstr(part));
  };
  off("the first that is off: hidden_states.0",
      [](Tensors& v) { v.set("hidden_states.0", 0, 100.0F); });
  off("the first that is off: embedding",
      [](Tensors& v) { v.set("embedding", 1, std::numeric_limits<float>::quiet_NaN()); });
  off("texts are cut at", [](Tensors& v) { v.metadata["max_tokens"] = "7"; });
  off("got the token types", [](Tensors& v) { v.set("token_type_ids", 1, std::int64_t{1}); });
  off("text 1: got the tokens",
      [](Tensors& v) { v.metadata["texts"] = R"(["tea", "something else", "and else"])"; });
  off("not.there: is not in the checkpoint any more",
      [](Tensors& v) { v.metadata["weights"].insert(1, R"("not.there":"00",)"); });
  off(": was not in the checkpoint",
      [](Tensors& v) { v.metadata["weights"] = R"({"not.there":"00"})"; });
}

TEST_F(VerifyTest, PixelsThatChangedAreOff) {
  Tensors vectors(kDemo + "vision/verify.safetensors");
  vectors.tensors.at("image.0").bytes[0] ^= std::byte{0x80};
  vectors.write(path("pixels.st"));
  const CommandResult result = tessera("verify " + kDemo + "vision --against pixels.st");
  expect_refusal(result, 1, "is not verified");
  EXPECT_THAT(result.out, AllOf(HasSubstr("OFF  image 0: pixels are off by"),
                                Not(HasSubstr("the first that is off"))));
  vectors.tensors["image.1"] = vectors.tensors.at("image.0");
  vectors.write(path("pixels.st"));
  expect_refusal(tessera("verify " + kDemo + "vision --against pixels.st"), 1,
                 "got image.1, expected at most image.0");
}

TEST_F(VerifyTest, WhatCannotBeComparedIsAnError) {
  const auto refused = [&](const std::string& part, const std::function<void(Tensors&)>& change) {
    expect_refusal(verified_after(change), 1, part);
  };
  refused("tensor \"hidden_states.99\" is no output of",
          [](Tensors& v) { v.tensors["hidden_states.99"] = v.tensors.at("hidden_states.0"); });
  refused("has shape", [](Tensors& v) {
    auto& t = v.tensors.at("embedding");
    t.shape = {1, t.shape[0] * t.shape[1]};
  });
  refused("expected F32 or F64", [](Tensors& v) {
    v.tensors["logits"] = {StoredType::i32, {1}, std::vector<std::byte>(4)};
  });
  refused("got no outputs", [](Tensors& v) {
    std::erase_if(v.tensors, [](const auto& each) {
      return each.first != "input_ids" && each.first != "attention_mask";
    });
  });
  refused("got image.0, but no tensor \"pixel_values\"", [](Tensors& v) {
    v.tensors["image.0"] = {StoredType::u8, {1, 1, 3}, std::vector<std::byte>(3)};
  });
  refused("got no tensor \"input_ids\"", [](Tensors& v) { v.tensors.erase("input_ids"); });
  refused("\"texts\" has 1, expected 3", [](Tensors& v) { v.metadata["texts"] = "[\"tea\"]"; });
  refused("metadata \"texts\": got 7", [](Tensors& v) { v.metadata["texts"] = "7"; });
  refused("metadata \"texts\": got [1]", [](Tensors& v) { v.metadata["texts"] = "[[1]]"; });
  refused("metadata \"texts\"", [](Tensors& v) { v.metadata["texts"] = "[\"tea\""; });
  refused("metadata \"texts\": got none", [](Tensors& v) { v.metadata["texts"] = "[]"; });
  refused("metadata \"weights\": got none", [](Tensors& v) { v.metadata["weights"] = "{}"; });
  refused("metadata \"max_tokens\": got 0", [](Tensors& v) { v.metadata["max_tokens"] = "0"; });
  refused("metadata \"max_tokens\"", [](Tensors& v) { v.metadata["max_tokens"] = "many"; });
  refused("metadata \"weights\": got []", [](Tensors& v) { v.metadata["weights"] = "[]"; });
  refused("metadata \"precision\": got \"fp8\"",
          [](Tensors& v) { v.metadata["precision"] = "fp8"; });
}

// A cosine does not see lengths, and the largest number does not see the rows beside one large channel.
TEST_F(VerifyTest, LengthsAndSmallChannelsAreSeen) {
  const auto values = [](Tensors& v, const std::string& name) {
    std::vector<float> all(v.tensors.at(name).bytes.size() / sizeof(float));
    std::memcpy(all.data(), v.tensors.at(name).bytes.data(), v.tensors.at(name).bytes.size());
    return all;
  };
  for (const char* precision : {"fp32", "bf16", "int8"}) {
    const CommandResult longer = verified_after(
        [&](Tensors& v) {
          std::vector<float> all = values(v, "embedding");
          for (std::size_t i = 0; i < all.size(); ++i) v.set("embedding", i, 4 * all[i]);
        },
        fmt::format("--isa baseline --precision {}", precision));
    expect_refusal(longer, 1, "is not verified");
    EXPECT_THAT(longer.out, HasSubstr("the first that is off: embedding")) << precision;
  }
  // Every number of a row by 2e-5 of the largest: below the bound of that, but the row is turned.
  const CommandResult hidden = verified_after(
      [&](Tensors& v) {
        std::vector<float> all = values(v, "hidden_states.0");
        const auto width = static_cast<std::size_t>(v.tensors.at("hidden_states.0").shape[2]);
        float most = 0;
        for (const float x : all) most = std::max(most, std::abs(x));
        for (std::size_t i = 0; i < width; ++i) v.set("hidden_states.0", i, all[i] + 2e-5F * most);
      },
      "--isa baseline --precision fp32");
  expect_refusal(hidden, 1, "is not verified");
  EXPECT_THAT(hidden.out, HasSubstr("the first that is off: hidden_states.0"));
  const CommandResult tolerated =
      tessera("verify model --against vectors.st --isa baseline --precision fp32 --tolerance 1e9");
  EXPECT_EQ(tolerated.status, 0) << tolerated.out;
}

TEST_F(VerifyTest, TheLevelThatTheEnvironmentAllowsIsTheHighest) {
  ASSERT_EQ(recorded().status, 0);
  const CommandResult low =
      sh("TESSERA_ISA=baseline \"$TESSERA\" verify model --against vectors.st");
  EXPECT_EQ(low.status, 0) << low.err;
  EXPECT_THAT(low.out, AllOf(HasSubstr("good baseline"), Not(HasSubstr("good avx")),
                             HasSubstr("none avx2: TESSERA_ISA is baseline")));
  expect_refusal(sh("TESSERA_ISA=bogus \"$TESSERA\" verify model --against vectors.st"), 1,
                 "bogus");
}

TEST_F(VerifyTest, MaskedRowsAreNotCompared) {
  const CommandResult result = verified_after([](Tensors& v) {
    const auto& shape = v.tensors.at("hidden_states.0").shape;
    const auto last = static_cast<std::size_t>(shape[1]) - 1;  // of text 0, which is shorter
    v.set("hidden_states.0", last * static_cast<std::size_t>(shape[2]), 1e6F);
  });
  EXPECT_EQ(result.status, 0) << result.out << result.err;
}

TEST_F(VerifyTest, VectorsOfAnotherPrecisionSayNothingAboutThisOne) {
  ASSERT_EQ(recorded("--precision int8").status, 0);
  const CommandResult result = tessera("verify model --against vectors.st");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("recorded in int8"), Not(HasSubstr(" fp32  off")),
                                HasSubstr("int8  off")));
  expect_refusal(tessera("verify model --against vectors.st --precision fp32"), 1,
                 "holds outputs of int8, which say nothing about fp32: expected --precision int8");
}

TEST_F(VerifyTest, ChoicesNarrowWhatIsRun) {
  ASSERT_EQ(recorded().status, 0);
  const CommandResult one =
      tessera("verify model --against vectors.st --isa baseline --precision bf16");
  EXPECT_EQ(one.status, 0) << one.err;
  EXPECT_THAT(one.out, AllOf(HasSubstr("good baseline    bf16"), Not(HasSubstr("good avx")),
                             Not(HasSubstr("int8"))));
  const CommandResult json =
      tessera("verify model --against vectors.st --isa baseline --precision fp32 --json");
  EXPECT_EQ(json.status, 0);
  EXPECT_THAT(json.out, AllOf(HasSubstr(R"("is_good":true)"), HasSubstr(R"("isa":"baseline")"),
                              HasSubstr(R"("first_off":null)")));
  const CommandResult strict = tessera("verify model --against vectors.st --tolerance 1e-12");
  EXPECT_EQ(tessera("verify model --against vectors.st --tolerance 2").status, 0);
  expect_refusal(strict, 1, "is not verified");
}

TEST_F(VerifyTest, WordsOfOneKindAreNotForTheOther) {
  expect_refusal(tessera("verify model --texts lines.txt"), 2, "--texts: got it without --record");
  expect_refusal(tessera("verify model --force"), 2, "--force: got it without --record");
  expect_refusal(tessera("verify model -o x"), 2, "--record");
  for (const char* tolerance : {"0", "-1", "nan", "inf", "much"}) {
    expect_refusal(tessera(std::string("verify model --tolerance=") + tolerance), 2,
                   "expected a number above 0");
  }
  expect_refusal(tessera("verify model --precision auto"), 2, "expected fp32, bf16 or int8");
  expect_refusal(tessera("verify model --record --images a.png"), 2,
                 "--images: got a model of texts");
  expect_refusal(tessera("verify " + kDemo + "vision --record --texts a -o x.st"), 2,
                 "--texts: got a model of images");
  expect_refusal(tessera("verify model --record -o model/config.json"), 2, "model/config.json");
  expect_refusal(tessera("verify model --record --json"), 2, "--json: got it with --record");
  ASSERT_EQ(recorded().status, 0);
  file("lines.txt", "alpha\n");
  expect_refusal(tessera("verify model --record --against vectors.st --texts lines.txt -o new.st"),
                 2, "has its own, expected none");
  expect_refusal(tessera("verify model --record --against vectors.st --images a.png -o new.st"), 2,
                 "--images: got it with --against");
  EXPECT_FALSE(std::filesystem::exists(path("new.st")));
}

TEST_F(VerifyTest, OwnTextsAreRecorded) {
  file("lines.txt", "alpha\nbeta gamma\n");
  ASSERT_EQ(recorded("--texts lines.txt").status, 0);
  EXPECT_EQ(Tensors(path("vectors.st")).metadata.at("texts"), R"(["alpha","beta gamma"])");
  file("none.txt", "");
  expect_refusal(recorded("--force --texts none.txt"), 1, "none.txt has no lines");
  EXPECT_EQ(Tensors(path("vectors.st")).metadata.at("texts"), R"(["alpha","beta gamma"])");
}

TEST_F(VerifyTest, TheReferencesTensorsAreRecordedIfTheyAreComputed) {
  ASSERT_EQ(recorded().status, 0);
  Tensors reference(path("vectors.st"));
  const auto recorded_here = std::exchange(reference.metadata, {});
  reference.metadata = {{"texts", recorded_here.at("texts")}, {"weights", R"({"old":"00"})"}};
  reference.write(path("reference.st"));
  const CommandResult result = tessera("verify model --record --against reference.st");
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  const Tensors written(path("model/verify.safetensors"));
  for (const char* key : {"texts", "weights", "max_tokens"}) {  // of this model, and today
    EXPECT_EQ(written.metadata.at(key), recorded_here.at(key));
  }
  EXPECT_EQ(written.tensors.size(), reference.tensors.size());
  reference.set("embedding", 0, 9.0F);
  reference.write(path("reference.st"));
  expect_refusal(tessera("verify model --record --force --against reference.st"), 1,
                 "nothing is recorded");
  EXPECT_EQ(tessera("verify model").status, 0);
}

// Inputs and outputs in one file, as the reference wrote them: two towers and what is between them, maps
// whose channels come first, images of another size, choices, one number for a token, padding on the left.
TEST_F(VerifyTest, TheReferencesTensorsOfOtherFamiliesAreVerified) {
  const std::pair<const char*, const char*> kRuns[] = {{"clip-full", ""},
                                                       {"siglip-full", ""},
                                                       {"swin-model", ""},
                                                       {"vit-model", ".interp_wide"},
                                                       {"bert-multiple-choice", ""},
                                                       {"bert-qa", ""},
                                                       {"bert-model", ".left_pad"}};
  for (const auto& [name, run] : kRuns) {
    const std::filesystem::path directory =
        std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/golden/data" / name;
    Tensors all(directory / fmt::format("inputs{}.safetensors", run));
    all.tensors.merge(Tensors(directory / fmt::format("outputs{}.safetensors", run)).tensors);
    all.write(path("all.st"));
    const CommandResult result = tessera("verify " + directory.string() + " --against all.st");
    EXPECT_EQ(result.status, 0) << name << "\n" << result.out << result.err;
    for (const auto& [tensor, _] : all.tensors) {
      if (tensor.starts_with("hidden_states.") || tensor.ends_with("logits_per_text")) {
        EXPECT_THAT(result.out, HasSubstr("\n" + tensor)) << name;
      }
    }
  }
}

// Who ends it leaves nothing behind, and what cannot be written is named as it was given.
TEST_F(VerifyTest, NothingIsLeftBesideWhatIsRecorded) {
  std::filesystem::create_directories(path("out"));
  std::filesystem::create_directories(path("temporary"));
  const CommandResult result =
      sh("TMPDIR=temporary \"$TESSERA\" verify model --record -o out/vectors.st");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(std::filesystem::is_empty(path("temporary")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("out")), {}), 1);
  expect_refusal(tessera("verify model --record -o nowhere/vectors.st"), 1, "nowhere/vectors.st");
  const std::string choices = TESSERA_SOURCE_DIR "/tests/golden/data/bert-multiple-choice";
  std::filesystem::copy(choices, path("choices"));
  std::filesystem::copy(path("model/vocab.txt"), path("choices/vocab.txt"),
                        std::filesystem::copy_options::overwrite_existing);
  expect_refusal(tessera("verify choices --record -o c.st"), 1, "(B,choices,T)");
}

TEST_F(VerifyTest, QuantizedDirectoriesDoNotInheritThem) {
  ASSERT_EQ(tessera("verify model --record").status, 0);
  ASSERT_EQ(tessera("quantize model --out small").status, 0);
  EXPECT_FALSE(std::filesystem::exists(path("small/verify.safetensors")));
}

}  // namespace
}  // namespace tessera::test
