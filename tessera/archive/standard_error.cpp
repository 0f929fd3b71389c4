// SPDX-License-Identifier: Apache-2.0
//
// Debian's archives of libjpeg, libpng, ... are compiled for position-independent executables: their
// references to `stderr`, the one variable of libc that they name, cannot be those of a shared library.
// This hidden variable of that name, with libc's stream in it, is what they refer to. Nothing here makes
// them print: decode_*.cpp takes their messages.
#include <cstdio>

extern "C" {
extern std::FILE _IO_2_1_stderr_;
// NOLINTNEXTLINE(readability-identifier-naming): a symbol of C, not a constant of ours
extern std::FILE* const tessera_hidden_stderr __asm__("stderr")
    __attribute__((visibility("hidden")));
std::FILE* const tessera_hidden_stderr = &_IO_2_1_stderr_;
}
