// SPDX-License-Identifier: Apache-2.0
//
// Tessera for C++20: owning classes, spans and exceptions over tessera.h; headers only, so that
// there is no C++ ABI. What a function does, its shapes and errors are said in tessera.h; here
// every status but TESSERA_OK becomes a tessera::Error.
//
//   const tessera::Model model("all-MiniLM-L6-v2");
//   tessera::Session session(model);
//   const std::vector<float> embedding = session.embed("how do I brew tea");
//
// Where this header is compiled without NDEBUG, the library's warnings go to stderr, unless the program
// calls tessera_set_log_callback() or defines TESSERA_NO_DEBUG_WARNINGS. The library never prints.
//
// Everything is in tessera::v0, an inline namespace: the symbols differ from those inside the
// library, also in a program that links both.
#ifndef TESSERA_TESSERA_HPP
#define TESSERA_TESSERA_HPP

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 202002L
#error \
    "tessera.hpp needs C++20 (-std=c++20; CMake's tessera::tessera asks for it): or use tessera.h"
#else  // to the end: this is the one error of the header

#if !defined(NDEBUG) && !defined(TESSERA_NO_DEBUG_WARNINGS)
#include <fcntl.h>
#include <unistd.h>
#endif

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tessera/tessera.h"

namespace tessera {
inline namespace v0 {

/// A status that is not TESSERA_OK; what() is tessera_last_error(): where, what, got, expected.
class Error : public std::runtime_error {
 public:
  Error(tessera_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  tessera_status status() const noexcept { return status_; }

 private:
  tessera_status status_;
};

namespace detail {

inline void check(tessera_status status) {
  if (status != TESSERA_OK) throw Error(status, tessera_last_error());
}

/// Not std::to_string(): its table of digits would keep a shared object loaded (STB_GNU_UNIQUE).
inline std::string number(std::size_t n) {
  char text[24];
  std::snprintf(text, sizeof text, "%zu", n);
  return text;
}

inline const char* null_if_empty(const std::string& text) noexcept {
  return text.empty() ? nullptr : text.c_str();
}

inline std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> result;
  result.reserve(texts.size());
  for (const std::string& text : texts) result.push_back(text.c_str());
  return result;
}

/// A handle that is closed with its owner.
template <class Handle, tessera_status (*kClose)(Handle*)>
class Owner {
 public:
  Owner() = default;
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owner() { static_cast<void>(kClose(handle_)); }

  Handle* get() const noexcept { return handle_; }
  Handle** out() noexcept { return &handle_; }

 private:
  Handle* handle_ = nullptr;
};

#if !defined(NDEBUG) && !defined(TESSERA_NO_DEBUG_WARNINGS)
/// One for each source file, as long as its program or shared object is loaded.
struct DebugWarnings {
  DebugWarnings() noexcept {
    static_cast<void>(tessera_set_fallback_log_callback(
        [](void*, tessera_log_level level, const char* message) {
          if (level != TESSERA_LOG_WARNING || !has_stderr()) return;
          std::fprintf(stderr, "tessera: warning: %s\n", message);
        },
        this));
  }
  DebugWarnings(const DebugWarnings&) = delete;
  DebugWarnings& operator=(const DebugWarnings&) = delete;
  ~DebugWarnings() { static_cast<void>(tessera_set_fallback_log_callback(nullptr, this)); }

 private:
  /// A terminal, or open for writing only: else descriptor 2 is something that the program has opened
  /// where stderr was closed.
  static bool has_stderr() noexcept {
    const int flags = fcntl(STDERR_FILENO, F_GETFL);
    return flags >= 0 && ((flags & O_ACCMODE) == O_WRONLY || isatty(STDERR_FILENO) == 1);
  }
};
// No inline variable: that would keep a shared object loaded (STB_GNU_UNIQUE).
static const DebugWarnings debug_warnings;  // NOLINT(misc-definitions-in-headers)
#endif

}  // namespace detail

/// Fields as in tessera_model_options; empty or 0: the default.
struct ModelOptions {
  std::string isa = {};
  std::string architecture = {};
  std::vector<std::string> outputs = {};
  std::string packed_cache = {};
  std::uint64_t memory_cap_bytes = 0;
  bool copy_tables = false;
  tessera_tower tower = TESSERA_TOWER_AUTOMATIC;
  tessera_precision precision = TESSERA_PRECISION_FP32;
  std::int64_t dims = 0;
  tessera_pooling pooling = TESSERA_POOLING_AUTOMATIC;
  bool normalize = false;
  std::int64_t top_k = 0;
  tessera_route route = TESSERA_ROUTE_AUTOMATIC;
};

/// A file in memory. See tessera_model_open_memory() for how long `data` must live.
struct File {
  std::string name;
  std::span<const std::byte> data;
};

namespace detail {
inline std::vector<tessera_file> convert(std::span<const File> files) {
  std::vector<tessera_file> result;
  for (const File& file : files) {
    tessera_file c = TESSERA_FILE_INIT;
    c.name = file.name.c_str();
    c.data = file.data.data();
    c.size = file.data.size();
    result.push_back(c);
  }
  return result;
}
}  // namespace detail

/// Fields as in tessera_texts.
struct TextOptions {
  tessera_truncation truncation = TESSERA_TRUNCATE_AS_PUBLISHED;
  std::int64_t max_tokens = 0;
  const char* prompt = nullptr;
  const char* prompt_name = nullptr;
  unsigned char* is_cut = nullptr;
};

/// Texts with what is to be done with them; the views must outlive the object.
class Texts {
 public:
  Texts(std::span<const std::string_view> texts, const TextOptions& options = {})
      : Texts(texts, {}, options) {}
  Texts(std::initializer_list<std::string_view> texts, const TextOptions& options = {})
      : Texts(std::span(texts.begin(), texts.size()), options) {}
  Texts(const std::vector<std::string>& texts, const TextOptions& options = {})
      : Texts(std::span<const std::string_view>(
                  std::vector<std::string_view>(texts.begin(), texts.end())),
              options) {}
  Texts(const std::vector<std::string_view>& texts, const TextOptions& options = {})
      : Texts(std::span<const std::string_view>(texts), options) {}
  Texts(const std::vector<const char*>& texts, const TextOptions& options = {})
      : Texts(std::span<const std::string_view>(
                  std::vector<std::string_view>(texts.begin(), texts.end())),
              options) {}
  /// One text.
  Texts(std::string_view text, const TextOptions& options = {})
      : Texts(std::span(&text, 1), options) {}
  Texts(const char* text, const TextOptions& options = {})
      : Texts(std::string_view(text), options) {}
  Texts(const std::string& text, const TextOptions& options = {})
      : Texts(std::string_view(text), options) {}
  /// Pairs: (texts[s], pairs[s]).
  Texts(std::span<const std::string_view> texts, std::span<const std::string_view> pairs,
        const TextOptions& options = {}) {
    if (!pairs.empty() && pairs.size() != texts.size()) {
      throw Error(TESSERA_INVALID_ARGUMENT, "texts: " + detail::number(pairs.size()) +
                                                " pairs, expected " + detail::number(texts.size()));
    }
    split(texts, pointers_, lengths_);
    split(pairs, pair_pointers_, pair_lengths_);
    texts_.truncation = options.truncation;
    texts_.count = texts.size();
    texts_.max_tokens = options.max_tokens;
    texts_.prompt = options.prompt;
    texts_.prompt_name = options.prompt_name;
    texts_.is_cut = options.is_cut;
  }
  std::size_t size() const noexcept { return texts_.count; }
  tessera_texts get() const noexcept {
    tessera_texts result = texts_;
    result.texts = pointers_.data();
    result.lengths = lengths_.data();
    if (!pair_pointers_.empty()) {
      result.pairs = pair_pointers_.data();
      result.pair_lengths = pair_lengths_.data();
    }
    return result;
  }

 private:
  static void split(std::span<const std::string_view> texts, std::vector<const char*>& pointers,
                    std::vector<std::size_t>& lengths) {
    for (const std::string_view text : texts) {
      pointers.push_back(text.data());
      lengths.push_back(text.size());
    }
  }

  tessera_texts texts_ = TESSERA_TEXTS_INIT;
  std::vector<const char*> pointers_, pair_pointers_;
  std::vector<std::size_t> lengths_, pair_lengths_;
};

/// What Model::tokenize() gives and Session::encode() takes.
struct Tokens {
  std::vector<std::int32_t> ids = {};      // (ΣT)
  std::vector<std::int32_t> types = {};    // (ΣT), or empty: all 0
  std::vector<std::int64_t> offsets = {};  // (S+1)
};

struct OutputInfo {
  std::string name;
  std::int64_t width = 0;     ///< floats of a row
  bool is_per_token = false;  ///< a row per token, else per sequence
};

class Model {
 public:
  explicit Model(const std::filesystem::path& directory, const ModelOptions& options = {}) {
    const std::vector<const char*> names = detail::pointers(options.outputs);
    const tessera_model_options c = convert(options, names);
    detail::check(tessera_model_open(directory.c_str(), &c, handle_.out()));
  }
  explicit Model(std::span<const File> files, const ModelOptions& options = {}) {
    const std::vector<tessera_file> c_files = detail::convert(files);
    const std::vector<const char*> names = detail::pointers(options.outputs);
    const tessera_model_options c = convert(options, names);
    detail::check(tessera_model_open_memory(c_files.data(), c_files.size(), &c, handle_.out()));
  }

  tessera_model* get() const noexcept { return handle_.get(); }
  void prepare() { detail::check(tessera_model_prepare(get())); }

  /// The strings in it live as long as the model.
  tessera_model_info info() const {
    tessera_model_info info = TESSERA_MODEL_INFO_INIT;
    detail::check(tessera_model_get_info(get(), &info));
    return info;
  }
  std::vector<std::string> labels() const {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < info().label_count; ++i) {
      const char* label = nullptr;
      detail::check(tessera_model_get_label(get(), i, &label));
      result.emplace_back(label);
    }
    return result;
  }
  std::vector<OutputInfo> outputs() const {
    std::vector<OutputInfo> result;
    for (std::size_t i = 0; i < info().output_count; ++i) {
      tessera_output_info c = TESSERA_OUTPUT_INFO_INIT;
      detail::check(tessera_model_get_output(get(), i, &c));
      result.push_back({c.name, c.width, c.is_per_token == 1});
    }
    return result;
  }
  /// "": the main output.
  OutputInfo output(const std::string& name = {}) const {
    tessera_output_info c = TESSERA_OUTPUT_INFO_INIT;
    detail::check(tessera_model_find_output(get(), detail::null_if_empty(name), &c));
    return {c.name, c.width, c.is_per_token == 1};
  }

  /// Name and text of each prompt of the model's files, by name.
  std::vector<std::pair<std::string, std::string> > prompts() const {
    std::vector<std::pair<std::string, std::string> > result;
    for (std::size_t i = 0; i < info().prompt_count; ++i) {
      const char* name = nullptr;
      const char* text = nullptr;
      detail::check(tessera_model_get_prompt(get(), i, &name, &text));
      result.emplace_back(name, text);
    }
    return result;
  }
  /// "##ing"; "" where no token has this id.
  std::string token(std::int64_t id) const {
    std::size_t size = 0;
    detail::check(tessera_model_get_token(get(), id, nullptr, 0, &size));
    std::string text(size, '\0');
    if (size > 0) detail::check(tessera_model_get_token(get(), id, text.data(), size, &size));
    return text;
  }

  Tokens tokenize(const Texts& texts) const {
    const tessera_texts c = texts.get();
    Tokens tokens;
    tokens.offsets.resize(texts.size() + 1);
    detail::check(tessera_tokenize(get(), &c, nullptr, nullptr, 0, tokens.offsets.data()));
    tokens.ids.resize(static_cast<std::size_t>(tokens.offsets.back()));
    tokens.types.resize(tokens.ids.size());
    detail::check(tessera_tokenize(get(), &c, tokens.ids.data(), tokens.types.data(),
                                   tokens.ids.size(), tokens.offsets.data()));
    return tokens;
  }

 private:
  static tessera_model_options convert(const ModelOptions& options,
                                       const std::vector<const char*>& names) {
    tessera_model_options c = TESSERA_MODEL_OPTIONS_INIT;
    c.copy_tables = options.copy_tables ? 1 : 0;
    c.isa = detail::null_if_empty(options.isa);
    c.architecture = detail::null_if_empty(options.architecture);
    c.outputs = names.data();
    c.output_count = names.size();
    c.packed_cache = detail::null_if_empty(options.packed_cache);
    c.memory_cap_bytes = options.memory_cap_bytes;
    c.tower = options.tower;
    c.precision = options.precision;
    c.dims = options.dims;
    c.pooling = options.pooling;
    c.normalize = options.normalize ? 1 : 0;
    c.top_k = options.top_k;
    c.route = options.route;
    return c;
  }

  detail::Owner<tessera_model, tessera_model_close> handle_;
};

/// Fields as in tessera_session_options; empty or 0: the default.
struct SessionOptions {
  int threads = 0;
  std::int64_t max_rows = 0, max_sequences = 0;
  std::vector<std::string> outputs = {};
  tessera_limit_policy policy = TESSERA_LIMIT_SPLIT;
  std::uint64_t memory_cap_bytes = 0;
  tessera_parallel_for parallel_for = nullptr;
  void* parallel_for_context = nullptr;
  std::uint32_t concurrent_calls = 0;
  tessera_busy_policy busy = TESSERA_BUSY_REFUSE;
};

/// Ends runs from another thread.
class Cancel {
 public:
  Cancel() { detail::check(tessera_cancel_create(handle_.out())); }
  void request() { detail::check(tessera_cancel_request(get())); }
  void reset() { detail::check(tessera_cancel_reset(get())); }
  tessera_cancel* get() const noexcept { return handle_.get(); }

 private:
  detail::Owner<tessera_cancel, tessera_cancel_close> handle_;
};

struct RunOptions {
  const Cancel* cancel = nullptr;
  std::chrono::nanoseconds timeout{0};  ///< 0: none
  bool interpolate_positions = false;
  /// (S) written: what became of each text or image; one that fails does not fail the others then.
  /// Empty: it does. embed() leaves the rows of those that failed 0.
  std::span<tessera_status> item_status = {};
  std::int64_t max_pixels = 0;  ///< of an image as it is given; 0: the default
};

/// Where one output goes; an array of them is an array of tessera_output.
struct Output : tessera_output {
  /// NULL: the main output. `stride`: floats from row to row, 0: the width.
  Output(const char* name_, std::span<float> data_, std::int64_t stride = 0)
      : tessera_output(TESSERA_OUTPUT_INIT) {
    name = name_;
    data = data_.data();
    capacity = data_.size();
    row_stride = stride;
  }
};
static_assert(sizeof(Output) == sizeof(tessera_output));

struct Hit {
  std::int64_t id = 0;  ///< the number of a row, or of a document
  float score = 0;
};

/// A place in a text, as in tessera_span.
struct Span {
  std::int64_t begin, end;  ///< code points
  float score;
  std::int32_t label;
  std::string text;  ///< what stands there
};

/// Fields as in tessera_answer_options.
struct AnswerOptions {
  bool may_be_none = false;
  std::int64_t max_answer_tokens = 0;
  std::int64_t stride = -1;
};

class Session {
 public:
  explicit Session(const Model& model, const SessionOptions& options = {}) {
    const std::vector<const char*> names = detail::pointers(options.outputs);
    const tessera_session_options c = convert(options, names);
    detail::check(tessera_session_create(model.get(), &c, handle_.out()));
    output_ = model.output(options.outputs.empty() ? std::string{} : options.outputs.front());
  }

  /// What such a session would take.
  static tessera_memory memory_bytes(const Model& model, const SessionOptions& options = {}) {
    const std::vector<const char*> names = detail::pointers(options.outputs);
    const tessera_session_options c = convert(options, names);
    tessera_memory memory = TESSERA_MEMORY_INIT;
    detail::check(tessera_memory_bytes(model.get(), &c, &memory));
    return memory;
  }
  tessera_memory memory() const {
    tessera_memory memory = TESSERA_MEMORY_INIT;
    detail::check(tessera_session_get_memory(get(), &memory));
    return memory;
  }
  void trim() { detail::check(tessera_session_trim(get())); }

  /// tessera_session_describe_plan()
  std::string plan(std::int64_t rows, std::int64_t sequences = 0,
                   tessera_plan_format format = TESSERA_PLAN_TEXT) const {
    std::string result;
    detail::check(tessera_session_describe_plan(
        get(), rows, sequences, format,
        [](void* context, const char* text, std::size_t size) {
          static_cast<std::string*>(context)->assign(text, size);
        },
        &result));
    return result;
  }

  tessera_session* get() const noexcept { return handle_.get(); }

  /// tessera_encode_ids(); `types` may be empty. Allocates nothing.
  void encode(std::span<const std::int32_t> ids, std::span<const std::int32_t> types,
              std::span<const std::int64_t> offsets, std::span<const Output> outputs,
              const RunOptions& options = {}) {
    if (offsets.empty() ||
        (offsets.back() >= 0 && std::cmp_not_equal(offsets.back(), ids.size())) ||
        (!types.empty() && types.size() != ids.size())) {
      throw Error(TESSERA_INVALID_ARGUMENT,
                  "encode: offsets and types do not fit ids, expected offsets up to " +
                      detail::number(ids.size()) + " and as many types, or none");
    }
    tessera_tokens c = TESSERA_TOKENS_INIT;
    c.ids = ids.data();
    c.types = types.empty() ? nullptr : types.data();
    c.offsets = offsets.data();
    c.count = offsets.size() - 1;
    const tessera_run_options run = convert(options, options.item_status.size());
    detail::check(tessera_encode_ids(get(), &c, &run, outputs.data(), outputs.size()));
  }
  void encode(const Tokens& tokens, std::span<const Output> outputs,
              const RunOptions& options = {}) {
    encode(tokens.ids, tokens.types, tokens.offsets, outputs, options);
  }
  void encode(const Tokens& tokens, std::initializer_list<Output> outputs,
              const RunOptions& options = {}) {
    encode(tokens, std::span(outputs.begin(), outputs.size()), options);
  }

  /// tessera_encode_texts(); returns the row offsets, (S+1).
  std::vector<std::int64_t> encode(const Texts& texts, std::span<const Output> outputs,
                                   const RunOptions& options = {}) {
    const tessera_texts c = texts.get();
    const tessera_run_options run = convert(options, texts.size());
    std::vector<std::int64_t> offsets(texts.size() + 1);
    detail::check(
        tessera_encode_texts(get(), &c, &run, outputs.data(), outputs.size(), offsets.data()));
    return offsets;
  }

  /// tessera_encode_pixels() and tessera_encode_images(); return the row offsets, (S+1).
  std::vector<std::int64_t> encode(std::span<const tessera_pixels> images,
                                   std::span<const Output> outputs,
                                   const RunOptions& options = {}) {
    const tessera_run_options run = convert(options, images.size());
    std::vector<std::int64_t> offsets(images.size() + 1);
    detail::check(tessera_encode_pixels(get(), images.data(), images.size(), &run, outputs.data(),
                                        outputs.size(), offsets.data()));
    return offsets;
  }
  std::vector<std::int64_t> encode(std::span<const File> files, std::span<const Output> outputs,
                                   const RunOptions& options = {}) {
    const std::vector<tessera_file> c = detail::convert(files);
    const tessera_run_options run = convert(options, files.size());
    std::vector<std::int64_t> offsets(files.size() + 1);
    detail::check(tessera_encode_images(get(), c.data(), c.size(), &run, outputs.data(),
                                        outputs.size(), offsets.data()));
    return offsets;
  }

  /// tessera_encode_image_files().
  std::vector<std::int64_t> encode(std::span<const std::filesystem::path> files,
                                   std::span<const Output> outputs,
                                   const RunOptions& options = {}) {
    std::vector<const char*> paths;
    for (const std::filesystem::path& file : files) paths.push_back(file.c_str());
    const tessera_run_options run = convert(options, files.size());
    std::vector<std::int64_t> offsets(files.size() + 1);
    detail::check(tessera_encode_image_files(get(), paths.data(), paths.size(), &run,
                                             outputs.data(), outputs.size(), offsets.data()));
    return offsets;
  }

  /// The session's first output of every text, (S, width()): embeddings, or a classifier's logits.
  /// Error: INVALID_ARGUMENT if that output has a row per token.
  std::vector<float> embed(const Texts& texts, const RunOptions& options = {}) {
    return embed_all(texts, texts.size(), options);
  }
  /// As above, of image files by their paths, (S, width()).
  std::vector<float> embed_images(std::span<const std::filesystem::path> files,
                                  const RunOptions& options = {}) {
    return embed_all(files, files.size(), options);
  }
  std::vector<float> embed_images(std::initializer_list<std::filesystem::path> files,
                                  const RunOptions& options = {}) {
    return embed_images(std::span(files.begin(), files.size()), options);
  }
  std::vector<float> embed_images(const std::filesystem::path& file,
                                  const RunOptions& options = {}) {
    return embed_images(std::span(&file, 1), options);
  }
  std::int64_t width() const noexcept { return output_.width; }

  /// tessera_rank_texts() of one query: the best `k` documents, best first; 0: all of them. No
  /// documents, no hits.
  std::vector<Hit> rank(const Texts& query, const Texts& documents, std::size_t k = 0,
                        const RunOptions& options = {}) {
    const tessera_texts q = query.get(), d = documents.get();
    const tessera_run_options run = convert(options, documents.size());
    if (query.size() != 1) {
      throw Error(TESSERA_INVALID_ARGUMENT,
                  "rank: got " + detail::number(query.size()) + " queries, expected 1");
    }
    if (k == 0) k = documents.size();
    const std::size_t count = k < documents.size() ? k : documents.size();
    std::vector<std::int64_t> ids(count);
    std::vector<float> scores(count);
    if (documents.size() > 0) {
      detail::check(
          tessera_rank_texts(get(), &q, &d, &run, k, ids.data(), scores.data(), nullptr, count));
    }
    std::vector<Hit> hits;
    for (std::size_t i = 0; i < count; ++i) {
      if (ids[i] >= 0) hits.push_back({ids[i], scores[i]});
    }
    return hits;
  }

  /// tessera_find_answers() of one question: the best `k` answers in `context`, best first.
  std::vector<Span> find_answers(std::string_view question, std::string_view context,
                                 std::size_t k = 1, const AnswerOptions& how = {},
                                 const RunOptions& options = {}) {
    if (k > (std::size_t{1} << 24)) {
      throw Error(TESSERA_INVALID_ARGUMENT,
                  "find_answers: k is " + detail::number(k) + ", expected at most 16777216");
    }
    const Texts texts(std::span(&question, 1), std::span(&context, 1));
    const tessera_texts c = texts.get();
    const tessera_run_options run = convert(options, 1);
    tessera_answer_options answer = TESSERA_ANSWER_OPTIONS_INIT;
    answer.may_be_none = how.may_be_none ? 1 : 0;
    answer.max_answer_tokens = how.max_answer_tokens;
    answer.stride = how.stride;
    std::vector<tessera_span> spans(k);
    detail::check(tessera_find_answers(get(), &c, &run, &answer, k, spans.data(), spans.size()));
    std::vector<Span> answers;
    for (const tessera_span& span : spans) {
      if (span.score >= 0.0F) answers.push_back(convert(span, context));
    }
    return answers;
  }

  /// tessera_find_entities() of one text.
  std::vector<Span> find_entities(std::string_view text,
                                  tessera_grouping grouping = TESSERA_GROUP_SIMPLE,
                                  std::int64_t stride = -1, const RunOptions& options = {}) {
    const Texts texts(text);
    const tessera_texts c = texts.get();
    const tessera_run_options run = convert(options, 1);
    std::vector<tessera_span> spans(6 * text.size() + 1);  // a code point may become 18 tokens
    std::int64_t offsets[2] = {0, 0};
    detail::check(tessera_find_entities(get(), &c, &run, grouping, stride, spans.data(),
                                        spans.size(), offsets));
    std::vector<Span> entities;
    for (std::int64_t i = 0; i < offsets[1]; ++i) {
      entities.push_back(convert(spans[static_cast<std::size_t>(i)], text));
    }
    return entities;
  }

  /// tessera_classify_texts(): probabilities (texts, labels). No hypothesis: the default.
  std::vector<float> classify(const Texts& texts, const std::vector<std::string>& labels,
                              bool are_independent = false, const std::string& hypothesis = {},
                              const RunOptions& options = {}) {
    const tessera_texts c = texts.get();
    const tessera_run_options run = convert(options, texts.size());
    const std::vector<const char*> names = detail::pointers(labels);
    std::vector<float> probabilities(texts.size() * labels.size());
    detail::check(tessera_classify_texts(get(), &c, &run, names.data(), names.size(),
                                         detail::null_if_empty(hypothesis), are_independent ? 1 : 0,
                                         probabilities.data(), probabilities.size()));
    return probabilities;
  }

 private:
  static Span convert(const tessera_span& span, std::string_view text) {
    return {span.begin, span.end, span.score, span.label,
            std::string(text.substr(static_cast<std::size_t>(span.first_byte),
                                    static_cast<std::size_t>(span.end_byte - span.first_byte)))};
  }
  static tessera_session_options convert(const SessionOptions& options,
                                         const std::vector<const char*>& names) {
    tessera_session_options c = TESSERA_SESSION_OPTIONS_INIT;
    c.threads = options.threads;
    c.max_rows = options.max_rows;
    c.max_sequences = options.max_sequences;
    c.outputs = names.data();
    c.output_count = names.size();
    c.policy = options.policy;
    c.memory_cap_bytes = options.memory_cap_bytes;
    c.parallel_for = options.parallel_for;
    c.parallel_for_context = options.parallel_for_context;
    c.concurrent_calls = options.concurrent_calls;
    c.busy = options.busy;
    return c;
  }
  template <class Inputs>
  std::vector<float> embed_all(const Inputs& inputs, std::size_t count, const RunOptions& options) {
    if (output_.is_per_token) {
      throw Error(TESSERA_INVALID_ARGUMENT, "embed: output \"" + output_.name +
                                                "\" has a row per token, expected one per text");
    }
    std::vector<float> result(count * static_cast<std::size_t>(output_.width));
    const Output output(output_.name.c_str(), result);
    encode(inputs, std::span(&output, 1), options);
    return result;
  }
  static tessera_run_options convert(const RunOptions& options, std::size_t count) {
    if (!options.item_status.empty() && options.item_status.size() != count) {
      throw Error(TESSERA_INVALID_ARGUMENT,
                  "item_status has " + detail::number(options.item_status.size()) +
                      " elements, expected " + detail::number(count) + ", or none");
    }
    tessera_run_options c = TESSERA_RUN_OPTIONS_INIT;
    c.item_status = options.item_status.empty() ? nullptr : options.item_status.data();
    c.max_pixels = options.max_pixels;
    c.interpolate_positions = options.interpolate_positions ? 1 : 0;
    c.cancel = options.cancel == nullptr ? nullptr : options.cancel->get();
    c.timeout_ns = options.timeout.count();
    return c;
  }

  detail::Owner<tessera_session, tessera_session_close> handle_;
  OutputInfo output_{};
};

/// Rows of floats, (rows, width); the view must outlive the object.
struct Matrix : tessera_matrix {
  /// `stride`: floats from row to row, 0: the width. What does not fill a row is left out.
  Matrix(std::span<const float> values, std::int64_t width_, std::int64_t stride = 0)
      : tessera_matrix(TESSERA_MATRIX_INIT) {
    data = values.data();
    width = width_;
    row_stride = stride;
    const std::int64_t step = stride == 0 ? width_ : stride, size = std::ssize(values);
    const bool has_rows = width_ > 0 && step >= width_ && size >= width_;
    rows = has_rows ? static_cast<std::size_t>((size - width_) / step + 1) : 0;
  }
};

/// tessera_compare(): (a rows, b rows).
inline std::vector<float> compare(const Matrix& a, const Matrix& b,
                                  tessera_measure measure = TESSERA_MEASURE_COSINE) {
  std::vector<float> scores(a.rows * b.rows);
  detail::check(tessera_compare(&a, &b, measure, scores.data(), scores.size()));
  return scores;
}

/// What the towers of a model say of images and texts, each (images, texts).
struct TowerScores {
  std::vector<float> logits, probabilities;
};
/// tessera_quantize(): the rows, one behind the other, as bytes. `ranges`: (2, width), or empty.
inline std::vector<std::byte> quantize(const Matrix& rows, tessera_vector_type type,
                                       std::span<const float> ranges = {}) {
  const bool is_bits = type == TESSERA_VECTOR_BINARY || type == TESSERA_VECTOR_UBINARY;
  const std::size_t bits = is_bits                      ? 1
                           : type == TESSERA_VECTOR_F32 ? 32
                           : type == TESSERA_VECTOR_F16 ? 16
                                                        : 8;
  const auto width = static_cast<std::size_t>(std::max<std::int64_t>(rows.width, 0));
  if (!ranges.empty() && ranges.size() != 2 * width) {
    throw Error(TESSERA_INVALID_ARGUMENT, "ranges has " + std::to_string(ranges.size()) +
                                              " floats, expected " + std::to_string(2 * width) +
                                              ", the lowest and the highest of each column");
  }
  std::vector<std::byte> out(rows.rows * (width * bits / 8));
  detail::check(tessera_quantize(&rows, type, ranges.empty() ? nullptr : ranges.data(), out.data(),
                                 out.size()));
  return out;
}

/// tessera_sparse_elements(), all of them.
inline std::vector<tessera_element> sparse_elements(std::span<const float> row) {
  std::size_t count = 0;
  const auto width = static_cast<std::int64_t>(row.size());
  detail::check(tessera_sparse_elements(row.data(), width, nullptr, 0, &count));
  std::vector<tessera_element> elements(count);
  detail::check(
      tessera_sparse_elements(row.data(), width, elements.data(), elements.size(), &count));
  return elements;
}

/// The elements of a row of a model that was opened with top_k, in its order.
inline std::vector<tessera_element> top_elements(std::span<const float> row) {
  std::vector<tessera_element> elements;
  const std::size_t k = row.size() / 2;
  for (std::size_t i = 0; i < k && row[k + i] >= 0; ++i) {
    elements.push_back({static_cast<std::int64_t>(row[k + i]), row[i], 0});
  }
  return elements;
}

/// tessera_model_compare().
inline TowerScores compare(const Model& model, const Matrix& images, const Matrix& texts) {
  const std::size_t count = images.rows * texts.rows;
  TowerScores scores{std::vector<float>(count), std::vector<float>(count)};
  detail::check(tessera_model_compare(model.get(), &images, &texts, scores.logits.data(),
                                      scores.probabilities.data(), count));
  return scores;
}

/// Rows that are searched by cosine.
class SearchIndex {
 public:
  explicit SearchIndex(const Matrix& rows) {
    detail::check(tessera_index_create(&rows, handle_.out()));
  }
  explicit SearchIndex(const std::filesystem::path& file) {
    detail::check(tessera_index_open(file.c_str(), handle_.out()));
  }

  void save(const std::filesystem::path& file) const {
    detail::check(tessera_index_save(get(), file.c_str()));
  }
  std::size_t size() const { return info().rows; }
  std::int64_t width() const { return info().width; }
  tessera_index* get() const noexcept { return handle_.get(); }

  /// The `k` best rows of each query, (queries, k).
  std::vector<Hit> search(const Matrix& queries, std::size_t k) const {
    const std::size_t most = size();  // more is an error: no room for it is made
    const std::size_t count = queries.rows * (k < most ? k : most);
    std::vector<std::int64_t> ids(count);
    std::vector<float> scores(count);
    detail::check(tessera_index_search(get(), &queries, k, ids.data(), scores.data(), count));
    std::vector<Hit> hits(count);
    for (std::size_t i = 0; i < count; ++i) hits[i] = {ids[i], scores[i]};
    return hits;
  }
  /// The `k` best rows of one query, (width).
  std::vector<Hit> search(std::span<const float> query, std::size_t k) const {
    return search(Matrix(query, std::ssize(query)), k);
  }

 private:
  tessera_index_info info() const {
    tessera_index_info info = TESSERA_INDEX_INFO_INIT;
    detail::check(tessera_index_get_info(get(), &info));
    return info;
  }

  detail::Owner<tessera_index, tessera_index_close> handle_;
};

}  // namespace v0
}  // namespace tessera

#endif  // C++20

#endif
