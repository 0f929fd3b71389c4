// SPDX-License-Identifier: Apache-2.0
// time_ids MODEL IDS.txt OUTPUT RUNS: the output of every line of token ids, all of them at once as
// one ragged batch, on one thread; prints {"seconds": median of RUNS, "first": [values of the first line's
// first row]} as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/records.hpp"

int main(int argc, char** argv) try {
  using namespace tessera;
  if (argc != 5) {
    fmt::print(stderr, "usage: time_ids MODEL IDS.txt OUTPUT RUNS\n");
    return 2;
  }
  std::vector<TokenSequence> sequences;
  RecordReader reader(argv[2], LineFormat::ids);
  for (Record record; reader.next(record);) {
    sequences.emplace_back();
    sequences.back().ids = record.ids;
  }
  EncoderOptions options;
  options.session.outputs = {argv[3]};
  options.session.threads = 1;
  TextEncoder encoder = TextEncoder::open(argv[1], options);
  std::vector<double> seconds;
  std::vector<float> first;
  for (int run = 0; run <= std::stoi(argv[4]); ++run) {  // the first run warms up
    const auto begin = std::chrono::steady_clock::now();
    encoder.run(sequences, [&](std::size_t s, Results results) {
      const std::span<const float> row = results[0].row(0);
      if (s == 0) first.assign(row.begin(), row.end());
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    if (run > 0) seconds.push_back(time.count());
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print("{{\"seconds\": {}, \"least\": {}, \"first\": [{}]}}\n", seconds[seconds.size() / 2],
             seconds.front(), fmt::join(first, ", "));
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "time_ids: {}\n", e.what());
  return 1;
}
