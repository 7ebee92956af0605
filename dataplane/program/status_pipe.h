// Tells whoever started this process how far it is, a word and perhaps a reason a line. `ringway up` reads it
// (controlplane/cli/child.h). Main thread.
//
//   waiting           no snapshot to start from: a control plane is needed
//   serving           every worker runs a snapshot and accepts
//   leaving           a successor has the listening sockets; the process ends with its last session
//   failed REASON     it will end, and this is why
#pragma once

#include <unistd.h>

#include <algorithm>
#include <string>

namespace ringway::dp {

class StatusPipe {
 public:
  explicit StatusPipe(int fd) : fd_(fd) {}
  void Say(const std::string& word, std::string reason = "") {
    if (fd_ < 0 || (word == last_ && reason.empty())) return;
    last_ = word;
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    const std::string line = word + (reason.empty() ? "" : " " + reason) + "\n";
    // Nobody may be there to read it any more.
    [[maybe_unused]] const ssize_t written = write(fd_, line.data(), line.size());
  }

 private:
  const int fd_;
  std::string last_;
};

}  // namespace ringway::dp
