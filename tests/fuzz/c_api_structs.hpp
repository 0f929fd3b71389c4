// SPDX-License-Identifier: Apache-2.0
// The structs that calls of the C ABI take, out of the input, and what holds of every call.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/c_api_arguments.hpp"
#include "tests/fuzz/c_api_fixture.hpp"

namespace tessera::fuzz {

inline constexpr std::size_t kMostMessage = 8192;

inline void run_lanes(void* context, std::int64_t lanes, void (*body)(void*, std::int64_t),
                      void* arg) {
  const std::int64_t left_out = context == nullptr ? -1 : 0;
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    if (lane != left_out) body(arg, lane);
  }
}

/// Arguments of calls. What is large is as large as it says; rarely something is what no check lets
/// through.
class Structs {
 protected:
  Structs(Fixture& with, Bytes& bytes) : with_(with), bytes_(bytes) {}
  ~Structs() { tessera_session_close(own_); }

  /// What holds of every call.
  static void check(tessera_status status, const Blocks& blocks, bool may_write_some = false) {
    require(status != TESSERA_INTERNAL, tessera_last_error());
    require(std::string_view(tessera_status_name(status)).starts_with("TESSERA_"),
            "a status is one that there is");
    if (status == TESSERA_OK) return;
    const std::string_view message = tessera_last_error();
    require(!message.empty() && message.size() <= kMostMessage, "a failure has a message");
    require(
        status != TESSERA_INVALID_ARGUMENT || message.find("expected") != std::string_view::npos,
        tessera_last_error());
    require(blocks.untouched() || may_write_some || status == TESSERA_CANCELLED,
            "what fails writes nothing");
  }

  tessera_model* model() {
    const std::array all = {with_.text.model, with_.image.model, with_.both.model};
    if (bytes_.rarely()) return reinterpret_cast<tessera_model*>(bytes_.number<std::uintptr_t>());
    return all[bytes_.below(all.size())];
  }

  tessera_session* session(tessera_session* usual) {
    if (bytes_.rarely()) return reinterpret_cast<tessera_session*>(bytes_.number<std::uintptr_t>());
    if (bytes_.rarely()) return with_.image.session;
    return own_ != nullptr && bytes_.below(2) == 0 ? own_ : usual;
  }

  std::vector<const char*> output_names(Blocks& blocks) {
    std::vector<const char*> names(bytes_.below(4));
    for (const char*& name : names) {
      name = blocks.name({"embedding", "last_hidden_state", "hidden_states.1", "pooler_output"});
    }
    return names;
  }

  tessera_session_options* session_options(Blocks& blocks) {
    tessera_session_options options = TESSERA_SESSION_OPTIONS_INIT;
    options.threads = 1;
    // What is large and allowed (1024 threads) takes time that says nothing.
    if (bytes_.rarely()) options.threads = bytes_.below(2) == 0 ? -1 : 1025;
    options.max_rows = bytes_.number<std::int64_t>();
    // Of 2^31 rows a plan takes a second, and a minute here.
    if (options.max_rows < std::int64_t{1} << 31) {
      options.max_rows = std::min<std::int64_t>(options.max_rows, 4096);
    }
    options.max_sequences = bytes_.number<std::int64_t>();
    const std::vector<const char*> names = output_names(blocks);
    options.outputs = names.empty() ? nullptr : blocks.copy(names);
    options.output_count = bytes_.rarely() ? bytes_.absurd() : names.size();
    if (bytes_.rarely()) options.policy = static_cast<tessera_limit_policy>(bytes_.number<int>());
    // Fitting rows to a cap makes a plan for each number that it tries: only where it has to be.
    constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;
    if (options.max_rows > 64) options.memory_cap_bytes = kMostBytes;
    if (bytes_.rarely()) {
      options.memory_cap_bytes = std::min(bytes_.number<std::uint64_t>() << 12, kMostBytes - 1) + 1;
    }
    if (bytes_.rarely()) options.parallel_for = run_lanes;
    if (bytes_.rarely()) options.parallel_for_context = &with_;
    if (bytes_.rarely()) options.concurrent_calls = bytes_.below(2) == 0 ? 2 : 1025;
    if (bytes_.rarely()) options.busy = static_cast<tessera_busy_policy>(bytes_.number<int>());
    if (bytes_.rarely()) options.reserved = 1;
    return blocks.structure(options);
  }

  tessera_run_options* run_options(Blocks& blocks, std::size_t items) {
    if (bytes_.below(2) == 0) return nullptr;
    tessera_run_options options = TESSERA_RUN_OPTIONS_INIT;
    options.interpolate_positions = static_cast<std::uint32_t>(bytes_.below(3));
    if (bytes_.rarely()) options.cancel = with_.cancel;
    if (bytes_.rarely()) {
      options.cancel = reinterpret_cast<tessera_cancel*>(bytes_.number<std::uintptr_t>());
    }
    if (bytes_.rarely()) options.timeout_ns = bytes_.number<std::int64_t>();
    if (bytes_.below(2) == 0) options.item_status = blocks.room<tessera_status>(items);
    if (bytes_.rarely()) options.max_pixels = bytes_.number<std::int64_t>();
    return blocks.structure(options);
  }

  /// Rooms of random sizes, which are as large as they say.
  std::vector<tessera_output> outputs(Blocks& blocks) {
    std::vector<tessera_output> all(1 + bytes_.below(3));
    for (tessera_output& output : all) {
      output.name = blocks.name({"embedding", "last_hidden_state", "logits", "hidden_states.0"});
      const std::size_t floats = bytes_.below(4) == 0 ? bytes_.below(256) : 4096;
      output.capacity = floats - (bytes_.rarely() ? floats / 2 : 0);
      output.data = blocks.room<float>(floats);
      if (bytes_.rarely()) output.row_stride = bytes_.number<std::int64_t>();
      if (bytes_.rarely()) output.reserved = 1;
    }
    return all;
  }

  std::size_t count_of(const std::vector<tessera_output>& all) {
    if (!bytes_.rarely()) return all.size();
    return bytes_.below(2) == 0 ? 0 : bytes_.absurd();
  }

  /// `count` and `given` agree but where a count is absurd.
  tessera_texts* texts(Blocks& blocks, std::size_t count, bool& is_honest) {
    const bool has_lengths = bytes_.below(2) == 0, has_pairs = bytes_.rarely();
    std::vector<const char*> list, pairs;
    std::vector<std::size_t> lengths, pair_lengths;
    const auto add = [&](std::vector<const char*>& to, std::vector<std::size_t>& sizes) {
      const std::string text = bytes_.below(3) == 0 ? bytes_.text(40) : "hello world, the cat";
      to.push_back(bytes_.rarely() ? nullptr : blocks.c_string(text));
      sizes.push_back(bytes_.rarely() ? std::size_t{1} << 63 : text.size());
    };
    for (std::size_t s = 0; s < count; ++s) {
      add(list, lengths);
      add(pairs, pair_lengths);
    }
    tessera_texts given = TESSERA_TEXTS_INIT;
    given.texts = blocks.copy(list);
    if (has_lengths) given.lengths = blocks.copy(lengths);
    if (has_pairs) given.pairs = blocks.copy(pairs);
    if (has_pairs && has_lengths) given.pair_lengths = blocks.copy(pair_lengths);
    given.count = bytes_.rarely() ? bytes_.absurd() : count;
    is_honest = given.count == count || given.texts != nullptr;
    if (bytes_.rarely()) given.truncation = static_cast<tessera_truncation>(bytes_.number<int>());
    if (bytes_.rarely()) given.max_tokens = bytes_.number<std::int64_t>();
    if (bytes_.rarely()) given.prompt = blocks.name({"query: "});
    if (bytes_.rarely()) given.prompt_name = blocks.name({"query"});
    if (bytes_.below(2) == 0) given.is_cut = blocks.room<unsigned char>(count);
    return blocks.structure(given);
  }

  tessera_pixels pixels(Blocks& blocks) {
    tessera_pixels image = TESSERA_PIXELS_INIT;
    image.channels = bytes_.below(3) == 0 ? bytes_.number<std::uint32_t>() : 3;
    image.height = 1 + static_cast<std::int64_t>(bytes_.below(40));
    image.width = 1 + static_cast<std::int64_t>(bytes_.below(40));
    if (bytes_.rarely()) image.row_stride = bytes_.number<std::int64_t>();
    if (bytes_.below(4) == 0) image.format = static_cast<tessera_pixel_format>(bytes_.below(4));
    const bool is_planes = image.format == TESSERA_PIXELS_PLANES;
    const auto area = static_cast<std::size_t>(image.height * image.width);
    const std::size_t channels = image.channels % 5;
    // Rows that lie further apart than the block is long: nobody can know, so they do not.
    const auto tight = image.width * static_cast<std::int64_t>(channels);
    if (image.row_stride > tight && image.row_stride < std::int64_t{1} << 60 && image.height > 1) {
      image.row_stride = tight;
    }
    if (is_planes != bytes_.rarely()) {
      std::vector<float> planes(area * std::max<std::size_t>(channels, 1), 0.25F);
      planes[bytes_.below(planes.size())] = static_cast<float>(bytes_.byte()) / 250.0F;
      image.planes = blocks.copy(planes);
    } else {
      image.data = blocks.copy(
          std::vector<std::uint8_t>(area * std::max<std::size_t>(channels, 1), bytes_.byte()));
    }
    // Sizes that no check lets through.
    if (bytes_.rarely()) image.height = bytes_.below(2) == 0 ? 0 : std::int64_t{1} << 33;
    if (bytes_.rarely()) image.width = bytes_.below(2) == 0 ? -1 : PTRDIFF_MAX;
    if (bytes_.rarely()) image.reserved = 1;
    return image;
  }

  tessera_matrix* matrix(Blocks& blocks, std::size_t& rows) {
    tessera_matrix given = TESSERA_MATRIX_INIT;
    rows = bytes_.below(5);
    given.rows = rows;
    given.width = 1 + static_cast<std::int64_t>(bytes_.below(6));
    std::vector<float> values(rows * static_cast<std::size_t>(given.width));
    for (float& value : values) value = static_cast<float>(bytes_.byte()) - 100.0F;
    if (!values.empty() && bytes_.rarely()) {
      values[bytes_.below(values.size())] = bytes_.below(2) == 0
                                                ? std::numeric_limits<float>::quiet_NaN()
                                                : std::numeric_limits<float>::max();
    }
    given.data = blocks.copy(values);
    // Numbers that no check lets through, whatever the other is.
    if (bytes_.rarely()) given.rows = bytes_.absurd();
    if (bytes_.rarely()) given.width = bytes_.below(2) == 0 ? 0 : std::int64_t{1} << 62;
    if (bytes_.rarely() && rows <= 1) given.row_stride = bytes_.number<std::int64_t>();
    if (bytes_.rarely()) given.reserved = 1;
    return blocks.structure(given);
  }

  Fixture& with_;
  Bytes& bytes_;
  tessera_session* own_ = nullptr;  // that a call made
};

}  // namespace tessera::fuzz
