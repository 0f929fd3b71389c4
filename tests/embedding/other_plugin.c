// SPDX-License-Identifier: Apache-2.0
// What an older installation may have left in the way: a plugin of another version.
static const struct {
  const char* version;
  const char* name;
} table = {"0.0.1", "openmp"};

__attribute__((visibility("default"))) const void* tessera_plugin(void) {
  return &table;
}
