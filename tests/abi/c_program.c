// SPDX-License-Identifier: Apache-2.0
// The C ABI from C11: what a program in C sees, end to end. Exit status 0: every check held.
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tessera/tessera.h"

#define DEMO TESSERA_SOURCE_DIR "/models/demo/text"

static int failures = 0;

static void check(int condition, const char* what, int line) {
  if (condition) return;
  ++failures;
  fprintf(stderr, "c_program.c:%d: %s; last error: %s\n", line, what, tessera_last_error());
}
#define CHECK(condition) check((condition), #condition, __LINE__)
#define OK(call) CHECK((call) == TESSERA_OK)

enum { kTexts = 3, kMostTokens = 64 };
static const char* const kText[kTexts] = {"A tiny text editor", "vi for small screens",
                                          "Compiler for the C language"};

static void texts_and_ids_give_the_same_bits(tessera_model* model) {
  tessera_output_info embedding = TESSERA_OUTPUT_INFO_INIT;
  OK(tessera_model_find_output(model, NULL, &embedding));
  CHECK(strcmp(embedding.name, "embedding") == 0 && embedding.is_per_token == 0);
  const size_t width = (size_t)embedding.width;
  float* from_texts = calloc(kTexts * width, sizeof(float));
  float* from_ids = calloc(kTexts * width, sizeof(float));

  tessera_session* session = NULL;
  tessera_session_options options = TESSERA_SESSION_OPTIONS_INIT;
  options.threads = 1;
  OK(tessera_session_create(model, &options, &session));

  tessera_texts texts = TESSERA_TEXTS_INIT;
  texts.texts = kText;
  texts.count = kTexts;
  tessera_output output = TESSERA_OUTPUT_INIT;
  output.data = from_texts;
  output.capacity = kTexts * width;
  int64_t rows[kTexts + 1] = {-1, -1, -1, -1};
  OK(tessera_encode_texts(session, &texts, NULL, &output, 1, rows));

  int32_t ids[kMostTokens], types[kMostTokens];
  int64_t offsets[kTexts + 1];
  OK(tessera_tokenize(model, &texts, ids, types, kMostTokens, offsets));
  CHECK(memcmp(rows, offsets, sizeof rows) == 0);
  tessera_tokens tokens = TESSERA_TOKENS_INIT;
  tokens.ids = ids;
  tokens.types = types;
  tokens.offsets = offsets;
  tokens.count = kTexts;
  output.data = from_ids;
  OK(tessera_encode_ids(session, &tokens, NULL, &output, 1));
  CHECK(memcmp(from_texts, from_ids, kTexts * width * sizeof(float)) == 0);

  float near = 0, far = 0, length = 0;
  for (size_t i = 0; i < width; ++i) {
    length += from_ids[i] * from_ids[i];
    near += from_ids[i] * from_ids[width + i];
    far += from_ids[i] * from_ids[2 * width + i];
  }
  CHECK(length > 0.999f && length < 1.001f);
  CHECK(near > far);

  // The text that is nearest to the first one, after itself, is the second.
  tessera_matrix matrix = TESSERA_MATRIX_INIT;
  matrix.data = from_ids;
  matrix.rows = kTexts;
  matrix.width = embedding.width;
  tessera_matrix query = matrix;
  query.rows = 1;
  tessera_index* index = NULL;
  OK(tessera_index_create(&matrix, &index));
  int64_t found[2] = {-1, -1};
  float scores[2], cosines[kTexts];
  OK(tessera_index_search(index, &query, 2, found, scores, 2));
  CHECK(found[0] == 0 && found[1] == 1);
  OK(tessera_compare(&query, &matrix, TESSERA_MEASURE_COSINE, cosines, kTexts));
  CHECK(memcmp(scores, cosines, sizeof scores) == 0);
  OK(tessera_index_close(index));
  OK(tessera_session_close(session));
  free(from_texts);
  free(from_ids);
}

// Everything of the process that a library could leave changed.
struct process_state {
  char locale[256];
  fenv_t floats;
  struct sigaction actions[32];
};

static void read_process_state(struct process_state* state) {
  memset(state, 0, sizeof *state);
  snprintf(state->locale, sizeof state->locale, "%s", setlocale(LC_ALL, NULL));
  fegetenv(&state->floats);
  for (int number = 1; number < 32; ++number) sigaction(number, NULL, &state->actions[number]);
}

static void the_process_is_left_as_it_was(void) {
  static struct process_state before, after;
  fesetround(FE_UPWARD);
  read_process_state(&before);
  tessera_model* model = NULL;
  tessera_session* session = NULL;
  OK(tessera_model_open(DEMO, NULL, &model));
  OK(tessera_session_create(model, NULL, &session));
  float embedding[256];
  tessera_texts texts = TESSERA_TEXTS_INIT;
  texts.texts = kText;
  texts.count = 1;
  tessera_output output = TESSERA_OUTPUT_INIT;
  output.data = embedding;
  output.capacity = 256;
  OK(tessera_encode_texts(session, &texts, NULL, &output, 1, NULL));
  CHECK(tessera_model_open("nowhere", NULL, &model) == TESSERA_NOT_FOUND);
  OK(tessera_session_close(session));
  OK(tessera_model_close(model));
  read_process_state(&after);
  fesetround(FE_TONEAREST);
  CHECK(memcmp(before.locale, after.locale, sizeof before.locale) == 0);
  CHECK(before.floats.__control_word == after.floats.__control_word);
  CHECK((before.floats.__mxcsr & 0xffc0u) == (after.floats.__mxcsr & 0xffc0u));  // not the flags
  for (int number = 1; number < 32; ++number) {
    CHECK(before.actions[number].sa_handler == after.actions[number].sa_handler);
    CHECK(before.actions[number].sa_flags == after.actions[number].sa_flags);
  }
}

int main(void) {
  tessera_model* model = NULL;
  OK(tessera_model_open(DEMO, NULL, &model));
  tessera_model_info info = TESSERA_MODEL_INFO_INIT;
  OK(tessera_model_get_info(model, &info));
  CHECK(info.hidden_size == 256 && info.layers == 4 && info.has_tokenizer == 1);
  CHECK(info.max_tokens == 64 && info.position_limit == 128 && info.is_normalized == 1);
  CHECK(strcmp(info.main_output, "embedding") == 0);
  texts_and_ids_give_the_same_bits(model);
  OK(tessera_model_close(model));
  the_process_is_left_as_it_was();
  CHECK(strcmp(tessera_version(), TESSERA_VERSION_STRING) == 0);
  CHECK(strstr(tessera_build_info(), "isa: ") != NULL);
  if (failures == 0) puts("C program: every check held");
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
