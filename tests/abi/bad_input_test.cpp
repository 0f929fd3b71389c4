// SPDX-License-Identifier: Apache-2.0
// What a caller can get wrong: a status, a message with four parts, and nothing written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>
#include <memory>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The call fails with `status`, and the message has each of the words.
tessera_model* const kUntouchedModel = reinterpret_cast<tessera_model*>(std::uintptr_t{16});
tessera_session* const kUntouchedSession = reinterpret_cast<tessera_session*>(std::uintptr_t{16});

tessera_status open_with(const tessera_model_options& options) {
  tessera_model* model = kUntouchedModel;
  const tessera_status status = tessera_model_open(kDemo.c_str(), &options, &model);
  EXPECT_EQ(model, kUntouchedModel);
  return status;
}

tessera_status create_with(const tessera_session_options& options) {
  tessera_session* session = kUntouchedSession;
  const tessera_status status = tessera_session_create(demo().get(), &options, &session);
  EXPECT_EQ(session, kUntouchedSession);
  return status;
}

// One session with two sequences of ids and a buffer that shows every write.
class BadBatchTest : public testing::Test {
 protected:
  BadBatchTest() {
    tokens_.ids = ids_.data();
    tokens_.offsets = offsets_.data();
    tokens_.count = 2;
    output_.data = buffer_.data();
    output_.capacity = buffer_.size();
    buffer_.fill(-7.0F);
  }
  void expect_refused(tessera_status status, const char* part) {
    EXPECT_REFUSED(tessera_encode_ids(session_.get(), &tokens_, nullptr, &output_, 1), status,
                   HasSubstr(part));
    for (const float value : buffer_) ASSERT_EQ(value, -7.0F);
  }

  Session session_{demo(), {.threads = 1, .max_rows = 70}};
  std::array<std::int32_t, 6> ids_{2, 43, 3, 2, 44, 3};
  std::array<std::int64_t, 3> offsets_{0, 3, 6};
  std::array<float, 512> buffer_{};
  tessera_tokens tokens_ = TESSERA_TOKENS_INIT;
  tessera_output output_ = TESSERA_OUTPUT_INIT;
};

TEST_F(BadBatchTest, IsRefusedWithoutAWrite) {
  ids_[4] = 8000;
  expect_refused(TESSERA_INVALID_ARGUMENT, "sequence 1: token id 1 is 8000, expected 0 to 7999");
  ids_[4] = -1;
  expect_refused(TESSERA_INVALID_ARGUMENT, "token id 1 is -1");
  ids_[4] = 44;
  offsets_ = {0, 3, 3};
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.offsets[2] is 3 after 3");
  offsets_ = {0, 6, 3};
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.offsets[2] is 3 after 6");
  offsets_ = {1, 3, 6};
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.offsets[0] is 1, expected 0");
  offsets_ = {0, 3, std::numeric_limits<std::int64_t>::max()};
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.ids has 9223372036854775807 elements");
  offsets_ = {0, 3, 6};
  tokens_.count = std::numeric_limits<std::size_t>::max();
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.count");
  tokens_.count = std::numeric_limits<std::size_t>::max() / 2;
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.offsets has");
  tokens_.count = 2;
  const std::array<std::int32_t, 6> types{0, 0, 2, 0, 0, 0};
  tokens_.types = types.data();
  expect_refused(TESSERA_INVALID_ARGUMENT, "type id 2 is 2, expected 0 to 1");
  tokens_.types = nullptr;
  tokens_.reserved = 1;
  expect_refused(TESSERA_INVALID_ARGUMENT, "tessera_tokens.reserved is 1, expected 0");
  tokens_.reserved = 0;
  EXPECT_EQ(tessera_encode_ids(session_.get(), &tokens_, nullptr, &output_, 1), TESSERA_OK);
}

TEST_F(BadBatchTest, PointersAreLookedAt) {
  const auto off_by_one = [](auto* pointer) {
    return reinterpret_cast<decltype(pointer)>(reinterpret_cast<std::uintptr_t>(pointer) + 1);
  };
  tokens_.ids = nullptr;
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.ids is NULL, expected a pointer");
  tokens_.ids = off_by_one(ids_.data());
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.ids is misaligned, expected a multiple of 4");
  tokens_.ids = ids_.data();
  tokens_.offsets = nullptr;
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.offsets is NULL");
  tokens_.offsets = off_by_one(offsets_.data());
  expect_refused(TESSERA_INVALID_ARGUMENT, "tokens.offsets is misaligned");
  tokens_.offsets = offsets_.data();
  output_.data = nullptr;
  expect_refused(TESSERA_INVALID_ARGUMENT, "outputs[].data is NULL");
  output_.data = off_by_one(buffer_.data());
  expect_refused(TESSERA_INVALID_ARGUMENT, "outputs[].data is misaligned");
  EXPECT_REFUSED(tessera_encode_ids(session_.get(), nullptr, nullptr, &output_, 1),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("tessera_tokens is NULL"));
  EXPECT_REFUSED(tessera_encode_ids(session_.get(), off_by_one(&tokens_), nullptr, &output_, 1),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("tessera_tokens is misaligned"));
  EXPECT_REFUSED(tessera_encode_ids(session_.get(), &tokens_, nullptr, nullptr, 1),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("outputs is NULL"));
}

TEST_F(BadBatchTest, BuffersMustHaveRoom) {
  output_.capacity = 511;
  expect_refused(TESSERA_INVALID_ARGUMENT, "capacity is 511, expected at least 512");
  output_.capacity = 512;
  output_.row_stride = 255;
  expect_refused(TESSERA_INVALID_ARGUMENT, "row_stride is 255, expected at least 256");
  output_.row_stride = -256;
  expect_refused(TESSERA_INVALID_ARGUMENT, "row_stride is -256");
  output_.row_stride = 257;
  expect_refused(TESSERA_INVALID_ARGUMENT, "capacity is 512, expected at least 513");
  output_.row_stride = std::numeric_limits<std::int64_t>::max();
  expect_refused(TESSERA_INVALID_ARGUMENT, "expected at least 2^63");
  output_.row_stride = 0;
  output_.name = "nonsense";
  expect_refused(TESSERA_NOT_FOUND, "output: got \"nonsense\", expected one of last_hidden_state");
  output_.name = "last_hidden_state";
  expect_refused(TESSERA_NOT_FOUND, "the session does not compute \"last_hidden_state\"");
  std::array<tessera_output, 2> twice{output_, output_};
  EXPECT_REFUSED(tessera_encode_ids(session_.get(), &tokens_, nullptr, twice.data(), 2),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("output_count is 2, expected 1 to 1"));
}

TEST_F(BadBatchTest, LimitsHold) {
  std::vector<std::int32_t> ids(71, 5);
  offsets_ = {0, 71, 0};
  tokens_.ids = ids.data();
  tokens_.count = 1;
  expect_refused(TESSERA_INVALID_ARGUMENT, "sequence 0 has 71 rows, expected at most 70");
  Session refusing(
      demo(), {.threads = 1, .max_rows = 70, .max_sequences = 2, .policy = TESSERA_LIMIT_REFUSE});
  const std::vector<std::int64_t> offsets{0, 1, 2, 3}, rows{0, 36, 71};
  std::vector<float> out(3 * 256);
  const Output output(nullptr, out);
  EXPECT_THROW(refusing.encode(std::span(ids).first(3), {}, offsets, std::span(&output, 1)), Error);
  EXPECT_THAT(tessera_last_error(), HasSubstr("the batch has 3 sequences, expected at most 2"));
  EXPECT_THROW(refusing.encode(ids, {}, rows, std::span(&output, 1)), Error);
  EXPECT_THAT(tessera_last_error(), HasSubstr("the batch has 71 rows, expected at most 70"));
}

TEST(BadInputTest, ClosedHandlesAreRefused) {
  tessera_model* model = nullptr;
  tessera_session* session = nullptr;
  tessera_cancel* cancel = nullptr;
  ASSERT_EQ(tessera_model_open(kDemo.c_str(), nullptr, &model), TESSERA_OK);
  ASSERT_EQ(tessera_session_create(model, nullptr, &session), TESSERA_OK);
  ASSERT_EQ(tessera_cancel_create(&cancel), TESSERA_OK);
  ASSERT_EQ(tessera_session_close(session), TESSERA_OK);
  ASSERT_EQ(tessera_model_close(model), TESSERA_OK);
  ASSERT_EQ(tessera_cancel_close(cancel), TESSERA_OK);
  EXPECT_REFUSED(tessera_session_close(session), TESSERA_INVALID_ARGUMENT,
                 AllOf(HasSubstr("session"), HasSubstr("is closed or never was one")));
  EXPECT_REFUSED(tessera_model_prepare(model), TESSERA_INVALID_ARGUMENT, HasSubstr("model: the"));
  EXPECT_REFUSED(tessera_cancel_request(cancel), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("cancel: the"));
  tessera_memory memory = TESSERA_MEMORY_INIT;
  EXPECT_EQ(tessera_session_get_memory(session, &memory), TESSERA_INVALID_ARGUMENT);
  // The slot is used again; the old handle is still closed.
  tessera_model* next = nullptr;
  ASSERT_EQ(tessera_model_open(kDemo.c_str(), nullptr, &next), TESSERA_OK);
  EXPECT_NE(next, model);
  EXPECT_EQ(tessera_model_prepare(model), TESSERA_INVALID_ARGUMENT);
  // One kind is not another.
  EXPECT_EQ(tessera_session_trim(reinterpret_cast<tessera_session*>(next)),
            TESSERA_INVALID_ARGUMENT);
  ASSERT_EQ(tessera_model_close(next), TESSERA_OK);
  EXPECT_REFUSED(tessera_model_prepare(nullptr), TESSERA_INVALID_ARGUMENT, HasSubstr("NULL"));
  int not_a_handle = 0;
  EXPECT_EQ(tessera_model_prepare(reinterpret_cast<tessera_model*>(&not_a_handle)),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(tessera_model_close(nullptr), TESSERA_OK);
  EXPECT_EQ(tessera_session_close(nullptr), TESSERA_OK);
  EXPECT_EQ(tessera_cancel_close(nullptr), TESSERA_OK);
}

TEST(BadInputTest, PrecisionsAreTheNamedOnes) {
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  options.precision = static_cast<tessera_precision>(4);
  EXPECT_REFUSED(open_with(options), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("precision is 4, expected 0 to 3"));
}

TEST(BadInputTest, RoutesAreTheNamedOnes) {
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  options.route = static_cast<tessera_route>(3);
  EXPECT_REFUSED(open_with(options), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("route is 3, expected 0 to 2"));
  options.route = TESSERA_ROUTE_AUTOMATIC;
  options.reserved = 1;
  EXPECT_REFUSED(open_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("reserved is 1"));
}

TEST(BadInputTest, ModelOptionsOfEarlierVersionsAreRead) {
  for (const std::size_t size :
       {offsetof(tessera_model_options, pooling), offsetof(tessera_model_options, route)}) {
    tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
    options.struct_size = static_cast<std::uint32_t>(size);
    options.route = static_cast<tessera_route>(3);  // behind the caller's struct
    tessera_model* model = nullptr;
    ASSERT_EQ(tessera_model_open(kDemo.c_str(), &options, &model), TESSERA_OK)
        << tessera_last_error();
    EXPECT_EQ(tessera_model_close(model), TESSERA_OK);
  }
}

TEST(BadInputTest, StructSizesAreLookedAt) {
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  for (const std::uint32_t size :
       {0U, 4U, static_cast<std::uint32_t>(offsetof(tessera_model_options, pooling)) - 1, ~0U}) {
    options.struct_size = size;
    EXPECT_REFUSED(open_with(options), TESSERA_INVALID_ARGUMENT,
                   HasSubstr("tessera_model_options.struct_size is " + std::to_string(size)));
  }
  tessera_model_info info = TESSERA_MODEL_INFO_INIT;
  info.struct_size = 8;
  info.layers = -7;
  EXPECT_EQ(tessera_model_get_info(demo().get(), &info), TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(info.layers, -7);
}

// A caller that was built against a later version: fields that are 0 are no request.
TEST(BadInputTest, LargerStructsAreTakenWhereTheRestIsZero) {
  struct Later {
    tessera_session_options known;
    std::array<unsigned char, 16> more;
  } options{TESSERA_SESSION_OPTIONS_INIT, {}};
  options.known.struct_size = sizeof options;
  tessera_session* session = nullptr;
  ASSERT_EQ(tessera_session_create(demo().get(), &options.known, &session), TESSERA_OK);
  ASSERT_EQ(tessera_session_close(session), TESSERA_OK);
  options.more[15] = 1;
  EXPECT_REFUSED(create_with(options.known), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("are not 0, expected 0"));
  struct LaterMemory {
    tessera_memory known;
    std::array<unsigned char, 16> more;
  } memory{TESSERA_MEMORY_INIT, {1, 2, 3}};
  memory.known.struct_size = sizeof memory;
  ASSERT_EQ(tessera_memory_bytes(demo().get(), nullptr, &memory.known), TESSERA_OK);
  EXPECT_GT(memory.known.arena, 0U);
  EXPECT_EQ(memory.more, (std::array<unsigned char, 16>{}));
}

TEST(BadInputTest, SessionOptionsAreLookedAt) {
  tessera_session_options options = TESSERA_SESSION_OPTIONS_INIT;
  options.threads = -1;
  EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("threads is -1"));
  options.threads = 1025;
  EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("threads is 1025"));
  options.threads = 1;
  for (const std::int64_t rows :
       {std::int64_t{-1}, std::int64_t{1} << 31, std::numeric_limits<std::int64_t>::max()}) {
    options.max_rows = rows;
    EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("max_rows is"));
  }
  options.max_rows = 4;
  options.max_sequences = 5;
  EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("max_sequences is 5"));
  options = TESSERA_SESSION_OPTIONS_INIT;
  const std::uint32_t nonsense = 77;
  std::memcpy(&options.policy, &nonsense, sizeof nonsense);
  EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("policy is 77, expected 0 to 1"));
  options = TESSERA_SESSION_OPTIONS_INIT;
  std::array<const char*, 2> names{"embedding", nullptr};
  options.outputs = names.data();
  options.output_count = 2;
  EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("outputs[1] is NULL"));
  names[1] = "embedding";
  EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("again, expected each name once"));
  names[1] = "nonsense";
  EXPECT_REFUSED(create_with(options), TESSERA_NOT_FOUND, HasSubstr("\"nonsense\""));
  options.outputs = nullptr;
  EXPECT_REFUSED(create_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("outputs is NULL"));
  EXPECT_REFUSED(tessera_session_create(demo().get(), nullptr, nullptr), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("session is NULL"));
}

TEST(BadInputTest, MemoryThatIsRefusedIsAStatus) {
  const tessera_memory whole = Session::memory_bytes(demo(), {.threads = 1});
  tessera_session_options options = TESSERA_SESSION_OPTIONS_INIT;
  options.threads = 1;
  options.policy = TESSERA_LIMIT_REFUSE;
  options.memory_cap_bytes = whole.total - 1;
  EXPECT_REFUSED(create_with(options), TESSERA_OUT_OF_MEMORY,
                 AllOf(HasSubstr("memory_cap_bytes"), HasSubstr("would fit")));
  options.memory_cap_bytes = 1000;  // not even one row
  options.policy = TESSERA_LIMIT_SPLIT;
  EXPECT_REFUSED(create_with(options), TESSERA_OUT_OF_MEMORY, HasSubstr("memory_cap_bytes 1000"));
  tessera_memory memory = TESSERA_MEMORY_INIT;
  EXPECT_EQ(tessera_memory_bytes(demo().get(), &options, &memory), TESSERA_OUT_OF_MEMORY);
  EXPECT_EQ(memory.total, 0U);
}

TEST(BadInputTest, PoolsThatFailAreAStatus) {
  const auto lanes_left_out = [](void*, std::int64_t, void (*)(void*, std::int64_t), void*) {};
  const auto throws = [](void*, std::int64_t, void (*)(void*, std::int64_t), void*) { throw 1; };
  for (const tessera_parallel_for pool : {+lanes_left_out, +throws}) {
    Session session(demo(), {.threads = 2, .parallel_for = pool});
    try {
      session.embed(Texts(kTexts));
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), TESSERA_INVALID_ARGUMENT) << error.what();
    }
  }
}

// From inside a run: a second call is refused, closing is not.
TEST(BadInputTest, OneCallAtATimeAndCloseWhileRunning) {
  struct Inside {
    tessera_session* session = nullptr;
    tessera_status trim = TESSERA_OK, close = TESSERA_INTERNAL;
    bool is_done = false;
  } inside;
  tessera_session_options options = TESSERA_SESSION_OPTIONS_INIT;
  options.threads = 2;
  options.parallel_for_context = &inside;
  options.parallel_for = [](void* context, std::int64_t lanes, void (*body)(void*, std::int64_t),
                            void* arg) {
    auto& state = *static_cast<Inside*>(context);
    if (!state.is_done) {
      state.trim = tessera_session_trim(state.session);
      state.close = tessera_session_close(state.session);
      state.is_done = true;
    }
    for (std::int64_t lane = 0; lane < lanes; ++lane) body(arg, lane);
  };
  ASSERT_EQ(tessera_session_create(demo().get(), &options, &inside.session), TESSERA_OK);
  const char* const text = "a text that is encoded while its session is closed";
  tessera_texts texts = TESSERA_TEXTS_INIT;
  texts.texts = &text;
  texts.count = 1;
  std::array<float, 256> out{};
  tessera_output output = TESSERA_OUTPUT_INIT;
  output.data = out.data();
  output.capacity = out.size();
  EXPECT_EQ(tessera_encode_texts(inside.session, &texts, nullptr, &output, 1, nullptr), TESSERA_OK);
  EXPECT_NE(out[0], 0.0F);
  EXPECT_TRUE(inside.is_done);
  EXPECT_EQ(inside.trim, TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(inside.close, TESSERA_OK);
  EXPECT_EQ(tessera_session_close(inside.session), TESSERA_INVALID_ARGUMENT);
}

TEST(BadInputTest, ModelsAreLookedAt) {
  tessera_model* model = kUntouchedModel;
  const auto open = [&](const std::string& path) {
    return tessera_model_open(path.c_str(), nullptr, &model);
  };
  EXPECT_REFUSED(open("/nowhere"), TESSERA_NOT_FOUND, HasSubstr("no such directory"));
  EXPECT_REFUSED(tessera_model_open(nullptr, nullptr, &model), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("directory is NULL"));
  EXPECT_REFUSED(tessera_model_open(kDemo.c_str(), nullptr, nullptr), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("model is NULL"));
  const TemporaryDirectory directory;
  EXPECT_REFUSED(open(directory.path()), TESSERA_NOT_FOUND, HasSubstr("config.json"));
  directory.write("config.json", "{\"model_type\": \"gpt2\"}");
  EXPECT_REFUSED(open(directory.path()), TESSERA_UNSUPPORTED_MODEL,
                 AllOf(HasSubstr("gpt2"), HasSubstr("expected one of")));
  directory.write("config.json", "{\"model_type\": ");
  EXPECT_REFUSED(open(directory.path()), TESSERA_CORRUPT_FILE, HasSubstr("config.json"));
  std::filesystem::remove(directory.path() / "config.json");
  std::filesystem::create_directory(directory.path() / "config.json");
  EXPECT_REFUSED(open(directory.path()), TESSERA_IO_ERROR, HasSubstr("cannot be read"));
  EXPECT_EQ(model, kUntouchedModel);
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  options.isa = "quantum";
  EXPECT_REFUSED(open_with(options), TESSERA_INVALID_ARGUMENT, HasSubstr("isa: got \"quantum\""));
  options.isa = nullptr;
  options.architecture = "BertForChess";
  EXPECT_REFUSED(open_with(options), TESSERA_UNSUPPORTED_MODEL, HasSubstr("BertForChess"));
}

TEST(BadInputTest, FilesInMemoryAreLookedAt) {
  tessera_model* model = kUntouchedModel;
  tessera_file file = TESSERA_FILE_INIT;
  const auto open = [&] { return tessera_model_open_memory(&file, 1, nullptr, &model); };
  EXPECT_REFUSED(tessera_model_open_memory(nullptr, 0, nullptr, &model), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("files: got none"));
  EXPECT_REFUSED(open(), TESSERA_INVALID_ARGUMENT, HasSubstr("files[0].name is NULL"));
  for (const char* name : {"", "/etc/passwd", "../config.json", "a/../b", ".", "a//b", "a/"}) {
    file.name = name;
    EXPECT_REFUSED(open(), TESSERA_INVALID_ARGUMENT, HasSubstr("files in memory"));
  }
  file.name = "model.safetensors";
  file.size = 8;
  EXPECT_REFUSED(open(), TESSERA_INVALID_ARGUMENT, HasSubstr("data is NULL"));
  file.size = 0;
  EXPECT_REFUSED(open(), TESSERA_NOT_FOUND, HasSubstr("config.json"));
  const std::vector<std::byte> config = read_bytes(kDemo + "/config.json");
  std::array<tessera_file, 2> files{file, file};
  EXPECT_REFUSED(tessera_model_open_memory(files.data(), 2, nullptr, &model),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("again, expected each name once"));
  files[1].name = "config.json";
  files[1].data = config.data();
  files[1].size = config.size();
  EXPECT_REFUSED(tessera_model_open_memory(files.data(), 2, nullptr, &model), TESSERA_CORRUPT_FILE,
                 HasSubstr("model.safetensors"));
  files[1].struct_size = sizeof(tessera_file) + 8;
  EXPECT_REFUSED(tessera_model_open_memory(files.data(), 2, nullptr, &model),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("files[1].struct_size is"));
  EXPECT_EQ(model, kUntouchedModel);
}

TEST(BadInputTest, TextsAreLookedAt) {
  std::array<std::int32_t, 4> ids{};
  std::array<std::int64_t, 3> offsets{-7, -7, -7};
  const std::array<const char*, 2> list{"a tiny text", nullptr};
  tessera_texts texts = TESSERA_TEXTS_INIT;
  const auto tokenize = [&] {
    return tessera_tokenize(demo().get(), &texts, ids.data(), nullptr, ids.size(), offsets.data());
  };
  texts.count = 2;
  EXPECT_REFUSED(tokenize(), TESSERA_INVALID_ARGUMENT, HasSubstr("texts.texts is NULL"));
  texts.texts = list.data();
  EXPECT_REFUSED(tokenize(), TESSERA_INVALID_ARGUMENT, HasSubstr("texts.texts[1] is NULL"));
  texts.count = 1;
  EXPECT_REFUSED(tokenize(), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("capacity is 4, expected at least 5"));
  texts.max_tokens = -1;
  EXPECT_REFUSED(tokenize(), TESSERA_INVALID_ARGUMENT, HasSubstr("max_tokens is -1"));
  texts.max_tokens = 1000;
  EXPECT_REFUSED(tokenize(), TESSERA_INVALID_ARGUMENT, HasSubstr("max length: got 1000"));
  texts.max_tokens = 0;
  texts.prompt_name = "nonsense";
  EXPECT_REFUSED(tokenize(), TESSERA_NOT_FOUND, HasSubstr("prompt name: got \"nonsense\""));
  texts.prompt_name = nullptr;
  EXPECT_EQ(offsets[0], -7);
  const Model words_only(TESSERA_SOURCE_DIR "/tests/golden/data/bert-model");
  EXPECT_EQ(words_only.info().has_tokenizer, 0U);
  EXPECT_REFUSED(tessera_tokenize(words_only.get(), &texts, nullptr, nullptr, 0, offsets.data()),
                 TESSERA_NOT_FOUND, HasSubstr("no tokenizer"));
}

// Which texts were cut is said where the call succeeds, and nowhere else.
TEST(BadInputTest, WhatFailsSaysNothingOfWhatWasCut) {
  const char* const list[] = {"a tiny text editor", "x"};
  std::array<unsigned char, 2> is_cut{7, 7};
  std::array<std::int32_t, 64> ids{};
  std::array<std::int64_t, 3> offsets{};
  tessera_texts texts = TESSERA_TEXTS_INIT;
  texts.texts = list;
  texts.count = 2;
  texts.max_tokens = 4;
  texts.is_cut = is_cut.data();
  EXPECT_REFUSED(tessera_tokenize(demo().get(), &texts, ids.data(), nullptr, 3, offsets.data()),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("capacity is 3, expected at least"));
  EXPECT_THAT(is_cut, testing::ElementsAre(7, 7));
  const Session session(demo(), {.threads = 1});
  tessera_output output = TESSERA_OUTPUT_INIT;
  std::array<float, 1> too_small{};
  output.data = too_small.data();
  output.capacity = too_small.size();
  EXPECT_REFUSED(tessera_encode_texts(session.get(), &texts, nullptr, &output, 1, nullptr),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("outputs[0].capacity is 1"));
  EXPECT_THAT(is_cut, testing::ElementsAre(7, 7));
  EXPECT_EQ(tessera_tokenize(demo().get(), &texts, ids.data(), nullptr, 64, offsets.data()),
            TESSERA_OK);
  EXPECT_THAT(is_cut, testing::ElementsAre(1, 0));
}

TEST(BadInputTest, IndicesAreLookedAt) {
  const char* label = "untouched";
  EXPECT_REFUSED(tessera_model_get_label(demo().get(), 0, &label), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("label: index is 0"));
  EXPECT_STREQ(label, "untouched");
  tessera_output_info info = TESSERA_OUTPUT_INFO_INIT;
  EXPECT_REFUSED(tessera_model_get_output(demo().get(), 1000, &info), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("output: index is 1000"));
  EXPECT_STREQ(tessera_status_name(TESSERA_IO_ERROR), "TESSERA_IO_ERROR");
  EXPECT_STREQ(tessera_status_name(static_cast<tessera_status>(99)), "unknown status");
}

}  // namespace
}  // namespace tessera::test
