// SPDX-License-Identifier: Apache-2.0
// The operations of a pickle: those that pickle.cpp executes, and what all others are called.
// CPython, Lib/pickletools.py.
#pragma once

#include <cstdint>
#include <string>

namespace tessera {

enum class Op : std::uint8_t {
  mark = '(',
  stop = '.',
  none = 'N',
  new_true = 0x88,
  new_false = 0x89,
  bin_int = 'J',
  bin_int1 = 'K',
  bin_int2 = 'M',
  long1 = 0x8A,
  bin_float = 'G',
  bin_unicode = 'X',
  empty_tuple = ')',
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  tuple = 't',
  empty_list = ']',
  append = 'a',
  appends = 'e',
  empty_dict = '}',
  set_item = 's',
  set_items = 'u',
  bin_put = 'q',
  long_bin_put = 'r',
  bin_get = 'h',
  long_bin_get = 'j',
  global = 'c',
  reduce = 'R',
  bin_persid = 'Q',
  build = 'b',
  proto = 0x80,
};

/// "STACK_GLOBAL (0x93)"; "unknown (0xFF)".
std::string opcode_name(std::uint8_t code);

}  // namespace tessera
