// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <tessera/tessera.h>

int main(void) {
  tessera_model* model = NULL;
  printf("%s", tessera_build_info());
  // A directory that is not there is said to be not there.
  return tessera_model_open("no-such-directory", NULL, &model) == TESSERA_OK ||
         strstr(tessera_last_error(), "no-such-directory") == NULL;
}
