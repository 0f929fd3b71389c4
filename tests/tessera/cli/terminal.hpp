// SPDX-License-Identifier: Apache-2.0
// A pseudo-terminal for a command's stderr.
#pragma once

#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include <string>

namespace tessera::test {

/// A terminal that nobody sits at.
class Terminal {
 public:
  explicit Terminal(unsigned short columns = 80) {
    char name[256] = "";
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::openpty(&near_, &far_, name, nullptr, &size) != 0) return;
    name_ = name;
    ::fcntl(near_, F_SETFL, O_NONBLOCK);
  }
  ~Terminal() {
    if (near_ >= 0) ::close(near_);
    if (far_ >= 0) ::close(far_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  const std::string& name() const { return name_; }  ///< empty: this system gives none
  /// What was written to it since the last call.
  std::string shown() const {
    std::string text;
    char bytes[4096];
    for (ssize_t n = 0; (n = ::read(near_, bytes, sizeof bytes)) > 0;)
      text.append(bytes, static_cast<std::size_t>(n));
    return text;
  }

 private:
  int near_ = -1, far_ = -1;  // `far_` stays open, so that nothing is lost between two commands
  std::string name_;
};

}  // namespace tessera::test
