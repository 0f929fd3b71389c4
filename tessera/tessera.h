// SPDX-License-Identifier: Apache-2.0
//
// Tessera for C, and for everything that can call C: Transformer encoders on CPUs.
//
//   tessera_model_open ─▶ tessera_session_create ─▶ tessera_encode_texts, _ids, _pixels, _images
//   embeddings ─▶ tessera_compare, tessera_index_create ─▶ tessera_index_search
//   queries, documents ─▶ tessera_rank_texts
//   questions, texts, labels ─▶ tessera_find_answers, _find_entities, _classify_texts
//   session ─▶ tessera_session_describe_plan
//
// Rules that hold for every function
//   Status    what can fail returns a tessera_status; what went wrong is in tessera_last_error().
//             On failure no out-parameter and no buffer is written (encode functions say where they
//             differ). No exception leaves the library; it never prints, aborts or exits, and
//             leaves locale, floating-point environment and signal handlers alone.
//   Handles   tessera_model*, tessera_session*, tessera_cancel* and tessera_index* are tickets, not
//             addresses. A handle that was closed, or never was one, is TESSERA_INVALID_ARGUMENT.
//   Structs   begin with struct_size = sizeof of the caller's version; the INIT macros fill it in.
//             0 or NULL in any other field means "the default". A smaller struct_size than the
//             first version's is an error; so is a larger one if bytes that this version does not
//             know are not 0. In an array of structs all have the same struct_size.
//   Memory    the caller's pointers are read and written during the call only, unless a function
//             says otherwise. Strings are UTF-8 and end with 0. Strings that the library returns
//             live as long as the handle they came from.
//   Threads   functions may be called from any thread; one encode call at a time per session, or
//             as many as it was created for (concurrent_calls).
//             Handles may be closed while others use them: the last user frees.
//   ABI       symbols are versioned (TESSERA_0); within one SONAME structs grow at their end and
//             enumerations gain values, nothing else changes. Version 0 may break between minor
//             releases, CHANGELOG.md says where.
#ifndef TESSERA_TESSERA_H
#define TESSERA_TESSERA_H

#include <stddef.h>
#include <stdint.h>

#include "tessera/version.h"

#if defined(__GNUC__)
#define TESSERA_API __attribute__((visibility("default")))
#else
#define TESSERA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ---- Status ------------------------------------------------------------------------------------

typedef enum tessera_status {
  TESSERA_OK = 0,
  TESSERA_INVALID_ARGUMENT = 1,   ///< the caller passed something that the documentation excludes
  TESSERA_NOT_FOUND = 2,          ///< a file, tensor, output or option that was named is not there
  TESSERA_CORRUPT_FILE = 3,       ///< a file contradicts itself or its format
  TESSERA_UNSUPPORTED_MODEL = 4,  ///< well-formed, but not computed by this version
  TESSERA_OUT_OF_MEMORY = 5,      ///< memory was refused, or a cap is too small
  TESSERA_IO_ERROR = 6,           ///< the operating system refused a read or a write
  TESSERA_CANCELLED = 7,          ///< ended by its caller or its deadline; nothing is wrong
  TESSERA_INTERNAL = 8,           ///< a bug in Tessera
  TESSERA_STATUS_MAX = 0x7fffffff
} tessera_status;

/// "TESSERA_NOT_FOUND"; "unknown status" for a number that is none. Never NULL.
TESSERA_API const char* tessera_status_name(tessera_status status);

/// What the last function that failed on this thread had to say: where, what, got, expected.
///
/// "" before the first failure; successes leave it as it is, but for calls with item_status
/// (tessera_run_options) of which items failed: then there is a line for each, of 64 at most.
/// Memory    valid until the next failure on the same thread.
TESSERA_API const char* tessera_last_error(void);

// ---- The library -------------------------------------------------------------------------------

/// The version of the library in use, "0.1.0"; TESSERA_VERSION_STRING is that of this header.
TESSERA_API const char* tessera_version(void);

/// Lines of "name: value": version, compiler, instruction set in use and of the CPU, optional
/// parts.
TESSERA_API const char* tessera_build_info(void);

typedef enum tessera_log_level {
  TESSERA_LOG_DEBUG = 0,
  TESSERA_LOG_INFO = 1,
  TESSERA_LOG_WARNING = 2,
  TESSERA_LOG_LEVEL_MAX = 0x7fffffff
} tessera_log_level;

typedef void (*tessera_log_callback)(void* context, tessera_log_level level, const char* message);

/// Hands messages that are no errors (a NaN in the weights, a fallback) to `callback`; NULL:
/// silence, which is the default. There is one callback per process.
///
/// Threads   called from any thread that is in the library, one call at a time. The callback must
///           not call Tessera; what it throws is swallowed.
TESSERA_API tessera_status tessera_set_log_callback(tessera_log_callback callback, void* context);

/// The callback as long as tessera_set_log_callback() was never called, also not with NULL. For code
/// that is not the program's; tessera.hpp calls it in debug builds. Each `context` has one callback,
/// NULL takes it back; messages go to the last that is left.
TESSERA_API tessera_status tessera_set_fallback_log_callback(tessera_log_callback callback,
                                                             void* context);

// ---- Models ------------------------------------------------------------------------------------

/// A checkpoint: its configuration, tokenizer, and weights. Immutable, shared by any number of
/// sessions and threads.
typedef struct tessera_model tessera_model;

/// Which encoder of a model that has two (CLIP, SigLIP).
typedef enum tessera_tower {
  TESSERA_TOWER_AUTOMATIC = 0,  ///< that of images
  TESSERA_TOWER_TEXT = 1,
  TESSERA_TOWER_IMAGE = 2,
  TESSERA_TOWER_MAX = 0x7fffffff
} tessera_tower;

/// What of a model that reads queries and documents by modules of their own (sentence-transformers'
/// Router): open it once as each. Every other model reads all texts alike, whatever is asked for.
typedef enum tessera_route {
  TESSERA_ROUTE_AUTOMATIC = 0,  ///< the default_route of the model's files, as a rule documents
  TESSERA_ROUTE_QUERY = 1,
  TESSERA_ROUTE_DOCUMENT = 2,
  TESSERA_ROUTE_MAX = 0x7fffffff
} tessera_route;

/// What linears multiply; everything else is computed in fp32.
typedef enum tessera_precision {
  TESSERA_PRECISION_FP32 = 0,
  TESSERA_PRECISION_BF16 = 1,       ///< weights and activations rounded to bf16, summed in fp32; a
                                    ///< warning to the log callback where it was measured slower
  TESSERA_PRECISION_AUTOMATIC = 2,  ///< bf16 where it was measured faster on this machine (`tessera
                                    ///< plan` measures) and every matrix is stored in 16 bits
  TESSERA_PRECISION_INT8 = 3,  ///< weights and activations of 8 bits, a scale for each column and
                               ///< row, summed exactly; attention in bf16 where the CPU has it,
                               ///< else fp32; a warning as for bf16
  TESSERA_PRECISION_MAX = 0x7fffffff
} tessera_precision;

/// What makes one row of the tokens of a sequence, where the directory does not say it.
typedef enum tessera_pooling {
  TESSERA_POOLING_AUTOMATIC = 0,  ///< as the directory says; the mean where it does not
  TESSERA_POOLING_CLS = 1,        ///< the first row
  TESSERA_POOLING_MAX = 2,        ///< the maximum of each column
  TESSERA_POOLING_MEAN = 3,
  TESSERA_POOLING_MEAN_SQRT_LEN_TOKENS = 4,  ///< the sum of T rows / sqrt(T)
  TESSERA_POOLING_WEIGHTEDMEAN = 5,          ///< the mean, row t with the weight t + 1
  TESSERA_POOLING_LASTTOKEN = 6,             ///< the last row
  TESSERA_POOLING_ENUM_MAX = 0x7fffffff
} tessera_pooling;

typedef struct tessera_model_options {
  uint32_t struct_size;
  uint32_t copy_tables;  ///< 1: embedding tables are copied when the weights are packed
  const char* isa;  ///< "baseline", "avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16",
                    ///< "amx_bf16"; NULL: TESSERA_ISA, else the best
  const char* architecture;    ///< a class in place of config.json's, "BertModel"
  const char* const* outputs;  ///< names of all that sessions may ask for; NULL: every output
  size_t output_count;
  const char* packed_cache;   ///< a folder where packed weights are kept between processes, or NULL
  uint64_t memory_cap_bytes;  ///< most bytes of weights; 0: no cap
  tessera_tower tower;
  tessera_precision precision;
  int64_t
      dims;  ///< columns of "embedding" (Matryoshka): the first of it, of length 1 again where it
             ///< is_normalized; 0: all of them
  tessera_pooling pooling;  ///< INVALID_ARGUMENT where the directory says another, or the same
  uint32_t normalize;  ///< 1: "embedding" has length 1, also where the directory does not say so
  int64_t top_k;       ///< sparse outputs: a row is top_k weights, the largest first, of equal ones
                       ///< the lower token first, then their tokens; where fewer weigh anything, 0
                       ///< of token -1. The others are never held. 0: a column for each token
  tessera_route route;
  uint32_t reserved;
} tessera_model_options;
#define TESSERA_MODEL_OPTIONS_INIT                                                             \
  {                                                                                            \
    sizeof(tessera_model_options), 0, NULL, NULL, NULL, 0, NULL, 0, TESSERA_TOWER_AUTOMATIC,   \
        TESSERA_PRECISION_FP32, 0, TESSERA_POOLING_AUTOMATIC, 0, 0, TESSERA_ROUTE_AUTOMATIC, 0 \
  }

/// A file in memory: `name` is as below a checkpoint's directory ("config.json"), or any for an
/// image.
typedef struct tessera_file {
  uint32_t struct_size;
  uint32_t reserved;
  const char* name;
  const void* data;  ///< any alignment
  size_t size;       ///< bytes
} tessera_file;
#define TESSERA_FILE_INIT \
  { sizeof(tessera_file), 0, NULL, NULL, 0 }

/// Opens a checkpoint directory as published: config.json, model.safetensors or pytorch_model.bin
/// (or shards), tokenizer files, preprocessor_config.json, the files of sentence-transformers.
///
/// Reads and checks everything but the weights, which are mapped and packed by the first session
/// (or tessera_model_prepare()), once per model.
/// Memory    the files stay mapped until model and sessions are closed: replace them by rename(2),
///           never in place.
/// Errors    NOT_FOUND, CORRUPT_FILE, IO_ERROR; UNSUPPORTED_MODEL naming key and value;
///           INVALID_ARGUMENT
/// Example   README.md, "From C"
TESSERA_API tessera_status tessera_model_open(const char* directory,
                                              const tessera_model_options* options,
                                              tessera_model** model);

/// As tessera_model_open(), from files in memory.
///
/// Memory    The files of weights must stay where they are until the model and all its sessions are
///           closed: tables are read in place. Everything else is copied. With copy_tables = 1
///           nothing is needed any more after tessera_model_prepare(). Memory that was freed, made
///           unreadable or written to before is INVALID_ARGUMENT where it shows (no longer mapped,
///           not readable, other bytes at the places that are compared), and undefined where it
///           does not.
TESSERA_API tessera_status tessera_model_open_memory(const tessera_file* files, size_t file_count,
                                                     const tessera_model_options* options,
                                                     tessera_model** model);

/// Packs the weights now, unless a session has done so.
///
/// Errors    those of weights: NOT_FOUND (a tensor), CORRUPT_FILE (a shape), OUT_OF_MEMORY
TESSERA_API tessera_status tessera_model_prepare(tessera_model* model);

/// Closes the handle; NULL is allowed. Sessions of the model go on.
TESSERA_API tessera_status tessera_model_close(tessera_model* model);

typedef enum tessera_input {
  TESSERA_INPUT_TOKENS = 0,  ///< texts and token ids
  TESSERA_INPUT_IMAGES = 1,
  TESSERA_INPUT_MAX = 0x7fffffff
} tessera_input;

/// What compares the embeddings of two towers: logit = exp(logit_scale)·⟨image, text⟩ + logit_bias.
typedef enum tessera_similarity {
  TESSERA_SIMILARITY_NONE = 0,     ///< there is one tower
  TESSERA_SIMILARITY_SOFTMAX = 1,  ///< probabilities: softmax over the texts (CLIP)
  TESSERA_SIMILARITY_SIGMOID = 2,  ///< the sigmoid of each logit (SigLIP)
  TESSERA_SIMILARITY_MAX = 0x7fffffff
} tessera_similarity;

typedef struct tessera_model_info {
  uint32_t struct_size;
  tessera_input input;
  uint32_t has_tokenizer;    ///< 0: texts are refused; tokenizer_problem says why
  uint32_t is_normalized;    ///< 1: the "embedding" has length 1
  const char* model_type;    ///< "bert"
  const char* architecture;  ///< "BertModel"
  const char* isa;           ///< of the kernels that will run
  const char* main_output;   ///< what a NULL name means: "logits", "embedding", …
  const char* embedding;     ///< what "embedding" is, "mean pooling, normalised"; "" without one
  const char* problem_type;  ///< of a classifier: "single_label_classification", …; ""
  const char* tokenizer_problem;
  int64_t layers, hidden_size, heads, intermediate_size;
  int64_t vocabulary_size;            ///< ids are below; 0 for images
  int64_t token_types;                ///< type ids are below; 0: the model has none
  int64_t max_tokens;                 ///< of a text: where it is cut; 2³⁰: nowhere
  int64_t position_limit;             ///< most tokens of a sequence of ids
  int64_t image_height, image_width;  ///< native size, pixels; 0 for texts
  uint32_t label_count, output_count;
  tessera_similarity similarity;
  float logit_scale, logit_bias;
  tessera_precision precision;  ///< that linears will multiply: FP32, BF16 or INT8
  uint32_t is_sparse;  ///< 1: column j of the "embedding" is the weight of token j (SPLADE);
                       ///< tessera_sparse_elements() takes out what is not 0. With top_k: as there
  uint32_t reserved;
  const char* similarity_function;  ///< of embeddings: "cosine", "dot", "euclidean" or "manhattan"
                                    ///< (minus the distance); where no file says, "cosine", of
                                    ///< sparse ones "dot"
  const char* default_prompt_name;  ///< put before texts that ask for no prompt; ""
  const char* route;                ///< of a Router: what this model is of it; ""
  uint32_t prompt_count, route_count;  ///< routes: of a Router
  uint32_t is_multi_vector;  ///< 1: late interaction (ColBERT): "token_embeddings" are compared
  uint32_t reserved_2;
} tessera_model_info;
#define TESSERA_MODEL_INFO_INIT                                                                 \
  {                                                                                             \
    sizeof(tessera_model_info), TESSERA_INPUT_TOKENS, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, \
        NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, TESSERA_SIMILARITY_NONE, 0, 0,                \
        TESSERA_PRECISION_FP32, 0, 0, NULL, NULL, NULL, 0, 0, 0, 0                              \
  }

/// What the model is. Fields beyond the library's version become 0.
///
/// Memory    the strings live until the model is closed.
TESSERA_API tessera_status tessera_model_get_info(const tessera_model* model,
                                                  tessera_model_info* info);

/// The name of class `index` (id2label), 0 ≤ index < label_count.
TESSERA_API tessera_status tessera_model_get_label(const tessera_model* model, size_t index,
                                                   const char** label);

/// Prompt number `index` of the model's files, 0 ≤ index < prompt_count, by name: what
/// tessera_texts.prompt_name may be, and the text that it puts before each.
TESSERA_API tessera_status tessera_model_get_prompt(const tessera_model* model, size_t index,
                                                    const char** name, const char** text);

typedef struct tessera_output_info {
  uint32_t struct_size;
  uint32_t is_per_token;  ///< 1: a row per token, (ΣT, width); 0: a row per sequence, (S, width)
  const char* name;       ///< "last_hidden_state", "hidden_states.3", "embedding", "logits", …
  int64_t width;          ///< floats of a row
} tessera_output_info;
#define TESSERA_OUTPUT_INFO_INIT \
  { sizeof(tessera_output_info), 0, NULL, 0 }

/// Output number `index`, 0 ≤ index < output_count.
TESSERA_API tessera_status tessera_model_get_output(const tessera_model* model, size_t index,
                                                    tessera_output_info* info);

/// The output called `name`; NULL: the main output.
///
/// Errors    NOT_FOUND, with the names that there are
TESSERA_API tessera_status tessera_model_find_output(const tessera_model* model, const char* name,
                                                     tessera_output_info* info);

// ---- Tokens ------------------------------------------------------------------------------------

typedef enum tessera_truncation {
  TESSERA_TRUNCATE_AS_PUBLISHED = 0,  ///< as the reference does: cut at max_tokens
  TESSERA_TRUNCATE = 1,               ///< cut at max_tokens
  TESSERA_DO_NOT_TRUNCATE = 2,        ///< a longer text is INVALID_ARGUMENT
  TESSERA_TRUNCATION_MAX = 0x7fffffff
} tessera_truncation;

/// S texts, or S pairs of texts (rerankers).
typedef struct tessera_texts {
  uint32_t struct_size;
  tessera_truncation truncation;
  const char* const* texts;    ///< (S) UTF-8; what is invalid in it becomes U+FFFD
  const size_t* lengths;       ///< (S) bytes; NULL: each text ends with 0
  const char* const* pairs;    ///< (S) the second text of each; NULL: none has one
  const size_t* pair_lengths;  ///< (S) bytes; NULL: each ends with 0
  size_t count;                ///< S
  int64_t max_tokens;          ///< special tokens included; 0: as the model's files say
  const char* prompt;          ///< put before every text; NULL: as the model's files say
  const char* prompt_name;     ///< one of the prompts in the model's files; NULL: their default
  unsigned char* is_cut;  ///< (S) written: 1 where tokens were left out, else 0; NULL: unwanted
} tessera_texts;
#define TESSERA_TEXTS_INIT                                                                    \
  {                                                                                           \
    sizeof(tessera_texts), TESSERA_TRUNCATE_AS_PUBLISHED, NULL, NULL, NULL, NULL, 0, 0, NULL, \
        NULL, NULL                                                                            \
  }

/// Texts to token ids, special tokens included; those of SigLIP padded to the limit, as its encoder
/// reads the padding.
///
/// Shapes    ids, types (capacity); offsets (S+1): text s has the ids offsets[s] … offsets[s+1]−1.
///           ids and types may be NULL with capacity 0: then only offsets are written.
/// Errors    NOT_FOUND (no tokenizer, no such prompt); INVALID_ARGUMENT: also if `capacity` is
///           below offsets[S], with the number that is needed; UNSUPPORTED_MODEL: a prompt that the
///           model's Pooling leaves out, which ids cannot tell (tessera_encode_texts() takes it, and
///           texts of static embeddings that have no tokens, which are INVALID_ARGUMENT here)
TESSERA_API tessera_status tessera_tokenize(const tessera_model* model, const tessera_texts* texts,
                                            int32_t* ids, int32_t* types, size_t capacity,
                                            int64_t* offsets);

/// The token with this id as the tokenizer's files write it ("##ing", "Ġthe"), in UTF-8 without a 0 at
/// its end; of an id without a token 0 bytes.
///
/// Shapes    text (capacity) bytes, of which the first *size are written; NULL with capacity 0: only
///           *size is.
/// Errors    NOT_FOUND (no tokenizer); INVALID_ARGUMENT: an id below 0 or from vocabulary_size on; a
///           capacity below *size, which is written then, too
TESSERA_API tessera_status tessera_model_get_token(const tessera_model* model, int64_t id,
                                                   char* text, size_t capacity, size_t* size);

// ---- Sessions ----------------------------------------------------------------------------------

/// Memory for the work of one thread (and its helpers) on one model, or of several threads
/// (concurrent_calls).
typedef struct tessera_session tessera_session;

typedef enum tessera_limit_policy {
  TESSERA_LIMIT_SPLIT = 0,   ///< what is too large is computed in several runs; same results
  TESSERA_LIMIT_REFUSE = 1,  ///< what is too large is an error
  TESSERA_LIMIT_POLICY_MAX = 0x7fffffff
} tessera_limit_policy;

typedef enum tessera_busy_policy {
  TESSERA_BUSY_REFUSE = 0,  ///< a call beyond concurrent_calls is INVALID_ARGUMENT, at once
  TESSERA_BUSY_WAIT = 1,    ///< it waits, until its timeout or cancellation; in no set order
  TESSERA_BUSY_POLICY_MAX = 0x7fffffff
} tessera_busy_policy;

/// Calls body(arg, lane) once for every lane in [0, lanes), on any threads, and returns when all
/// calls have returned. A pool that throws, leaves lanes out, repeats one or returns early makes
/// the call INVALID_ARGUMENT.
typedef void (*tessera_parallel_for)(void* context, int64_t lanes,
                                     void (*body)(void* arg, int64_t lane), void* arg);

typedef struct tessera_session_options {
  uint32_t struct_size;
  int32_t threads;   ///< of each call; 0: what affinity, cgroup and OMP_NUM_THREADS allow,
                     ///< divided by concurrent_calls
  int64_t max_rows;  ///< most token rows (ΣT) of one run; 0: 512 or the longest sequence (8192
                     ///< where there is no longest: static embeddings)
  int64_t max_sequences;       ///< most sequences of one run; 0: 32, at most max_rows
  const char* const* outputs;  ///< names; NULL: the main output alone
  size_t output_count;
  tessera_limit_policy policy;  ///< beyond max_rows, max_sequences, memory_cap_bytes
  uint32_t reserved;
  uint64_t memory_cap_bytes;          ///< most bytes of weights and arena together; 0: no cap
  tessera_parallel_for parallel_for;  ///< NULL: threads of the library; called by as many threads
                                      ///< at once as there are calls
  void* parallel_for_context;
  uint32_t concurrent_calls;  ///< encode calls at the same time, each with an arena and threads of
                              ///< its own; at most 1024; 0: 1
  tessera_busy_policy busy;   ///< what becomes of calls beyond
} tessera_session_options;
#define TESSERA_SESSION_OPTIONS_INIT                                                             \
  {                                                                                              \
    sizeof(tessera_session_options), 0, 0, 0, NULL, 0, TESSERA_LIMIT_SPLIT, 0, 0, NULL, NULL, 0, \
        TESSERA_BUSY_REFUSE                                                                      \
  }

typedef struct tessera_memory {
  uint32_t struct_size;
  uint32_t threads;         ///< that each call of a session would have
  uint64_t weights_packed;  ///< once per model
  uint64_t weights_mapped;  ///< once per model: tables that are read where the file is mapped
  uint64_t arena;           ///< once per session: of all its concurrent_calls together
  uint64_t total;
  int64_t max_rows, max_sequences;  ///< after a cap with TESSERA_LIMIT_SPLIT has cut them
} tessera_memory;
#define TESSERA_MEMORY_INIT \
  { sizeof(tessera_memory), 0, 0, 0, 0, 0, 0, 0 }

/// What a session with these options takes (NULL: the defaults), before any of it is allocated.
///
/// Numerics  exact for the arena; the process needs at most 8 MiB besides, and the tokenizer.
/// Errors    as tessera_session_create()
TESSERA_API tessera_status tessera_memory_bytes(const tessera_model* model,
                                                const tessera_session_options* options,
                                                tessera_memory* memory);

/// Creates a session; all of its memory is allocated here.
///
/// Errors    INVALID_ARGUMENT, NOT_FOUND (an output), OUT_OF_MEMORY (refused, or the cap is too
///           small: says what would fit); those of tessera_model_prepare()
TESSERA_API tessera_status tessera_session_create(tessera_model* model,
                                                  const tessera_session_options* options,
                                                  tessera_session** session);

/// Closes the handle; NULL is allowed. Calls in progress on other threads, those that wait included,
/// end first, and the last of them frees the memory.
TESSERA_API tessera_status tessera_session_close(tessera_session* session);

/// What the session took.
TESSERA_API tessera_status tessera_session_get_memory(const tessera_session* session,
                                                      tessera_memory* memory);

/// Gives the pages of the arena back to the system until the next run; with concurrent_calls those
/// of arenas that no call uses.
///
/// Errors    INVALID_ARGUMENT: all are in use
TESSERA_API tessera_status tessera_session_trim(tessera_session* session);

// ---- Plans -------------------------------------------------------------------------------------

/// Takes a text that the library made: `size` bytes and a 0, which live until it returns. Called once,
/// by the thread that called the library, which it must not call; what it throws is swallowed.
typedef void (*tessera_text_callback)(void* context, const char* text, size_t size);

typedef enum tessera_plan_format {
  TESSERA_PLAN_TEXT = 0,  ///< what `tessera plan` prints
  TESSERA_PLAN_JSON = 1,  ///< with --json
  TESSERA_PLAN_FORMAT_MAX = 0x7fffffff
} tessera_plan_format;

/// What the session does for a batch of `rows` token rows in `sequences` sequences: of every op the loop
/// order or dataflow and why, bytes into each cache, predicted time; and what another precision would
/// take.
///
/// `rows`: 1 to the session's max_rows; `sequences`: 0: as few as the model takes. Of images rows are
/// those of whole images of the native size: as many as `sequences` says, else as fit into `rows`, one
/// at least.
/// Numerics  predicted from rates of this machine that tessera_measure_machine() or the tool measured
///           before the session was made, else from cautious ones, as the text says.
/// Errors    INVALID_ARGUMENT: a batch that the session does not take in one run
TESSERA_API tessera_status tessera_session_describe_plan(const tessera_session* session,
                                                         int64_t rows, int64_t sequences,
                                                         tessera_plan_format format,
                                                         tessera_text_callback callback,
                                                         void* context);

/// Measures how fast this machine computes and moves data, unless that was done before: two seconds.
/// Sessions that are created from then on are planned with it, in every process of this user: it is
/// kept in $XDG_CACHE_HOME/tessera, else ~/.cache/tessera (a warning to the log callback where that
/// cannot be written). Results do not depend on it.
///
/// `isa`: as in tessera_model_options; rates are those of one level.
TESSERA_API tessera_status tessera_measure_machine(const char* isa);

// ---- Encoding ----------------------------------------------------------------------------------

/// Ends runs from another thread.
typedef struct tessera_cancel tessera_cancel;

TESSERA_API tessera_status tessera_cancel_create(tessera_cancel** cancel);
/// Runs that were given `cancel`, now or later, end with TESSERA_CANCELLED.
TESSERA_API tessera_status tessera_cancel_request(tessera_cancel* cancel);
/// Takes the request back.
TESSERA_API tessera_status tessera_cancel_reset(tessera_cancel* cancel);
/// Closes the handle; NULL is allowed.
TESSERA_API tessera_status tessera_cancel_close(tessera_cancel* cancel);

typedef struct tessera_run_options {
  uint32_t struct_size;
  uint32_t interpolate_positions;  ///< 1: images of other sizes, for models that can
  tessera_cancel* cancel;          ///< NULL: nobody cancels
  int64_t timeout_ns;              ///< from the call on; 0: none
  tessera_status* item_status;     ///< (S) written: what became of each text or image. One that
                                   ///< fails has no rows where there is a row per token, and its
                                   ///< row elsewhere is not written; the others are computed, and
                                   ///< the call is TESSERA_OK. NULL: one that fails fails the
                                   ///< call. Token ids: INVALID_ARGUMENT unless NULL
  int64_t max_pixels;  ///< of an image as it is given: more is an error of that image, before
                       ///< its pixels are allocated; at most 2^32; 0: 178956970 in files,
                       ///< 2^28 as pixels
} tessera_run_options;
#define TESSERA_RUN_OPTIONS_INIT \
  { sizeof(tessera_run_options), 0, NULL, 0, NULL, 0 }

/// Where one output goes: row r at data + r · row_stride.
typedef struct tessera_output {
  uint32_t struct_size;
  uint32_t reserved;
  const char* name;    ///< one of the session's; NULL: the main output
  float* data;         ///< (rows, width); aligned to 4 bytes
  size_t capacity;     ///< floats that may be written from `data` on
  int64_t row_stride;  ///< floats from row to row, at least the width; 0: the width
} tessera_output;
#define TESSERA_OUTPUT_INIT \
  { sizeof(tessera_output), 0, NULL, NULL, 0, 0 }

/// S sequences of token ids, one after another, never padded.
typedef struct tessera_tokens {
  uint32_t struct_size;
  uint32_t reserved;
  const int32_t* ids;      ///< (ΣT)
  const int32_t* types;    ///< (ΣT) token types, or NULL: all 0
  const int64_t* offsets;  ///< (S+1): offsets[0] = 0, rising, offsets[S] = ΣT
  size_t count;            ///< S
} tessera_tokens;
#define TESSERA_TOKENS_INIT \
  { sizeof(tessera_tokens), 0, NULL, NULL, NULL, 0 }

/// Encodes token ids.
///
/// Shapes    outputs[i]: (ΣT, width) for one with a row per token, (S, width) else, in the order of
///           the input. Floats between the rows are not written.
/// Aliasing  inputs and outputs must not overlap.
/// Memory    nothing is allocated; sequences are computed in batches, longest first.
/// Numerics  the rows of a sequence do not depend on its neighbours, its place, the limits, or the
///           threads, bit for bit.
/// Errors    INVALID_ARGUMENT naming argument, got, expected; nothing is written then. CANCELLED
///           and pools that fail: rows of runs that were complete are written.
TESSERA_API tessera_status tessera_encode_ids(tessera_session* session,
                                              const tessera_tokens* tokens,
                                              const tessera_run_options* options,
                                              const tessera_output* outputs, size_t output_count);

/// Tokenises and encodes texts. Of late interaction (ColBERT) as they are: markers, lengths, expansion
/// and skip lists of queries and documents are tessera_rank_texts()'s.
///
/// Shapes    as tessera_encode_ids(), row_offsets (S+1) as `offsets` there, or NULL: where the
///           rows of each text are in outputs with a row per token (tessera_tokenize() says
///           beforehand how many there will be).
/// Memory    the tokenizer allocates, in proportion to the texts.
/// Threads   texts are tokenised before the session is taken.
/// Errors    as tessera_tokenize() and tessera_encode_ids()
TESSERA_API tessera_status tessera_encode_texts(tessera_session* session,
                                                const tessera_texts* texts,
                                                const tessera_run_options* options,
                                                const tessera_output* outputs, size_t output_count,
                                                int64_t* row_offsets);

typedef enum tessera_pixel_format {
  TESSERA_PIXELS_RGB = 0,     ///< bytes, RGB or RGBA
  TESSERA_PIXELS_BGR = 1,     ///< bytes, BGR or BGRA, as OpenCV has them
  TESSERA_PIXELS_PLANES = 2,  ///< floats, a plane for each of R, G, B
  TESSERA_PIXELS_MAX = 0x7fffffff
} tessera_pixel_format;

/// An image before its preprocessing.
///
/// Bytes     channel c of (y, x) at data[y·row_stride + x·channels + c]
/// Planes    channel c of (y, x) at planes[(c·height + y)·width + x], in [0, 1]: what torchvision's
///           to_tensor() gives. Rounded to the nearest 255th, so that bytes divided by 255 are those
///           bytes again. Not what a processor has normalised: what is outside of [0, 1], or NaN, is
///           an error.
typedef struct tessera_pixels {
  uint32_t struct_size;
  uint32_t channels;      ///< 1: grey, 3: colour, 4: with alpha, which is dropped
  const uint8_t* data;    ///< (height, width, channels); NULL with planes
  int64_t height, width;  ///< pixels
  int64_t row_stride;     ///< bytes from row to row of data; 0: width · channels; 0 with planes
  tessera_pixel_format format;
  uint32_t reserved;
  const float* planes;  ///< (channels, height, width), aligned to 4 bytes; NULL with bytes
} tessera_pixels;
#define TESSERA_PIXELS_INIT \
  { sizeof(tessera_pixels), 3, NULL, 0, 0, 0, TESSERA_PIXELS_RGB, 0, NULL }

/// Encodes images: resized, cropped and normalised as preprocessor_config.json says.
///
/// Shapes    as tessera_encode_texts(); a sequence is an image, a row one of its patches or special
///           tokens. Where patches are merged (Swin), a row is a cell of the map that the output is of, and
///           row_offsets counts those; the outputs of one call with a row per cell are of one map.
/// Memory    allocates the resized pixels of all images of the call.
/// Threads   images are decoded and resized before the session is taken, by as many threads as it
///           has, by the caller's alone if the session has a parallel_for.
/// Errors    NOT_FOUND (the checkpoint has no preprocessor_config.json); INVALID_ARGUMENT, which
///           names the image; otherwise as tessera_encode_ids()
TESSERA_API tessera_status tessera_encode_pixels(tessera_session* session,
                                                 const tessera_pixels* images, size_t image_count,
                                                 const tessera_run_options* options,
                                                 const tessera_output* outputs, size_t output_count,
                                                 int64_t* row_offsets);

/// As tessera_encode_pixels(), of JPEG, PNG, WebP, GIF, BMP and TIFF files in memory, told
/// apart by content; the first image of each, turned upright as EXIF says. `name` (or NULL) is how messages call the file.
///
/// Errors    also CORRUPT_FILE, which names the image
TESSERA_API tessera_status tessera_encode_images(tessera_session* session,
                                                 const tessera_file* files, size_t file_count,
                                                 const tessera_run_options* options,
                                                 const tessera_output* outputs, size_t output_count,
                                                 int64_t* row_offsets);

/// As tessera_encode_images(), of files by their paths. A file is read whole, of 512 MiB at most.
///
/// Errors    also NOT_FOUND, IO_ERROR, and INVALID_ARGUMENT for what is no regular file; each names
///           the image and its file
TESSERA_API tessera_status tessera_encode_image_files(tessera_session* session,
                                                      const char* const* paths, size_t path_count,
                                                      const tessera_run_options* options,
                                                      const tessera_output* outputs,
                                                      size_t output_count, int64_t* row_offsets);

/// Ranks documents by how well they answer each query: the best `k`, ties by number.
///
/// A model with one logit (a reranker) reads every query with every document; the score is its
/// logit after the activation that the model's files name, or the sigmoid; of a multiple choice, the
/// softmax over the documents. A model with an
/// embedding reads each text once, after the prompts that its files call query, and document,
/// passage or corpus, unless others are given; scores are by similarity_fn_name of its files, or
/// cosines (distances count negative). Of late interaction (ColBERT) the score is MaxSim: for each
/// vector of the query the best product with one of the document, added. The session must compute
/// "logits", "embedding", or "token_embeddings".
///
/// Shapes    ids, scores, logits (queries, k), 1 ≤ k ≤ documents; an id is the number of a document.
///           scores and logits may be NULL; logits are those of a reranker. `capacity`: elements of
///           each. pairs of queries and documents are NULL. A reranker cuts pairs as documents
///           say (truncation, max_tokens), and takes the prompt of queries.
/// Memory    allocates the token ids of all documents with one query, and the embeddings.
/// Numerics  a logit is that of tessera_encode_texts(), bit for bit, whatever the other documents.
/// Errors    UNSUPPORTED_MODEL (none of these, or a route of a Router, which reads one side:
///           tessera_compare() takes the embeddings of both models); NOT_FOUND (the session
///           computes no such output); as tessera_encode_texts(). item_status (of documents, with
///           one query): one that fails is ranked nowhere; places that are left have id −1 and the
///           score −INFINITY.
TESSERA_API tessera_status tessera_rank_texts(tessera_session* session,
                                              const tessera_texts* queries,
                                              const tessera_texts* documents,
                                              const tessera_run_options* options, size_t k,
                                              int64_t* ids, float* scores, float* logits,
                                              size_t capacity);

// ---- Places in texts ---------------------------------------------------------------------------

/// A place in a text, in code points; invalid UTF-8 counts as U+FFFD, as in tokenizing.
typedef struct tessera_span {
  int64_t begin, end;            ///< [begin, end) of the text; of an answer, of its context
  int64_t first_byte, end_byte;  ///< the same in bytes of the text as given
  float score;
  int32_t label;  ///< of an entity, a class (tessera_model_get_label()); −1 else
} tessera_span;

typedef struct tessera_answer_options {
  uint32_t struct_size;
  uint32_t may_be_none;       ///< 1: "no answer" is one, from 0 to 0
  int64_t max_answer_tokens;  ///< 0: 15
  int64_t stride;  ///< tokens that a window has in common with the one before; −1: 128, or half of
                   ///< the window
} tessera_answer_options;
#define TESSERA_ANSWER_OPTIONS_INIT \
  { sizeof(tessera_answer_options), 0, 0, -1 }

/// Finds the `k` best answers of each question in its context, by a question-answering head: texts
/// are the questions, pairs the contexts. A context that is too long is read in windows that overlap,
/// of texts.max_tokens tokens, or 384. The session must compute start_logits and end_logits.
///
/// Shapes    answers (S, k), best first; those that are left over have the score −INFINITY, and 0 to
///           0. `capacity`: elements. texts.truncation is 0, its prompts and is_cut are NULL.
///           `answer_options`: NULL: as initialised.
/// Memory    allocates the token ids of all windows, and their logits.
/// Numerics  as transformers' question-answering pipeline: begin and end are those of words, answers
///           that are the same text are one and their scores are added.
/// Errors    UNSUPPORTED_MODEL (another head); NOT_FOUND (the session computes no such output);
///           INVALID_ARGUMENT: an empty text, a question that leaves no room for more than the
///           stride; as tessera_encode_texts()
TESSERA_API tessera_status tessera_find_answers(tessera_session* session,
                                                const tessera_texts* texts,
                                                const tessera_run_options* options,
                                                const tessera_answer_options* answer_options,
                                                size_t k, tessera_span* answers, size_t capacity);

/// How the labels of tokens become entities, as transformers' token-classification pipeline does.
typedef enum tessera_grouping {
  TESSERA_GROUP_NONE = 0,     ///< every token that is not "O"
  TESSERA_GROUP_SIMPLE = 1,   ///< neighbours of one label, without its "B-" and "I-"
  TESSERA_GROUP_FIRST = 2,    ///< of words, which have the label of their first token
  TESSERA_GROUP_AVERAGE = 3,  ///< of words, which have the mean of the scores of their tokens
  TESSERA_GROUP_MAX = 4,      ///< of words, which have the label of the token that is surest
  TESSERA_GROUPING_MAX = 0x7fffffff
} tessera_grouping;

/// Finds the entities of texts by a head that labels tokens. The session must compute logits.
///
/// Shapes    entities: those of text s from offsets[s] to offsets[s+1], in its order; offsets (S+1).
///           The label of a group is one that has its name: "PER" may be B-PER or I-PER.
///           `capacity`: elements of entities; as many as the texts have tokens always do.
///           pairs and the prompts are NULL. `stride`: −1: texts are cut as `texts` says; else they
///           are read in windows that overlap by so many tokens (not of TESSERA_GROUP_NONE), and
///           of entities that overlap the longest stays.
/// Memory    allocates the token ids, and their logits.
/// Errors    UNSUPPORTED_MODEL (another head); INVALID_ARGUMENT: capacity is too small (says what
///           is needed); as tessera_encode_texts()
TESSERA_API tessera_status tessera_find_entities(tessera_session* session,
                                                 const tessera_texts* texts,
                                                 const tessera_run_options* options,
                                                 tessera_grouping grouping, int64_t stride,
                                                 tessera_span* entities, size_t capacity,
                                                 int64_t* offsets);

/// Which of `labels` hold for each text, by a model of natural language inference (a class for
/// sequences, one label of which begins with "entail"): every text is read with every label in the
/// place of {} in `hypothesis`; NULL: "This example is {}.". The session must compute logits.
///
/// Shapes    probabilities (S, label_count); `capacity`: floats. pairs are NULL.
///           `are_independent`: 1: several labels may hold, each has a probability of its own; 0: one
///           does, and they add up to 1.
/// Memory    allocates the token ids of all texts with all labels.
/// Numerics  as transformers' zero-shot-classification pipeline; of a pair that is too long the text
///           is cut, never the label.
/// Errors    UNSUPPORTED_MODEL (no such label; says which there are); INVALID_ARGUMENT: no label, an
///           empty one, one that is given twice, a hypothesis that has not {} once; as
///           tessera_encode_texts()
TESSERA_API tessera_status tessera_classify_texts(tessera_session* session,
                                                  const tessera_texts* texts,
                                                  const tessera_run_options* options,
                                                  const char* const* labels, size_t label_count,
                                                  const char* hypothesis, uint32_t are_independent,
                                                  float* probabilities, size_t capacity);

// ---- Similarity and search ---------------------------------------------------------------------

/// Rows of floats, such as embeddings: row r at data + r · row_stride.
typedef struct tessera_matrix {
  uint32_t struct_size;
  uint32_t reserved;
  const float* data;  ///< (rows, width), finite numbers; aligned to 4 bytes
  size_t rows;
  int64_t width;       ///< floats of a row
  int64_t row_stride;  ///< floats from row to row, at least the width; 0: the width
} tessera_matrix;
#define TESSERA_MATRIX_INIT \
  { sizeof(tessera_matrix), 0, NULL, 0, 0, 0 }

typedef enum tessera_measure {
  TESSERA_MEASURE_COSINE =
      0,  ///< ⟨a, b⟩ of the rows divided by their lengths; 0 for a row of zeros
  TESSERA_MEASURE_DOT = 1,  ///< ⟨a, b⟩
  TESSERA_MEASURE_MAX = 0x7fffffff
} tessera_measure;

/// Compares every row of `a` with every row of `b`.
///
/// Shapes    scores (a rows, b rows); `capacity`: floats that may be written, at least that many
/// Aliasing  scores must not overlap a or b.
/// Memory    the cosine allocates copies of a and b.
/// Numerics  cosines are those of tessera_index_search(), bit for bit.
/// Errors    INVALID_ARGUMENT: widths that differ, numbers that are not finite (names the row)
TESSERA_API tessera_status tessera_compare(const tessera_matrix* a, const tessera_matrix* b,
                                           tessera_measure measure, float* scores, size_t capacity);

/// Compares embeddings of the two towers of a model as tessera_model_info says (similarity,
/// logit_scale, logit_bias): what `tessera similar` prints.
///
/// `model` may be opened as either tower; images and texts are "embedding" of each.
/// Shapes    logits, probabilities (images, texts), either of them or NULL; `capacity`: of each
/// Errors    UNSUPPORTED_MODEL (the model compares nothing); as tessera_compare()
TESSERA_API tessera_status tessera_model_compare(const tessera_model* model,
                                                 const tessera_matrix* images,
                                                 const tessera_matrix* texts, float* logits,
                                                 float* probabilities, size_t capacity);

/// What the numbers of a stored vector are. Source: sentence-transformers, quantize_embeddings().
typedef enum tessera_vector_type {
  TESSERA_VECTOR_F32 = 0,
  TESSERA_VECTOR_F16 = 1,     ///< IEEE binary16, nearest, ties to even; infinity from 65520 on
  TESSERA_VECTOR_INT8 = 2,    ///< (x - low) / ((high - low)/255) - 128, without its fraction
  TESSERA_VECTOR_UINT8 = 3,   ///< (x - low) / ((high - low)/255), likewise
  TESSERA_VECTOR_BINARY = 4,  ///< as UBINARY, minus 128, as int8
  TESSERA_VECTOR_UBINARY =
      5,  ///< a bit per column, 1 where x > 0; the first column is the highest bit
  TESSERA_VECTOR_MAX = 0x7fffffff
} tessera_vector_type;

/// Rows as they are stored and searched by other libraries: packed one behind the other.
///
/// INT8, UINT8   low and high of each column: `ranges` (2, width), all lows, then all highs; NULL: of
///               `rows` themselves. What lies outside becomes the nearest end; where low = high,
///               that is the lowest of the type.
/// Shapes        out (rows.rows, width) elements; BINARY, UBINARY: (rows.rows, width/8) bytes. `capacity`:
///               bytes, at least as many. Must not overlap `rows` or `ranges`. Any alignment.
/// Errors        INVALID_ARGUMENT: as tessera_compare(); a type, low > high or not finite, a width that
///               is no multiple of 8 for bits, INT8 or UINT8 of no rows without ranges
TESSERA_API tessera_status tessera_quantize(const tessera_matrix* rows, tessera_vector_type type,
                                            const float* ranges, void* out, size_t capacity);

/// One element of a sparse row.
typedef struct tessera_element {
  int64_t column;  ///< of the row: the token's id
  float value;
  uint32_t reserved;
} tessera_element;

/// The elements of `row` that are not 0: the largest first, of equal ones the lower column first.
///
/// Shapes    row (width); elements (capacity): the first `capacity` of them, or NULL with capacity 0
/// Memory    in proportion to the elements.
/// Errors    INVALID_ARGUMENT: NULL, a width below 1. `*count`: how many there are, also beyond
///           `capacity`.
TESSERA_API tessera_status tessera_sparse_elements(const float* row, int64_t width,
                                                   tessera_element* elements, size_t capacity,
                                                   size_t* count);

/// Rows that are searched by cosine, one with every other. Immutable: any number of threads may
/// search at once.
typedef struct tessera_index tessera_index;

/// Copies the rows, at least one, and divides each by its length; a row of zeros stays, and so does
/// one whose length is 1 up to rounding.
///
/// Errors    as tessera_compare()
TESSERA_API tessera_status tessera_index_create(const tessera_matrix* rows, tessera_index** index);

/// Reads vectors from an .npy file, float32, (rows, width): what tessera_index_save(), `tessera search
/// --save-index` or `tessera embed --format npy` wrote. It is read whole, and not needed afterwards.
///
/// Errors    NOT_FOUND, IO_ERROR; CORRUPT_FILE: also for a row with an infinity or NaN
TESSERA_API tessera_status tessera_index_open(const char* path, tessera_index** index);

/// Writes the rows to `path`, a regular file, which appears whole or not at all.
///
/// Errors    NOT_FOUND, IO_ERROR, INVALID_ARGUMENT (no regular file)
TESSERA_API tessera_status tessera_index_save(const tessera_index* index, const char* path);

typedef struct tessera_index_info {
  uint32_t struct_size;
  uint32_t reserved;
  size_t rows;    ///< ids are below
  int64_t width;  ///< floats of a row
} tessera_index_info;
#define TESSERA_INDEX_INFO_INIT \
  { sizeof(tessera_index_info), 0, 0, 0 }

TESSERA_API tessera_status tessera_index_get_info(const tessera_index* index,
                                                  tessera_index_info* info);

/// The `k` rows with the largest cosine with each query, best first, ties by id.
///
/// Shapes    ids, scores (queries, k), 1 ≤ k ≤ rows; an id is the number of a row, scores may be
///           NULL. `capacity`: elements of each.
/// Memory    allocates 16 bytes per row of the index, and a copy of one query.
/// Numerics  a score does not depend on the other rows, k, or the other queries.
/// Errors    INVALID_ARGUMENT: k, a width that is not the index's; as tessera_compare()
TESSERA_API tessera_status tessera_index_search(const tessera_index* index,
                                                const tessera_matrix* queries, size_t k,
                                                int64_t* ids, float* scores, size_t capacity);

/// Closes the handle; NULL is allowed.
TESSERA_API tessera_status tessera_index_close(tessera_index* index);

#ifdef __cplusplus
}
#endif

#endif
