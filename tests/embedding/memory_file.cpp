// SPDX-License-Identifier: Apache-2.0
// A host opens a checkpoint in memory and frees the weights, writes into them, protects them, or cuts the
// file that they are its own mapping of, before it may: after open(), prepare() or the first embedding.
// Where tables are read in place that is a status which names the file; with copy_tables nothing is
// needed once the weights are packed.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>

#include "tests/embedding/host.hpp"

namespace {

namespace fs = std::filesystem;

struct Case {
  std::string name;
  enum How { frees, writes, protects, cuts } how;
  bool copies;
  int when;  // 0: after open(), 1: after prepare(), 2: after an embedding
};

void try_case(const std::map<std::string, std::string>& files, const std::vector<float>& expected,
              const Case& c) {
  const std::string& weights = files.at("model.safetensors");
  char name[] = "memory-XXXXXX";
  const int file = mkstemp(name);
  unlink(name);
  host::expect(ftruncate(file, static_cast<off_t>(weights.size())) == 0, "a file");
  void* const memory = mmap(nullptr, weights.size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  host::expect(memory != MAP_FAILED, "memory");
  std::memcpy(memory, weights.data(), weights.size());
  std::vector<tessera::File> parts;
  for (const auto& [name, text] : files) {
    const void* const data = name == "model.safetensors" ? memory : text.data();
    parts.push_back({name, {static_cast<const std::byte*>(data), text.size()}});
  }
  tessera::ModelOptions options;
  options.copy_tables = c.copies;
  tessera::Model model(std::span<const tessera::File>(parts), options);
  const auto lose = [&] {
    switch (c.how) {
      case Case::frees:
        munmap(memory, weights.size());
        break;
      case Case::writes:
        std::memset(memory, 0, weights.size());
        break;
      case Case::protects:
        mprotect(memory, weights.size(), PROT_NONE);
        break;
      case Case::cuts:
        host::expect(ftruncate(file, 4096) == 0, "a cut");
        break;
    }
  };
  const bool may = c.copies && c.when > 0;
  try {
    if (c.when == 0) lose();
    model.prepare();
    if (c.when == 1) lose();
    tessera::Session session(model, host::with_threads(1));
    if (c.when == 2) {
      host::expect(session.embed(host::kText) == expected, "the right vector");
      lose();
    }
    host::expect(session.embed(host::kText) == expected, c.name + ": the right vector");
    host::expect(may, c.name + ": a status");
  } catch (const tessera::Error& e) {
    host::expect(!may, c.name + ": no error, got: " + e.what());
    const bool is_named = e.status() == TESSERA_INVALID_ARGUMENT &&
                          std::strstr(e.what(), "model.safetensors") != nullptr;
    host::expect(is_named, c.name + ": the file's name, got: " + e.what());
  }
  close(file);
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path folder = host::model(argc, argv);
  const std::vector<float> expected = host::embed(folder);
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), folder)] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  const std::map<Case::How, std::string> names = {{Case::frees, "freed"},
                                                  {Case::writes, "written"},
                                                  {Case::protects, "protected"},
                                                  {Case::cuts, "cut"}};
  for (const auto& [how, name] : names) {
    for (const bool copies : {true, false}) {
      for (const int when : {0, 1, 2}) {
        try_case(
            files, expected,
            {name + (copies ? ", copy_tables, " : ", ") + std::to_string(when), how, copies, when});
      }
    }
  }
}
