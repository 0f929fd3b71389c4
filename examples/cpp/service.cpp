// SPDX-License-Identifier: Apache-2.0
//
// The loop of a service: few sessions' worth of memory, many clients. Workers share one session; a
// request has a deadline and may be withdrawn while it waits or runs; one that finds the queue full
// is answered "overloaded" at once, so that waiting stays bounded.
//
//   service MODEL DOCUMENTS      DOCUMENTS: a text on each line, which are indexed and searched
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tessera/tessera.hpp>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Answer {
  std::string status;  ///< "ok", "overloaded", "late", "withdrawn", or an error
  std::vector<tessera::Hit> hits;
};

struct Request {
  std::vector<std::string> texts;  ///< the best document for the mean of their vectors
  Clock::time_point deadline;
  tessera::Cancel cancel;  ///< the client's: withdraws the request, from any thread
  std::promise<Answer> answer;
};

class Service {
 public:
  Service(const tessera::Model& model, const tessera::SearchIndex& index, unsigned workers,
          std::size_t most_waiting)
      // As many calls at a time as there are workers, one thread each: throughput before latency.
      : session_(model, {.threads = 1, .concurrent_calls = workers}),
        index_(index),
        most_waiting_(most_waiting) {
    for (unsigned i = 0; i < workers; ++i) {
      workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }
  ~Service() {  // what still waits is answered, not dropped
    const std::scoped_lock lock(mutex_);
    for (const auto& request : queue_) request->answer.set_value({"shut down", {}});
    queue_.clear();
  }

  /// Never blocks: refuses instead.
  std::future<Answer> submit(const std::shared_ptr<Request>& request) {
    std::future<Answer> answer = request->answer.get_future();
    {
      const std::scoped_lock lock(mutex_);
      if (queue_.size() < most_waiting_) {
        queue_.push_back(request);
        wake_.notify_one();
        return answer;
      }
    }
    request->answer.set_value({"overloaded", {}});
    return answer;
  }

  std::size_t waiting() {
    const std::scoped_lock lock(mutex_);
    return queue_.size();
  }

 private:
  void work(const std::stop_token& stop) {
    for (;;) {
      std::shared_ptr<Request> request;
      {
        std::unique_lock lock(mutex_);
        if (!wake_.wait(lock, stop, [this] { return !queue_.empty(); })) return;
        request = queue_.front();
        queue_.pop_front();
      }
      request->answer.set_value(respond(*request));
    }
  }

  Answer respond(Request& request) {
    const auto left = request.deadline - Clock::now();
    if (left <= left.zero()) return {"late", {}};  // waited too long: nothing is computed
    try {
      // The deadline and the client end the run inside a layer, not after it.
      const std::vector<float> rows =
          session_.embed(request.texts, {.cancel = &request.cancel, .timeout = left});
      const auto width = static_cast<std::size_t>(session_.width());
      std::vector<float> mean(width);
      for (std::size_t i = 0; i < rows.size(); ++i) mean[i % width] += rows[i];
      return {"ok", index_.search(mean, 1)};
    } catch (const tessera::Error& error) {
      if (error.status() != TESSERA_CANCELLED) return {error.what(), {}};
      return {Clock::now() < request.deadline ? "withdrawn" : "late", {}};
    }
  }

  tessera::Session session_;
  const tessera::SearchIndex& index_;
  std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::shared_ptr<Request>> queue_;
  std::vector<std::jthread> workers_;  // last: they end before what they use
};

std::shared_ptr<Request> make_request(std::vector<std::string> texts, milliseconds timeout) {
  auto request = std::make_shared<Request>();
  request->texts = std::move(texts);
  request->deadline = Clock::now() + timeout;
  return request;
}

/// Clients on threads of their own, each of which waits for one answer before it asks again.
int answered(Service& service, const std::vector<std::string>& texts, int clients) {
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int c = 0; c < clients; ++c) {
    threads.emplace_back([&, c] {
      for (int i = 0; i < 50; ++i) {
        const auto& text = texts.at(static_cast<std::size_t>(50 * c + i));
        const Answer a = service.submit(make_request({text}, milliseconds(10000))).get();
        // A document is found by itself.
        if (a.status == "ok" && texts.at(static_cast<std::size_t>(a.hits[0].id)) == text) ++good;
      }
    });
  }
  threads.clear();
  return good;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: service MODEL DOCUMENTS\n");
    return 2;
  }
  std::vector<std::string> texts;
  std::ifstream file(argv[2]);
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  if (texts.size() < 200) {  // each of the clients has fifty of its own
    throw std::runtime_error(std::string(argv[2]) + ": got " + std::to_string(texts.size()) +
                             " lines, expected at least 200");
  }
  const tessera::Model model(argv[1]);
  tessera::Session indexer(model);
  const std::vector<float> rows = indexer.embed(texts);
  const tessera::SearchIndex index(tessera::Matrix(rows, indexer.width()));

  Service service(model, index, 2, 4);
  std::printf("4 clients: %d of 200 answered right\n", answered(service, texts, 4));

  const auto hit = service.submit(make_request({"a text editor"}, milliseconds(10000))).get();
  std::printf("a text editor: %s\n", texts.at(static_cast<std::size_t>(hit.hits.at(0).id)).c_str());

  // All documents take far more than five milliseconds.
  std::printf("too little time: %s\n",
              service.submit(make_request(texts, milliseconds(5))).get().status.c_str());

  // Both workers busy, four requests waiting: the rest is refused at once.
  const auto large = make_request(texts, milliseconds(60000));
  const auto other = make_request(texts, milliseconds(60000));
  std::future<Answer> first = service.submit(large), second = service.submit(other);
  while (service.waiting() > 0) std::this_thread::sleep_for(milliseconds(1));
  std::vector<std::future<Answer>> burst;
  for (int i = 0; i < 10; ++i) {
    burst.push_back(service.submit(make_request({"a burst"}, milliseconds(10000))));
  }
  large->cancel.request();  // a client goes away: its worker is free within a millisecond
  std::printf("a client that goes away: %s\n", first.get().status.c_str());
  other->cancel.request();
  second.get();
  int good = 0, refused = 0;
  for (std::future<Answer>& answer : burst) {
    const std::string status = answer.get().status;
    good += status == "ok" ? 1 : 0;
    refused += status == "overloaded" ? 1 : 0;
  }
  std::printf("a burst of 10: %d answered, %d overloaded\n", good, refused);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
