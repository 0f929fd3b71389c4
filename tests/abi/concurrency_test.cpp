// SPDX-License-Identifier: Apache-2.0
// Who holds a session when: texts are tokenised and images decoded before it is taken. No clock
// decides: the caller's pool keeps one thread inside a run until another has made its calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

// What a call on another thread came to.
struct Answer {
  tessera_status status = TESSERA_OK;
  std::string message;
};

// A pool that, the first time it is asked, has another thread call `during` to its end.
struct Held {
  std::function<void()> during;
  int runs = 0;

  static void run(void* context, std::int64_t lanes, void (*body)(void*, std::int64_t), void* arg) {
    auto& held = *static_cast<Held*>(context);
    if (held.runs++ == 0) std::thread(held.during).join();
    for (std::int64_t lane = 0; lane < lanes; ++lane) body(arg, lane);
  }
  SessionOptions options() {
    return {.threads = 2, .parallel_for = &Held::run, .parallel_for_context = this};
  }
};

template <class Call>
Answer answer_of(Call call) {
  try {
    call();
    return {};
  } catch (const Error& error) {
    return {error.status(), error.what()};
  }
}

TEST(ConcurrencyTest, TextsAreTokenisedOutsideTheSessionsTurn) {
  Held held;
  Session session(demo(), held.options());
  const std::vector<float> expected = Session(demo(), {.threads = 1}).embed(Texts(kTexts));
  const TextOptions uncut{.truncation = TESSERA_DO_NOT_TRUNCATE, .max_tokens = 4};
  Answer refused_text, refused_turn;
  Tokens tokens;
  held.during = [&] {
    // The tokenizer has its say although another thread has the session …
    refused_text = answer_of([&] { session.embed(Texts(kTexts, uncut)); });
    tokens = demo().tokenize(Texts(kTexts));
    // … which is asked for only then.
    refused_turn = answer_of([&] { session.embed(Texts(kTexts)); });
  };
  EXPECT_EQ(session.embed(Texts(kTexts)), expected);
  ASSERT_GT(held.runs, 0);
  EXPECT_EQ(refused_text.status, TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(refused_text.message, HasSubstr("text 0: the text has"));
  EXPECT_EQ(tokens.offsets.size(), kTexts.size() + 1);
  EXPECT_EQ(refused_turn.status, TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(refused_turn.message, HasSubstr("another thread is in a call, expected one"));
  EXPECT_EQ(session.embed(Texts(kTexts)), expected);  // it is free again
}

TEST(ConcurrencyTest, ImagesAreDecodedOutsideTheSessionsTurn) {
  const Model model(TESSERA_SOURCE_DIR "/models/demo/vision");
  Held held;
  Session session(model, held.options());
  const std::vector<unsigned char> grey(32 * 32, 100);
  tessera_pixels image = TESSERA_PIXELS_INIT;
  image.data = grey.data();
  image.channels = 1;
  image.height = image.width = 32;
  std::vector<float> out(static_cast<std::size_t>(model.output().width)), other = out;
  const auto encode = [&](std::vector<float>& to) {
    const Output output(nullptr, to);
    session.encode(std::span(&image, 1), std::span(&output, 1));
  };
  const std::string_view text = "no image";
  const std::vector<File> files{{"x.png", std::as_bytes(std::span(text))}};
  Answer refused_file, refused_turn;
  held.during = [&] {
    refused_file = answer_of([&] {
      const Output output(nullptr, other);
      session.encode(files, std::span(&output, 1));
    });
    refused_turn = answer_of([&] { encode(other); });
  };
  encode(out);
  ASSERT_GT(held.runs, 0);
  EXPECT_EQ(refused_file.status, TESSERA_CORRUPT_FILE);
  EXPECT_THAT(refused_file.message, HasSubstr("image 0: x.png"));
  EXPECT_EQ(refused_turn.status, TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(refused_turn.message, HasSubstr("another thread is in a call, expected one"));
  EXPECT_EQ(other, std::vector<float>(other.size()));  // untouched
  encode(other);
  EXPECT_EQ(other, out);
}

}  // namespace
}  // namespace tessera::test
