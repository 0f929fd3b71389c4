// SPDX-License-Identifier: Apache-2.0
//
// What libtiff's archive refers to and nothing here calls: decode_tiff.cpp refuses JBIG and LERC by
// name, as Pillow does. libjbig is under the GPL, which a library that is embedded must not bring;
// libLerc is 1 MB. A function that fails stands in the place of each.
extern "C" {

int jbg_dec_in(void*, unsigned char*, unsigned long, unsigned long*) {
  return -1;
}
void jbg_dec_init(void*) {}
void jbg_dec_free(void*) {}
unsigned char* jbg_dec_getimage(void*, int) {
  return nullptr;
}
unsigned long jbg_dec_getsize(const void*) {
  return 0;
}
void jbg_enc_init(void*, unsigned long, unsigned long, int, unsigned char**, void*, void*) {}
void jbg_enc_free(void*) {}
void jbg_enc_out(void*) {}
int jbg_newlen(unsigned char*, unsigned long) {
  return -1;
}
const char* jbg_strerror(int) {
  return "JBIG is not supported";
}

// NOLINTBEGIN(readability-identifier-naming): the names of libLerc
unsigned lerc_getBlobInfo(...) {
  return 1;
}
unsigned lerc_decode(...) {
  return 1;
}
unsigned lerc_encodeForVersion(...) {
  return 1;
}
// NOLINTEND(readability-identifier-naming)
}
