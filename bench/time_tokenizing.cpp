// SPDX-License-Identifier: Apache-2.0
// time_tokenizing DIRECTORY TEXTS: encodes texts at the command of another program, so that both
// can take turns. TEXTS is a sequence of (u32 length, bytes), little endian. One command a line:
//
//   ids I        → the ids of text I, special tokens included, nothing cut or padded
//   time I N     → the nanoseconds of N encodings of text I: CPU time of the thread, wall time; and
//                  their tokens. Of a process that has tokenized two megabytes: BPE knows its whole
//                  words then (models/text/whole_words.hpp)
//   early I N    → the same of the process as it is: to be asked before any "time", and of less than
//                  a megabyte
//
// Errors are answered by a line that begins with "error".
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <time.h>

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.hpp"
#include "runtime/base/files.hpp"

namespace {

using tessera::text::EncodeOptions;
using tessera::text::Encoding;
using tessera::text::Tokenizer;

static_assert(std::endian::native == std::endian::little);

std::vector<std::string_view> split_texts(std::string_view bytes) {
  std::vector<std::string_view> texts;
  while (!bytes.empty()) {
    std::uint32_t length = 0;
    if (bytes.size() < sizeof length) throw std::runtime_error("a text without its length");
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes.remove_prefix(sizeof length);
    if (bytes.size() < length) throw std::runtime_error("a text that is cut off");
    texts.push_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  return texts;
}

std::int64_t now(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return std::int64_t{1'000'000'000} * t.tv_sec + t.tv_nsec;
}

void warm_up(const Tokenizer& tokenizer, const std::vector<std::string_view>& texts,
             const EncodeOptions& options) {
  constexpr std::size_t kEnough = std::size_t{2} << 20;
  std::size_t bytes = 0;
  while (bytes < kEnough) {
    const std::size_t before = bytes;
    for (const std::string_view text : texts) {
      if (bytes < kEnough) tokenizer.encode(text, options);
      bytes += text.size();
    }
    if (bytes == before) return;
  }
}

std::string answer(const Tokenizer& tokenizer, const std::vector<std::string_view>& texts) {
  EncodeOptions options;
  options.use_file_truncation = false;
  std::string command;
  std::size_t index = 0;
  std::cin >> command >> index;
  const std::string_view text = texts.at(index);
  if (command == "ids")
    return fmt::format("{}", fmt::join(tokenizer.encode(text, options).ids, " "));
  std::size_t count = 0;
  std::cin >> count;
  static bool is_warm = false;
  if (!is_warm && command == "time") {
    warm_up(tokenizer, texts, options);
    is_warm = true;
  }
  const std::int64_t cpu = now(CLOCK_THREAD_CPUTIME_ID);
  const std::int64_t wall = now(CLOCK_MONOTONIC);
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < count; ++i) tokens += tokenizer.encode(text, options).size();
  const std::int64_t cpu_time = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
  return fmt::format("{} {} {}", cpu_time, now(CLOCK_MONOTONIC) - wall, tokens);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    fmt::print(stderr, "usage: time_tokenizing DIRECTORY TEXTS\n");
    return 2;
  }
  const Tokenizer tokenizer = Tokenizer::from_directory(argv[1]);
  const std::string bytes = tessera::read_file(argv[2]);
  const std::vector<std::string_view> texts = split_texts(bytes);
  while (std::cin >> std::ws && std::cin.peek() != std::istream::traits_type::eof()) {
    std::string line;
    try {
      line = answer(tokenizer, texts);
    } catch (const std::exception& e) {
      line = fmt::format("error {}", e.what());
    }
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "time_tokenizing: {}\n", e.what());
  return 1;
}
