// SPDX-License-Identifier: Apache-2.0
// The C ABI: a few calls with arguments out of the input, on models that are opened once. No call
// crashes or is TESSERA_INTERNAL; a call that fails says why and leaves what it was to write as it was.
#include <string>
#include <vector>

#include "tests/fuzz/c_api_structs.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::size_t kMostCalls = 5;  // of one input
constexpr std::int64_t kMostRows = std::int64_t{1} << 40;

/// One call after another. Each member reads its arguments from the bytes.
class Calls : private Structs {
 public:
  Calls(Fixture& with, Bytes& bytes) : Structs(with, bytes) {}

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
    if (bytes_.rarely()) options.pooling = static_cast<tessera_pooling>(bytes_.below(8));
    if (bytes_.rarely()) options.normalize = static_cast<std::uint32_t>(bytes_.below(3));
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
