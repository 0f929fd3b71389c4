// SPDX-License-Identifier: Apache-2.0
// The C ABI: a few calls with arguments out of the input, on models that are opened once. No call
// crashes or is TESSERA_INTERNAL; a call that fails says why and leaves what it was to write as it was.
#include <string>
#include <vector>

#include "tests/fuzz/c_api_arguments.hpp"
#include "tests/fuzz/c_api_fixture.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::size_t kMostCalls = 5;  // of one input
constexpr std::size_t kMostMessage = 8192;
constexpr std::int64_t kMostRows = std::int64_t{1} << 40;

void run_lanes(void* context, std::int64_t lanes, void (*body)(void*, std::int64_t), void* arg) {
  const std::int64_t left_out = context == nullptr ? -1 : 0;
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    if (lane != left_out) body(arg, lane);
  }
}

/// One call after another. Each member reads its arguments from the bytes.
class Calls {
 public:
  Calls(Fixture& with, Bytes& bytes) : with_(with), bytes_(bytes) {}
  ~Calls() { tessera_session_close(own_); }

  void call() {
    constexpr std::array kCalls = {&Calls::open_model,    &Calls::create_session,
                                   &Calls::ask_memory,    &Calls::encode_ids,
                                   &Calls::encode_ids,    &Calls::encode_texts,
                                   &Calls::encode_texts,  &Calls::tokenize,
                                   &Calls::encode_pixels, &Calls::encode_pixels,
                                   &Calls::encode_files,  &Calls::compare,
                                   &Calls::search,        &Calls::ask,
                                   &Calls::use_handles,   &Calls::encode_ids,
                                   &Calls::encode_texts,  &Calls::tokenize,
                                   &Calls::compare,       &Calls::search,
                                   &Calls::rank,          &Calls::take_elements,
                                   &Calls::quantize,      &Calls::find_answers,
                                   &Calls::find_entities, &Calls::classify};
    Blocks blocks(bytes_);
    (this->*kCalls[bytes_.below(kCalls.size())])(blocks);
  }

 private:
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

  void open_model(Blocks& blocks) {
    const OpenModel& of = bytes_.below(2) == 0 ? with_.text : with_.image;
    std::vector<tessera_file> files = of.files();
    for (tessera_file& file : files) {
      if (bytes_.rarely()) file.name = blocks.name({"config.json", "../x", "vocab.txt", "a//b"});
      if (bytes_.rarely()) file.size = bytes_.below(file.size + 1);
      if (bytes_.rarely()) file.data = nullptr;
      if (bytes_.rarely()) file.size = SIZE_MAX;  // less could be true
      if (bytes_.rarely()) file.reserved = 1;
    }
    tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
    options.isa = blocks.name({"baseline", "avx2"});
    options.copy_tables = bytes_.number<std::uint32_t>() % 4;
    if (bytes_.rarely()) options.architecture = blocks.name({"BertModel", "BertForMaskedLM"});
    const std::vector<const char*> names = output_names(blocks);
    options.outputs = blocks.copy(names);
    options.output_count = bytes_.rarely() ? bytes_.absurd() : names.size();
    options.memory_cap_bytes = bytes_.number<std::uint64_t>();
    if (bytes_.rarely()) options.tower = static_cast<tessera_tower>(bytes_.number<int>());
    if (bytes_.rarely()) options.precision = static_cast<tessera_precision>(bytes_.number<int>());
    if (bytes_.rarely()) options.route = static_cast<tessera_route>(bytes_.number<int>());
    const std::size_t count = bytes_.rarely() ? 100'001 : files.size();
    tessera_model** const out = blocks.room<tessera_model*>(1);
    const tessera_status status =
        tessera_model_open_memory(blocks.array(files), count, blocks.structure(options), out);
    check(status, blocks);
    if (status != TESSERA_OK) return;
    check(tessera_model_prepare(*out), blocks, true);
    check(tessera_model_close(*out), blocks, true);
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

  void create_session(Blocks& blocks) {
    tessera_session** const out = blocks.room<tessera_session*>(1);
    tessera_model* const of = model();
    const tessera_status status = tessera_session_create(of, session_options(blocks), out);
    check(status, blocks);
    if (status != TESSERA_OK) return;
    tessera_session_close(own_);
    own_ = *out;
    Blocks more(bytes_);
    auto* const memory = reinterpret_cast<tessera_memory*>(more.block(sizeof(tessera_memory)));
    memory->struct_size = sizeof(tessera_memory);
    check(tessera_session_get_memory(own_, memory), more);
    check(tessera_session_trim(own_), more);
  }

  void ask_memory(Blocks& blocks) {
    tessera_model* const of = model();
    tessera_session_options* const options = session_options(blocks);
    check(tessera_memory_bytes(of, options, blocks.structure(tessera_memory TESSERA_MEMORY_INIT)),
          blocks);
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

  void encode_ids(Blocks& blocks) {
    const std::size_t count = bytes_.below(5);
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> ids, types;
    for (std::size_t s = 0; s < count; ++s) {
      for (std::size_t n = 1 + bytes_.below(9); n > 0; --n) {
        ids.push_back(bytes_.rarely() ? bytes_.number<std::int32_t>()
                                      : static_cast<std::int32_t>(bytes_.below(20)));
        types.push_back(static_cast<std::int32_t>(bytes_.rarely() ? bytes_.below(4) : 0));
      }
      offsets.push_back(std::ssize(ids));
    }
    if (bytes_.rarely()) offsets[bytes_.below(offsets.size())] = bytes_.number<std::int64_t>();
    if (believed_rows(offsets) > std::ssize(ids)) return;  // the library has no way to know
    tessera_tokens tokens = TESSERA_TOKENS_INIT;
    tokens.ids = blocks.copy(ids);
    tokens.types = bytes_.below(2) == 0 ? nullptr : blocks.copy(types);
    tokens.offsets = blocks.copy(offsets);
    tokens.count = bytes_.rarely() ? bytes_.absurd() : count;
    tessera_run_options* const options = run_options(blocks, count);
    const std::vector<tessera_output> out = outputs(blocks);
    tessera_session* const of = session(with_.text.session);
    check(
        tessera_encode_ids(of, blocks.structure(tokens), options, blocks.array(out), count_of(out)),
        blocks, of == own_);  // whose pool may fail half-way
  }
  /// How many ids the offsets claim, if no check can refuse them.
  static std::int64_t believed_rows(const std::vector<std::int64_t>& offsets) {
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      if (offsets[0] != 0 || offsets[s + 1] <= offsets[s]) return 0;
      if (offsets[s + 1] - offsets[s] > kMostRows) return 0;
    }
    return offsets.back();
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

  void encode_texts(Blocks& blocks) {
    const std::size_t count = bytes_.below(5);
    bool is_honest = true;
    tessera_texts* const given = texts(blocks, count, is_honest);
    tessera_run_options* const options = run_options(blocks, count);
    const std::vector<tessera_output> out = outputs(blocks);
    std::int64_t* const rows =
        bytes_.below(2) == 0 ? nullptr : blocks.room<std::int64_t>(count + 1);
    tessera_session* const of = session(with_.text.session);
    if (!is_honest) return;
    check(tessera_encode_texts(of, given, options, blocks.array(out), count_of(out), rows), blocks,
          of == own_);
  }

  void rank(Blocks& blocks) {
    const std::size_t queries = bytes_.below(3), documents = bytes_.below(5);
    bool is_honest = true, are_honest = true;
    tessera_texts* const asked = texts(blocks, queries, is_honest);
    tessera_texts* const searched = texts(blocks, documents, are_honest);
    tessera_run_options* const options = run_options(blocks, documents);
    const std::size_t room = bytes_.below(16);
    const std::size_t k = bytes_.rarely() ? bytes_.absurd() : 1 + bytes_.below(5);
    std::int64_t* const ids = blocks.room<std::int64_t>(room);
    float* const scores = bytes_.below(2) == 0 ? nullptr : blocks.room<float>(room);
    float* const logits = bytes_.rarely() ? blocks.room<float>(room) : nullptr;
    tessera_session* const of = session(with_.text.session);
    if (!is_honest || !are_honest) return;
    check(tessera_rank_texts(of, asked, searched, options, k, ids, scores, logits, room), blocks);
  }

  void find_answers(Blocks& blocks) {
    const std::size_t count = bytes_.below(4), room = bytes_.below(16);
    bool is_honest = true;
    tessera_texts* const asked = texts(blocks, count, is_honest);
    tessera_run_options* const options = run_options(blocks, count);
    tessera_answer_options how = TESSERA_ANSWER_OPTIONS_INIT;
    how.may_be_none = bytes_.rarely() ? bytes_.number<std::uint32_t>()
                                      : static_cast<std::uint32_t>(bytes_.below(2));
    how.max_answer_tokens = bytes_.rarely() ? bytes_.number<std::int64_t>()
                                            : static_cast<std::int64_t>(bytes_.below(5));
    how.stride = bytes_.rarely() ? bytes_.number<std::int64_t>()
                                 : static_cast<std::int64_t>(bytes_.below(6)) - 1;
    const std::size_t k = bytes_.rarely() ? bytes_.absurd() : bytes_.below(5);
    tessera_span* const spans = blocks.room<tessera_span>(room);
    tessera_session* const of = session(with_.answers.session);
    if (!is_honest) return;
    check(tessera_find_answers(of, asked, options, blocks.structure(how), k, spans, room), blocks);
  }

  void find_entities(Blocks& blocks) {
    const std::size_t count = bytes_.below(4), room = bytes_.below(40);
    bool is_honest = true;
    tessera_texts* const given = texts(blocks, count, is_honest);
    tessera_run_options* const options = run_options(blocks, count);
    const auto grouping = static_cast<tessera_grouping>(
        bytes_.rarely() ? bytes_.number<std::uint32_t>() & 0x7fffffffU
                        : static_cast<std::uint32_t>(bytes_.below(5)));
    const std::int64_t stride = bytes_.rarely() ? bytes_.number<std::int64_t>()
                                                : static_cast<std::int64_t>(bytes_.below(6)) - 1;
    tessera_span* const spans = blocks.room<tessera_span>(room);
    std::int64_t* const offsets = blocks.room<std::int64_t>(count + 1);
    tessera_session* const of = session(with_.tokens.session);
    if (!is_honest) return;
    check(tessera_find_entities(of, given, options, grouping, stride, spans, room, offsets),
          blocks);
  }

  void classify(Blocks& blocks) {
    constexpr std::array kLabels{"tea", "cat", "", "tea", "a longer label of some words"};
    constexpr std::array<const char*, 4> kHypotheses{nullptr, "a {} .", "{}", "none"};
    const std::size_t count = bytes_.below(4), labels = bytes_.below(4), room = bytes_.below(16);
    bool is_honest = true;
    tessera_texts* const given = texts(blocks, count, is_honest);
    tessera_run_options* const options = run_options(blocks, count);
    std::array<const char*, 4> names{};
    for (std::size_t i = 0; i < labels; ++i) {
      names[i] = bytes_.rarely() ? nullptr : kLabels[bytes_.below(kLabels.size())];
    }
    float* const probabilities = blocks.room<float>(room);
    tessera_session* const of = session(with_.labels.session);
    if (!is_honest) return;
    check(tessera_classify_texts(of, given, options, names.data(), labels,
                                 kHypotheses[bytes_.below(kHypotheses.size())],
                                 bytes_.rarely() ? 2U : static_cast<std::uint32_t>(bytes_.below(2)),
                                 probabilities, room),
          blocks);
  }

  void tokenize(Blocks& blocks) {
    const std::size_t count = bytes_.below(5), capacity = bytes_.below(200);
    bool is_honest = true;
    tessera_texts* const given = texts(blocks, count, is_honest);
    std::int32_t* const ids = blocks.room<std::int32_t>(capacity);
    std::int32_t* const types = blocks.room<std::int32_t>(capacity);
    std::int64_t* const offsets = blocks.room<std::int64_t>(count + 1);
    tessera_model* const of = model();
    if (!is_honest) return;
    check(tessera_tokenize(of, given, ids, types, capacity, offsets), blocks);
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

  void encode_pixels(Blocks& blocks) {
    const std::size_t count = bytes_.below(4);
    std::vector<tessera_pixels> images;
    for (std::size_t i = 0; i < count; ++i) images.push_back(pixels(blocks));
    const tessera_pixels* const list = bytes_.rarely() ? nullptr : blocks.array(images);
    tessera_run_options* const options = run_options(blocks, count);
    const std::vector<tessera_output> out = outputs(blocks);
    std::int64_t* const rows =
        bytes_.below(2) == 0 ? nullptr : blocks.room<std::int64_t>(count + 1);
    tessera_session* const of = session(with_.image.session);
    check(tessera_encode_pixels(of, list, count, options, blocks.array(out), count_of(out), rows),
          blocks, of == own_);
  }

  void encode_files(Blocks& blocks) {
    const std::size_t count = bytes_.below(3);
    std::vector<tessera_file> files;
    for (std::size_t i = 0; i < count; ++i) {
      tessera_file file = TESSERA_FILE_INIT;
      file.name = blocks.name({"a.png"});
      const std::string bytes = with_.photo.substr(0, bytes_.rarely() ? bytes_.byte() : SIZE_MAX);
      file.data = blocks.copy(std::vector<char>(bytes.begin(), bytes.end()));
      file.size = bytes_.rarely() ? bytes_.absurd() : bytes.size();
      if (file.size > bytes.size() && file.size <= PTRDIFF_MAX) continue;
      files.push_back(file);
    }
    const tessera_file* const list = bytes_.rarely() ? nullptr : blocks.array(files);
    tessera_run_options* const options = run_options(blocks, files.size());
    const std::vector<tessera_output> out = outputs(blocks);
    std::int64_t* const rows =
        bytes_.below(2) == 0 ? nullptr : blocks.room<std::int64_t>(files.size() + 1);
    tessera_session* const of = session(with_.image.session);
    check(tessera_encode_images(of, list, files.size(), options, blocks.array(out), count_of(out),
                                rows),
          blocks, of == own_);
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

  void compare(Blocks& blocks) {
    std::size_t m = 0, n = 0;
    tessera_matrix* const a = matrix(blocks, m);
    tessera_matrix* const b = matrix(blocks, n);
    const std::size_t capacity = m * n - (m * n > 0 && bytes_.rarely() ? 1 : 0);
    float* const first = blocks.room<float>(m * n);
    float* const second = bytes_.below(2) == 0 ? nullptr : blocks.room<float>(m * n);
    if (bytes_.below(2) == 0) {
      const auto measure = static_cast<tessera_measure>(bytes_.below(3));
      check(tessera_compare(a, b, measure, first, capacity), blocks);
    } else {
      check(tessera_model_compare(model(), a, b, first, second, capacity), blocks);
    }
  }

  void take_elements(Blocks& blocks) {
    std::vector<float> row(bytes_.below(40));
    for (float& value : row) {
      value = bytes_.below(2) == 0 ? 0.0F : static_cast<float>(bytes_.byte()) - 100.0F;
      if (bytes_.rarely()) value = std::numeric_limits<float>::quiet_NaN();
    }
    auto width = static_cast<std::int64_t>(row.size());
    if (bytes_.rarely()) width = bytes_.below(2) == 0 ? -1 : 0;
    const std::size_t capacity = bytes_.below(48);
    tessera_element* const elements =
        capacity == 0 && bytes_.below(2) == 0 ? nullptr : blocks.room<tessera_element>(capacity);
    std::size_t* const count = bytes_.rarely() ? nullptr : blocks.room<std::size_t>(1);
    const float* const of = bytes_.rarely() ? nullptr : blocks.copy(row);
    check(tessera_sparse_elements(of, width, elements, capacity, count), blocks);
  }

  void quantize(Blocks& blocks) {
    std::size_t rows = 0;
    tessera_matrix* const given = matrix(blocks, rows);
    const auto type = static_cast<tessera_vector_type>(bytes_.below(7));
    const std::size_t capacity = bytes_.below(200);
    std::vector<float> ends(12);  // of the widest row
    for (float& end : ends) end = static_cast<float>(bytes_.byte()) - 100.0F;
    const float* const ranges = bytes_.below(2) == 0 ? nullptr : blocks.copy(ends);
    unsigned char* const out = bytes_.rarely() ? nullptr : blocks.room<unsigned char>(capacity);
    check(tessera_quantize(given, type, ranges, out, capacity), blocks);
  }

  void search(Blocks& blocks) {
    std::size_t n = 0, queries = 0;
    tessera_index** const out = blocks.room<tessera_index*>(1);
    const tessera_status created = tessera_index_create(matrix(blocks, n), out);
    check(created, blocks);
    if (created != TESSERA_OK) return;
    Blocks more(bytes_);
    check(tessera_index_get_info(*out, more.structure(tessera_index_info TESSERA_INDEX_INFO_INIT)),
          more, true);
    tessera_matrix* const given = matrix(more, queries);
    const auto k = bytes_.number<std::size_t>();
    const std::size_t capacity = queries * std::min<std::size_t>(k, 8);
    std::int64_t* const ids = more.room<std::int64_t>(capacity);
    float* const scores = bytes_.below(2) == 0 ? nullptr : more.room<float>(capacity);
    check(tessera_index_search(*out, given, k, ids, scores, capacity), more);
    check(tessera_index_close(*out), more, true);
    require(tessera_index_close(*out) == TESSERA_INVALID_ARGUMENT, "what is closed is no handle");
  }

  void ask(Blocks& blocks) {
    tessera_model* const of = model();
    const auto index = bytes_.number<std::size_t>();
    check(tessera_model_get_info(of, blocks.structure(tessera_model_info TESSERA_MODEL_INFO_INIT)),
          blocks);
    check(tessera_model_get_label(of, index, blocks.room<const char*>(1)), blocks, true);
    tessera_output_info* const info =
        blocks.structure(tessera_output_info TESSERA_OUTPUT_INFO_INIT);
    check(tessera_model_get_output(of, index, info), blocks, true);
    check(tessera_model_find_output(of, blocks.name({"embedding", "logits"}), info), blocks, true);
  }

  void use_handles(Blocks& blocks) {
    const auto garbage = bytes_.number<std::uintptr_t>();
    check(tessera_session_trim(reinterpret_cast<tessera_session*>(garbage)), blocks);
    check(tessera_cancel_request(with_.cancel), blocks);
    check(tessera_cancel_reset(with_.cancel), blocks);
    check(tessera_cancel_close(reinterpret_cast<tessera_cancel*>(garbage)), blocks);
    check(tessera_index_open(blocks.name({"", "/", "nowhere.npy"}), blocks.room<tessera_index*>(1)),
          blocks);
    require(tessera_status_name(static_cast<tessera_status>(garbage % 4096)) != nullptr,
            "every number has a name");
  }

  Fixture& with_;
  Bytes& bytes_;
  tessera_session* own_ = nullptr;
};

}  // namespace

void run(std::string_view input) {
  Bytes bytes(input);
  Calls calls(fixture(), bytes);
  for (std::size_t i = 0; i < kMostCalls && !bytes.empty(); ++i) calls.call();
}

Seeds seeds() {
  Seeds out;
  for (char call = 0; call < 23; ++call) {
    // Nothing rare, in three ways; and the same behind a session of its own.
    for (const char fill : {'\0', '\1', '\3'}) {
      const std::string bytes = call + std::string(120, fill);
      out.emplace_back("call" + std::to_string(int{call}) + "-" + std::to_string(int{fill}), bytes);
    }
  }
  return out;
}

}  // namespace tessera::fuzz
