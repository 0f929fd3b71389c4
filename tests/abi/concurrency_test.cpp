// SPDX-License-Identifier: Apache-2.0
// Who holds a session when: texts are tokenised and images decoded before it is taken. No clock
// decides: the caller's pool keeps one thread inside a run until another has made its calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
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

TEST(ConcurrencyTest, ManyThreadsShareFewLanesAndGetTheSameBits) {
  const SessionOptions one{.threads = 1, .max_rows = 64};
  const SessionOptions three{
      .threads = 1, .max_rows = 64, .concurrent_calls = 3, .busy = TESSERA_BUSY_WAIT};
  const std::vector<float> expected = Session(demo(), one).embed(Texts(kTexts));
  Session session(demo(), three);
  std::vector<std::vector<float>> got(12);
  std::vector<std::thread> threads;
  for (std::vector<float>& to : got) {
    threads.emplace_back([&session, &to] {
      for (int i = 0; i < 20; ++i) to = session.embed(Texts(kTexts));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& embeddings : got) EXPECT_EQ(embeddings, expected);
}

TEST(ConcurrencyTest, MemoryOfAllLanesIsSaidBeforehandAndCapped) {
  const SessionOptions one{.threads = 1, .max_rows = 256};
  SessionOptions four = one;
  four.concurrent_calls = 4;
  const tessera_memory single = Session::memory_bytes(demo(), one);
  const tessera_memory shared = Session::memory_bytes(demo(), four);
  EXPECT_EQ(shared.arena, 4 * single.arena);
  EXPECT_EQ(shared.weights_packed, single.weights_packed);
  EXPECT_EQ(Session(demo(), four).memory().arena, shared.arena);
  four.memory_cap_bytes = shared.total - single.arena;  // room for three
  const tessera_memory cut = Session::memory_bytes(demo(), four);
  EXPECT_LE(cut.total, four.memory_cap_bytes);
  EXPECT_LT(cut.max_rows, single.max_rows);
  EXPECT_EQ(Session(demo(), four).memory().arena, cut.arena);
  four.policy = TESSERA_LIMIT_REFUSE;
  const Answer answer = answer_of([&] { Session(demo(), four); });
  EXPECT_EQ(answer.status, TESSERA_OUT_OF_MEMORY);
  EXPECT_THAT(answer.message, HasSubstr("each of 4 concurrent_calls"));
  four.concurrent_calls = 1025;
  EXPECT_THROW(Session(demo(), four), Error);
}

// While one call is held inside, another is inside too, and a third is refused, or waits until its
// deadline or its cancellation.
TEST(ConcurrencyTest, CallsBeyondAreRefusedOrWait) {
  for (const tessera_busy_policy busy : {TESSERA_BUSY_REFUSE, TESSERA_BUSY_WAIT}) {
    Held held;
    SessionOptions options = held.options();
    options.busy = busy;
    Session session(demo(), options);
    const std::vector<float> expected = Session(demo(), {.threads = 1}).embed("tea");
    Cancel cancel;
    Answer timed, cancelled;
    held.during = [&] {
      timed = answer_of([&] { session.embed("tea", {.timeout = std::chrono::milliseconds(5)}); });
      std::thread other([&] { cancel.request(); });
      cancelled = answer_of([&] { session.embed("tea", {.cancel = &cancel}); });
      other.join();
    };
    EXPECT_EQ(session.embed("tea"), expected);
    const tessera_status status =
        busy == TESSERA_BUSY_WAIT ? TESSERA_CANCELLED : TESSERA_INVALID_ARGUMENT;
    EXPECT_EQ(timed.status, status) << timed.message;
    // One that is refused may have been cancelled before.
    EXPECT_THAT(cancelled.status, testing::AnyOf(status, TESSERA_CANCELLED)) << cancelled.message;
    EXPECT_EQ(session.embed("tea"), expected);
  }
}

TEST(ConcurrencyTest, ASecondLaneIsFreeWhileTheFirstIsHeld) {
  Held held;
  SessionOptions options = held.options();
  options.concurrent_calls = 2;
  Session session(demo(), options);
  std::vector<float> inside;
  Answer refused;
  Held* const pool = &held;
  held.during = [&] {
    pool->during = [&] { refused = answer_of([&] { session.embed("tea"); }); };
    pool->runs = 0;  // the second call is held, too, for a third
    inside = session.embed("tea");
  };
  const std::vector<float> outside = session.embed("tea");
  EXPECT_EQ(inside, outside);
  EXPECT_EQ(refused.status, TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(refused.message, HasSubstr("2 threads are in calls, expected fewer"));
}

// A call that waits has what it needs although the handle is closed meanwhile.
TEST(ConcurrencyTest, ASessionMayBeClosedWhileACallWaits) {
  const std::vector<float> expected = Session(demo(), {.threads = 1}).embed("tea");
  Held held;
  SessionOptions options = held.options();
  options.busy = TESSERA_BUSY_WAIT;
  auto session = std::make_unique<Session>(demo(), options);
  tessera_session* const handle = session->get();
  const char* const text = "tea";
  std::vector<float> first(expected.size()), second(expected.size());
  const auto encode = [&](std::vector<float>& to) {
    tessera_texts texts = TESSERA_TEXTS_INIT;
    texts.texts = &text;
    texts.count = 1;
    const Output output(nullptr, to);
    return tessera_encode_texts(handle, &texts, nullptr, &output, 1, nullptr);
  };
  std::thread waiting;
  tessera_status status = TESSERA_INTERNAL;
  held.during = [&] {
    waiting = std::thread([&] { status = encode(second); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it has the handle by now
    session.reset();
  };
  EXPECT_EQ(encode(first), TESSERA_OK);
  waiting.join();
  EXPECT_EQ(status, TESSERA_OK) << tessera_last_error();
  EXPECT_EQ(first, expected);
  EXPECT_EQ(second, expected);
}

}  // namespace
}  // namespace tessera::test
