// SPDX-License-Identifier: Apache-2.0
/* A C host: opens a model, makes a session, embeds, closes. */
#include <stdio.h>
#include <tessera/tessera.h>

int main(int argc, char** argv) {
  tessera_model* model = NULL;
  tessera_session* session = NULL;
  const char* text = "A tiny text editor";
  tessera_texts texts = TESSERA_TEXTS_INIT;
  tessera_output output = TESSERA_OUTPUT_INIT;
  float vector[4096];
  int64_t offsets[2];
  texts.texts = &text;
  texts.count = 1;
  output.data = vector;
  output.capacity = 4096;
  if (argc < 2) return 2;
  if (tessera_model_open(argv[1], NULL, &model) != TESSERA_OK ||
      tessera_session_create(model, NULL, &session) != TESSERA_OK ||
      tessera_encode_texts(session, &texts, NULL, &output, 1, offsets) != TESSERA_OK) {
    fprintf(stderr, "%s\n", tessera_last_error());
    return 1;
  }
  tessera_session_close(session);
  tessera_model_close(model);
  return 0;
}
