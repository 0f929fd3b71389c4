// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/callgrind.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include "runtime/base/error.hpp"

namespace tessera::meters {
namespace {

constexpr Index kMostWays = 128;  // a set is searched way by way

Index power_of_two_in(Index n) {
  return n & -n;
}

Index floor_power_of_two(Index n) {
  Index power = 1;
  while (2 * power <= n) power *= 2;
  return power;
}

bool is_power_of_two(Index n) {
  return n > 0 && power_of_two_in(n) == n;
}

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The last line that says something, without valgrind's "==123==".
std::string last_words(const std::string& text) {
  std::string words = "it said nothing";
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.starts_with("==") && line.find("== ") != line.npos)
      line.erase(0, line.find("== ") + 3);
    if (line.find_first_not_of(" \t=") != line.npos) words = line;
    begin = end + 1;
  }
  return words.substr(0, 300);
}

/// Pointers for posix_spawn, null at the end.
std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& s : strings) result.push_back(s.data());
  result.push_back(nullptr);
  return result;
}

/// This process's variables, those of `changes` in place of theirs.
std::vector<std::string> environment_with(const std::vector<std::string>& changes) {
  const auto name = [](std::string_view entry) { return entry.substr(0, entry.find('=')); };
  std::vector<std::string> result = changes;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const bool is_changed = std::any_of(changes.begin(), changes.end(), [&](const auto& change) {
      return name(change) == name(*entry);
    });
    if (!is_changed) result.emplace_back(*entry);
  }
  return result;
}

/// Runs argv to its end with the streams closed off, stderr in `messages`; the wait status.
int run_to_end(std::vector<std::string> arguments, std::vector<std::string> environment,
               const std::filesystem::path& messages) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, arguments.front().c_str(), &actions, nullptr,
                                   pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) {
    throw Error(ErrorCode::not_found,
                fmt::format("meter callgrind: got no program \"{}\" in PATH, expected Valgrind "
                            "(Debian package valgrind)",
                            arguments.front()));
  }
  if (error != 0) {
    throw Error(ErrorCode::io_error, fmt::format("meter callgrind: cannot start {}: {}",
                                                 arguments.front(), std::strerror(error)));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    throw Error(ErrorCode::io_error, fmt::format("meter callgrind: cannot wait for {}: {}",
                                                 arguments.front(), std::strerror(errno)));
  }
  return status;
}

}  // namespace

std::string to_string(const CacheGeometry& geometry) {
  return fmt::format("{},{},{}", geometry.bytes, geometry.ways, geometry.line_bytes);
}

CacheGeometry geometry_from_string(const std::string& text) {
  Index numbers[3] = {};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  bool is_good = true;
  for (int i = 0; i < 3 && is_good; ++i) {
    const auto [stop, error] = std::from_chars(at, end, numbers[i]);
    is_good = error == std::errc{} && numbers[i] >= 1 && numbers[i] <= Index{1} << 40 &&
              (i < 2 ? stop != end && *stop == ',' : stop == end);
    at = stop + (i < 2 ? 1 : 0);
  }
  is_good = is_good && numbers[1] <= 1024 && is_power_of_two(numbers[2]) && numbers[2] >= 16 &&
            numbers[2] <= 1024 && numbers[0] >= numbers[1] * numbers[2];
  if (!is_good) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("cache geometry: got \"{}\", expected BYTES,WAYS,LINE such as "
                            "49152,12,64, with lines of 16 to 1024 bytes",
                            text));
  }
  return {.bytes = numbers[0], .ways = static_cast<int>(numbers[1]), .line_bytes = numbers[2]};
}

CacheGeometry geometry_of(const CacheLevel& level, Index line_bytes) {
  return {.bytes = level.bytes, .ways = level.ways > 0 ? level.ways : 8, .line_bytes = line_bytes};
}

CacheGeometry valid_for_callgrind(CacheGeometry asked, const char* name,
                                  std::vector<std::string>& notes) {
  CacheGeometry valid = asked;
  const Index lines = asked.bytes / asked.line_bytes;
  const Index odd = lines / power_of_two_in(lines);
  if (lines % asked.ways == 0 && is_power_of_two(lines / asked.ways)) {
    // as it is
  } else if (odd <= kMostWays) {  // the same size: ways = odd x 2^n, as near as it gets
    Index ways = odd;
    while (2 * ways <= asked.ways && 2 * ways <= lines) ways *= 2;
    valid.ways = static_cast<int>(ways);
  } else {  // a smaller size, by less than the lines of one set
    const Index sets = floor_power_of_two(std::max<Index>(1, lines / asked.ways));
    valid.ways = static_cast<int>(lines / sets);
  }
  valid.bytes = lines / valid.ways * valid.ways * asked.line_bytes;
  if (const Index sets = lines / valid.ways; !is_power_of_two(sets)) {
    valid.bytes = floor_power_of_two(sets) * valid.ways * asked.line_bytes;
  }
  if (!(valid == asked)) {
    notes.push_back(fmt::format(
        "{}: simulated as {} (bytes, ways, line), not {}: callgrind wants a power of two of sets",
        name, to_string(valid), to_string(asked)));
  }
  return valid;
}

Measurement run_callgrind(const CallgrindRun& run) {
  const std::filesystem::path dump = run.directory / "callgrind.out";
  const std::filesystem::path messages = run.directory / "messages.txt";
  std::vector<std::string> arguments{
      run.valgrind,
      "--tool=callgrind",
      "--cache-sim=yes",
      "--simulate-wb=yes",
      "--instr-atstart=no",
      "--combine-dumps=yes",
      "--dump-line=no",
      "--I1=32768,8,64",
      "--D1=" + to_string(run.d1),
      "--LL=" + to_string(run.ll),
      "--callgrind-out-file=" + dump.string(),
      run.executable,
  };
  arguments.insert(arguments.end(), run.arguments.begin(), run.arguments.end());
  const int status = run_to_end(arguments, environment_with(run.environment), messages);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const std::string how = WIFEXITED(status) ? fmt::format("status {}", WEXITSTATUS(status))
                                              : fmt::format("signal {}", WTERMSIG(status));
    throw Error(ErrorCode::io_error,
                fmt::format("meter callgrind: {} ended with {}: {}", run.valgrind, how,
                            last_words(read_all(messages))));
  }
  const std::string text = read_all(dump);
  if (text.empty()) {
    throw Error(ErrorCode::io_error, fmt::format("meter callgrind: {} left no dump: {}",
                                                 run.valgrind, last_words(read_all(messages))));
  }
  return parse_callgrind(text, run.last_level);
}

}  // namespace tessera::meters
