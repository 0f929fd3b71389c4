// SPDX-License-Identifier: Apache-2.0
// promise_probe: one figure of the memory and time promises, measured in a process of its own, as
// lines "name value".
//
//   promise_probe memory MODEL [options]     promise, peak, peak while loading (bytes), load time
//   promise_probe cancel MODEL [options]     latency of cancellation and deadline, milliseconds
//
// What is counted: VmHWM, the most that was resident at once of private memory and of mapped files
// (weights, cache file, executable), less VmRSS when main() begins.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "models/package.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/session/memory_bytes.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tests/runtime/ragged.hpp"

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

/// "VmRSS", "VmHWM", "RssAnon", "RssFile" in bytes.
double status(const std::string& field) {
  std::ifstream in("/proc/self/status");
  std::string name;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(field + ":")) return 1024 * std::stod(line.substr(field.size() + 1));
  }
  return 0;
}

struct Arguments {
  std::map<std::string, std::string> values;

  Index number(const std::string& name, Index otherwise) const {
    const auto found = values.find(name);
    return found == values.end() ? otherwise : std::stol(found->second);
  }
};

struct Loaded {
  models::Package package;
  std::shared_ptr<const Model> model;
  SessionOptions options;
};

test::RaggedBatch full_batch(const Loaded& loaded) {
  test::RaggedBatch batch;
  const Index rows = loaded.options.max_rows, sequences = loaded.options.max_sequences;
  for (Index s = 0; s < sequences; ++s) {
    batch.add(test::random_sequence(rows * (s + 1) / sequences - rows * s / sequences,
                                    loaded.package.program.tokens()->vocab_size,
                                    static_cast<unsigned>(s)));
  }
  return batch;
}

Loaded load(const std::string& directory, const Arguments& arguments) {
  Loaded loaded{.package = models::open_package(directory), .model = {}, .options = {}};
  ModelOptions model_options{.outputs = {"last_hidden_state"}};
  if (const auto found = arguments.values.find("--cache"); found != arguments.values.end())
    model_options.packed_cache = found->second;
  model_options.copy_tables = arguments.values.contains("--copy-tables");
  loaded.options = {.max_rows = arguments.number("--rows", 512),
                    .max_sequences = arguments.number("--sequences", 4),
                    .threads = static_cast<int>(arguments.number("--threads", 1))};
  const MemoryBytes promise = memory_bytes(loaded.package.program, *loaded.package.checkpoint,
                                           model_options, loaded.options);
  const double before = status("VmRSS");
  const auto begin = Clock::now();
  loaded.model = Model::create(loaded.package.program, loaded.package.checkpoint, model_options);
  const auto end = Clock::now();
  std::size_t largest = 0;
  for (const StoredTensor* tensor : loaded.package.checkpoint->tensors())
    largest = std::max(largest, tensor->bytes);
  fmt::print("promise_bytes {}\npacked_bytes {}\nmapped_bytes {}\narena_bytes {}\n",
             promise.total(), promise.weights_packed, promise.weights_mapped, promise.arena);
  fmt::print("largest_tensor_bytes {}\nload_ms {:.1f}\nload_peak_bytes {}\nloaded_bytes {}\n",
             largest, milliseconds(end - begin), status("VmHWM") - before,
             status("VmRSS") - before);
  return loaded;
}

void memory(const Loaded& loaded, double baseline) {
  const auto session = Session::create(loaded.model, loaded.options);
  const test::RaggedBatch batch = full_batch(loaded);
  for (int i = 0; i < 2; ++i) {
    const auto begin = Clock::now();
    session->run(batch.batch());
    fmt::print("run{}_ms {:.2f}\n", i + 1, milliseconds(Clock::now() - begin));
  }
  fmt::print("peak_bytes {}\nanonymous_bytes {}\nfile_bytes {}\n", status("VmHWM") - baseline,
             status("RssAnon"), status("RssFile"));
  session->trim();
  fmt::print("trimmed_bytes {}\n", status("VmRSS") - baseline);
}

/// Runs are cancelled at random moments: from the store (or the deadline) to the end of run().
void cancel(const Loaded& loaded) {
  const auto session = Session::create(loaded.model, loaded.options);
  const test::RaggedBatch batch = full_batch(loaded);
  session->run(batch.batch());
  const auto begin = Clock::now();
  session->run(batch.batch());
  const auto whole = Clock::now() - begin;
  std::mt19937 random(1);
  std::vector<double> flag_ms, deadline_ms;
  for (int i = 0; i < 60; ++i) {
    const auto wait = std::chrono::duration_cast<Clock::duration>(whole * (random() % 900) / 1000);
    std::atomic<bool> flag{false};
    Clock::time_point asked = Clock::now() + wait;
    std::thread other;
    if (i % 2 == 0) {
      other = std::thread([&] {
        std::this_thread::sleep_for(wait);
        asked = Clock::now();
        flag = true;
      });
    }
    try {
      session->run(batch.batch(),
                   i % 2 == 0 ? RunControl{.cancelled = &flag} : RunControl{.deadline = asked});
      if (other.joinable()) other.join();
      continue;  // it was done before
    } catch (const Error&) {
    }
    const auto end = Clock::now();
    if (other.joinable()) other.join();
    (i % 2 == 0 ? flag_ms : deadline_ms).push_back(milliseconds(end - asked));
  }
  fmt::print("run_ms {:.2f}\n", milliseconds(whole));
  for (auto* each : {&flag_ms, &deadline_ms}) {
    std::sort(each->begin(), each->end());
    if (each->empty()) continue;
    fmt::print("{0}_median_ms {1:.3f}\n{0}_most_ms {2:.3f}\n",
               each == &flag_ms ? "flag" : "deadline", (*each)[each->size() / 2], each->back());
  }
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) try {
  const double baseline = tessera::status("VmRSS");
  if (argc < 3) {
    fmt::print(stderr,
               "usage: promise_probe memory|cancel MODEL [--rows N] [--sequences N] "
               "[--threads N] [--cache DIR] [--copy-tables]\n");
    return 2;
  }
  tessera::Arguments arguments;
  for (int i = 3; i < argc; ++i) {
    const bool has_value = i + 1 < argc && argv[i + 1][0] != '-';
    arguments.values[argv[i]] = has_value ? argv[i + 1] : "";
    if (has_value) ++i;
  }
  const tessera::Loaded loaded = tessera::load(argv[2], arguments);
  if (std::string_view(argv[1]) == "memory") tessera::memory(loaded, baseline);
  if (std::string_view(argv[1]) == "cancel") tessera::cancel(loaded);
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "promise_probe: {}\n", e.what());
  return 1;
}
