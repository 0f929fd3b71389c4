// SPDX-License-Identifier: Apache-2.0
// Another process changes the checkpoint while the host uses it.
//
//   changed_file MODEL SCRATCH HOW WHEN [COPY_TABLES]
//
// HOW: the weights are cut (cut), written into (write), replaced by rename (rename), removed (remove),
// or replaced by those of another shape (other). WHEN: after open() (open), after prepare() (prepare),
// after a session was made (session). A status that names the file, or the right vector; never a signal.
#include <chrono>
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
  // The change shall have another time than the file: clocks of files move in steps.
  fs::last_write_time(weights, fs::file_time_type::clock::now() - std::chrono::seconds(10));
  const auto change = [&](const char* moment) {
    if (when != moment) return;
    if (how == "cut") fs::resize_file(weights, fs::file_size(weights) / 2);
    if (how == "write") {
      const std::string other(std::size_t{1} << 20, 'x');
      std::fstream(weights, std::ios::in | std::ios::out | std::ios::binary)
          .seekp(static_cast<std::streamoff>(fs::file_size(weights) / 4 * 3))
          .write(other.data(), static_cast<std::streamsize>(other.size()));
    }
    if (how == "rename") fs::rename(copy, weights);
    if (how == "remove") fs::remove(weights);
    if (how == "other") {
      fs::resize_file(copy, 100);
      fs::rename(copy, weights);
    }
  };
  try {
    tessera::ModelOptions options;
    options.copy_tables = argc > 5;
    tessera::Model model(scratch.string(), options);
    change("open");
    if (when != "open") model.prepare();
    change("prepare");
    tessera::Session session(model, host::with_threads(1));
    change("session");
    const std::vector<float> vector = session.embed(host::kText);
    host::expect(vector == expected, "the right vector, or a status");
  } catch (const tessera::Error& e) {
    host::expect(how == "cut" || how == "write", std::string("no error, got: ") + e.what());
    host::expect(std::string(e.what()).find("model.safetensors") != std::string::npos,
                 std::string("the file's name, got: ") + e.what());
  }
}
