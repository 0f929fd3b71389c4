// SPDX-License-Identifier: Apache-2.0
//
// Texts to vectors in C: how near each text is to the first.
//
//   embed_c MODEL TEXT...
//
// Every call that can fail returns a status; tessera_last_error() says what went wrong.
#include <stdio.h>
#include <stdlib.h>
#include <tessera/tessera.h>

/// Prints what the last function that failed had to say, and ends the program.
static void check(tessera_status status) {
  if (status == TESSERA_OK) return;
  fprintf(stderr, "%s: %s\n", tessera_status_name(status), tessera_last_error());
  exit(1);
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: embed_c MODEL TEXT...\n");
    return 2;
  }
  tessera_model* model = NULL;
  check(tessera_model_open(argv[1], NULL, &model));
  tessera_session* session = NULL;
  check(tessera_session_create(model, NULL, &session));

  // The caller's buffer: one row of `width` floats for each text.
  tessera_output_info info = TESSERA_OUTPUT_INFO_INIT;
  check(tessera_model_find_output(model, "embedding", &info));
  const size_t count = (size_t)argc - 2, width = (size_t)info.width;
  float* vectors = malloc(count * width * sizeof *vectors);  // (count, width)
  float* cosines = malloc(count * sizeof *cosines);          // (count)
  if (vectors == NULL || cosines == NULL) return 1;

  tessera_texts texts = TESSERA_TEXTS_INIT;
  texts.texts = (const char* const*)argv + 2;
  texts.count = count;
  tessera_output output = TESSERA_OUTPUT_INIT;
  output.data = vectors;
  output.capacity = count * width;
  check(tessera_encode_texts(session, &texts, NULL, &output, 1, NULL));

  tessera_matrix all = TESSERA_MATRIX_INIT;
  all.data = vectors;
  all.rows = count;
  all.width = info.width;
  tessera_matrix first = all;
  first.rows = 1;
  check(tessera_compare(&first, &all, TESSERA_MEASURE_COSINE, cosines, count));
  printf("%zu texts, %zu numbers each\n", count, width);
  for (size_t i = 0; i < count; ++i) printf("%6.3f  %s\n", (double)cosines[i], argv[2 + i]);

  free(cosines);
  free(vectors);
  check(tessera_session_close(session));
  check(tessera_model_close(model));
  return 0;
}
