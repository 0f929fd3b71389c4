// SPDX-License-Identifier: Apache-2.0
// Another process changes the checkpoint while the host uses it. changed_file MODEL SCRATCH HOW WHEN:
// it cuts the weights (cut), writes into them (write), replaces them by rename (rename), removes
// them (remove), or puts those of another shape there by rename (other); after open() (open), after
// prepare() (prepare), after a session was made (session). A status that names the file, or the right
// vector; never a signal.
#include <filesystem>
#include <fstream>

#include "tests/embedding/host.hpp"

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  const fs::path source = host::model(argc, argv), scratch = host::argument(argc, argv, 2);
  const std::string how = host::argument(argc, argv, 3), when = host::argument(argc, argv, 4);
  const std::vector<float> expected = host::embed(source);
  fs::remove_all(scratch);
  fs::copy(source, scratch, fs::copy_options::recursive);
  const fs::path weights = scratch / "model.safetensors", copy = scratch / "copy";
  fs::permissions(weights, fs::perms::owner_write, fs::perm_options::add);
  fs::copy_file(weights, copy);
  const auto change = [&](const char* moment) {
    if (when != moment) return;
    if (how == "cut") fs::resize_file(weights, fs::file_size(weights) / 2);
    if (how == "write")
      std::fstream(weights, std::ios::in | std::ios::out | std::ios::binary)
          .seekp(4000)
          .write("another", 7);
    if (how == "rename") fs::rename(copy, weights);
    if (how == "remove") fs::remove(weights);
    if (how == "other") {
      fs::resize_file(copy, 100);
      fs::rename(copy, weights);
    }
  };
  try {
    tessera::Model model(scratch.string());
    change("open");
    if (when != "open") model.prepare();
    change("prepare");
    tessera::Session session(model, host::with_threads(1));
    change("session");
    const std::vector<float> vector = session.embed(host::kText);
    host::expect(how != "cut" && how != "write" ? vector == expected : true, "the right vector");
    if (when == "open" && how != "cut" && how != "write") return 0;
    host::expect(vector == expected, "the right vector, or a status");
  } catch (const tessera::Error& e) {
    host::expect(how == "cut" || how == "write", std::string("no error, got: ") + e.what());
    host::expect(std::string(e.what()).find("model.safetensors") != std::string::npos,
                 std::string("the file's name, got: ") + e.what());
  }
}
