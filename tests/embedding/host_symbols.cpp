// SPDX-License-Identifier: Apache-2.0
// A host has copies of its own of the libraries that Tessera uses: here functions of their names,
// exported, which end the process. The library calls its own.
#include <fstream>
#include <iterator>
#include <span>

#include "tests/embedding/host.hpp"

#define ENDS(name)                                                \
  extern "C" __attribute__((visibility("default"))) void name() { \
    std::fprintf(stderr, "the host's " #name " was called\n");    \
    std::_Exit(1);                                                \
  }
ENDS(jpeg_CreateDecompress)
ENDS(jpeg_std_error)
ENDS(jpeg_read_header)
ENDS(png_create_read_struct)
ENDS(png_create_read_struct_2)
ENDS(png_set_read_fn)
ENDS(inflate)
ENDS(inflateInit_)
ENDS(inflateInit2_)
ENDS(crc32)
ENDS(WebPDecode)
ENDS(WebPGetFeaturesInternal)
ENDS(TIFFClientOpen)
ENDS(TIFFClientOpenExt)
ENDS(DGifOpen)
ENDS(utf8proc_decompose)
ENDS(utf8proc_map)
ENDS(utf8proc_category)
ENDS(utf8proc_get_property)
ENDS(pcre2_compile_8)
ENDS(pcre2_match_8)
ENDS(hwloc_topology_init)
ENDS(_ZN8simdjson13validate_utf8EPKcm)
ENDS(
    _ZN3fmt2v97vformatB5cxx11ENS0_17basic_string_viewIcEENS0_17basic_format_argsINS0_20basic_format_contextINS0_8appenderEcEEEE)
ENDS(_ZN7tessera8best_isaEv)

int main(int argc, char** argv) {
  host::embed(host::model(argc, argv));
  const tessera::Model vision(host::argument(argc, argv, 2));
  tessera::Session session(vision, host::with_threads(1));
  for (int i = 3; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    const tessera::File file{argv[i], std::as_bytes(std::span(bytes))};
    std::vector<float> vector(static_cast<std::size_t>(session.width()));
    tessera::Output output(nullptr, vector);
    session.encode(std::span(&file, 1), std::span(&output, 1));
  }
}
