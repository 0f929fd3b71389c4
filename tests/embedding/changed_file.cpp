// SPDX-License-Identifier: Apache-2.0
// Another process changes the checkpoint while the host uses it.
//
//   changed_file MODEL SCRATCH HOW WHEN [COPY_TABLES]
//
// HOW: the weights are cut (cut), written into (write), replaced by rename (rename), removed (remove),
// replaced by rename by a file that is none (other), or overwritten by weights of another shape, the
// file that OTHER_WEIGHTS names (shape). WHEN: as soon as open() has mapped them (map), or read of them
// once (read); after open() (open), after prepare() (prepare), after a session was made (session). A
// status that names the file, or the right vector; never a signal.
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/embedding/host.hpp"

namespace fs = std::filesystem;

namespace {

fs::path weights, copy;
std::string how, when;
bool is_changed = false;

void change(const char* moment) {
  if (when != moment || is_changed) return;
  is_changed = true;
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
  if (how == "shape") {
    const char* const other = std::getenv("OTHER_WEIGHTS");
    host::expect(other != nullptr, "OTHER_WEIGHTS");
    fs::copy_file(other, weights, fs::copy_options::overwrite_existing);
  }
}

bool is_weights(int fd) {
  struct stat asked {
  }, wanted{};
  return fd >= 0 && !weights.empty() && fstat(fd, &asked) == 0 &&
         stat(weights.c_str(), &wanted) == 0 && asked.st_ino == wanted.st_ino;
}

}  // namespace

// What the library calls: the moments that no host can wait for.
extern "C" __attribute__((visibility("default"))) void* mmap(void* address, size_t bytes,
                                                             int protection, int flags, int fd,
                                                             off_t offset) noexcept {
  static const auto real = reinterpret_cast<decltype(&::mmap)>(dlsym(RTLD_NEXT, "mmap"));
  void* const mapped = real(address, bytes, protection, flags, fd, offset);
  if (fd >= 0 && is_weights(fd)) change("map");
  return mapped;
}
extern "C" __attribute__((visibility("default"))) ssize_t pread(int fd, void* to, size_t bytes,
                                                                off_t offset) {
  static const auto real = reinterpret_cast<decltype(&::pread)>(dlsym(RTLD_NEXT, "pread"));
  const ssize_t got = real(fd, to, bytes, offset);
  if (is_weights(fd)) change("read");
  return got;
}

int main(int argc, char** argv) {
  const fs::path source = host::model(argc, argv), scratch = host::argument(argc, argv, 2);
  how = host::argument(argc, argv, 3);
  when = host::argument(argc, argv, 4);
  const std::vector<float> expected = host::embed(source);
  fs::remove_all(scratch);
  fs::copy(source, scratch, fs::copy_options::recursive);
  fs::path name = "model.safetensors";
  if (!fs::exists(source / name)) name = "pytorch_model.bin";
  const fs::path file = scratch / name;
  fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
  copy = scratch / "copy";
  fs::copy_file(file, copy);
  // The change shall have another time than the file: clocks of files move in steps.
  fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::seconds(10));
  weights = file;
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
    host::expect(how == "cut" || how == "write" || how == "shape",
                 std::string("no error, got: ") + e.what());
    host::expect(std::string(e.what()).find(name) != std::string::npos,
                 std::string("the file's name, got: ") + e.what());
  }
  host::expect(is_changed, "the change");
}
