// SPDX-License-Identifier: Apache-2.0
//
// The meter `callgrind`: the same binary under Valgrind's cache simulation. One process starts
// valgrind on itself, the child runs its session once to warm the simulated caches and once between
// client requests, and every op becomes a part of one dump.
//
//   L1   misses of the simulated data cache x line. Callgrind's L1 writes through, so write-backs
//        from it are not counted.
//   L2   misses of its last level x line, and its dirty evictions (--simulate-wb); or L3, if
//        the last level has L3's geometry. One run simulates two levels.
//
// Valgrind knows no AVX-512 and no prefetch instruction, and simulates one thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/types.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/meters/meter.hpp"

namespace tessera::meters {

struct CacheGeometry {
  Index bytes = 0;
  int ways = 0;
  Index line_bytes = 64;

  friend bool operator==(const CacheGeometry&, const CacheGeometry&) = default;
};

/// "49152,12,64", as valgrind takes and prints it.
std::string to_string(const CacheGeometry& geometry);
/// Throws Error{invalid_argument} unless `text` is "bytes,ways,line".
CacheGeometry geometry_from_string(const std::string& text);
/// `level` as the machine has it; 8 ways where they are unknown.
CacheGeometry geometry_of(const CacheLevel& level, Index line_bytes);

/// Callgrind wants bytes = line x ways x a power of two. `asked` if it is so; the same size with
/// other ways where up to 128 do; else fewer bytes. `notes` gets a line if anything is changed.
CacheGeometry valid_for_callgrind(CacheGeometry asked, const char* name,
                                  std::vector<std::string>& notes);

/// Which edge the simulated last level stands for.
enum class LastLevel : std::uint8_t { l2, l3 };

struct CallgrindRun {
  std::string valgrind = "valgrind";       ///< looked up in PATH
  std::string executable{};                ///< this binary
  std::vector<std::string> arguments{};    ///< that make it a child: warm up, then CallgrindMarks
  std::vector<std::string> environment{};  ///< "NAME=value", in place of what is inherited
  CacheGeometry d1{}, ll{};                ///< valid_for_callgrind()
  LastLevel last_level = LastLevel::l2;
  std::filesystem::path directory{};  ///< for the dump and the child's messages
};

/// Runs it to the end, and reads the dump.
/// Errors: not_found (no valgrind), io_error (it failed: with its last words), corrupt_file.
Measurement run_callgrind(const CallgrindRun& run);

/// Reads a dump whose parts are called "op FIRST COUNT" by CallgrindMarks, or "rest FIRST COUNT"
/// for what it wrote back afterwards; other parts are ignored. Errors: corrupt_file naming what
/// is missing.
Measurement parse_callgrind(std::string_view dump, LastLevel last_level);

/// Whether the client requests were compiled in (valgrind/callgrind.h was there).
bool has_callgrind_requests() noexcept;

/// The child's side: attached to a session, each op becomes a part of the dump. Nothing is counted
/// outside Valgrind.
class CallgrindMarks final : public RunObserver {
 public:
  /// evict_bytes > 0: each op is measured alone, as the model counts it. A buffer of that size
  /// (twice the last level) is read before it, so that it begins with cold caches, and after it, so
  /// that what it left changed is written back; those evictions are a part of their own, "rest
  /// FIRST COUNT".
  explicit CallgrindMarks(std::size_t evict_bytes = 0) : evict_(evict_bytes) {}

  static void start() noexcept;  ///< begins to simulate, with cold caches
  static void stop() noexcept;
  void begin_ops(std::size_t op, std::size_t count) noexcept override;
  void end_ops(std::size_t op, std::size_t count) noexcept override;

 private:
  void read_buffer() noexcept;

  // Of the parts; written before they begin.
  [[maybe_unused]] char name_[64] = {}, rest_[64] = {};
  std::vector<unsigned char> evict_;
  unsigned sum_ = 0;  // so that reading is not for nothing
};

}  // namespace tessera::meters
