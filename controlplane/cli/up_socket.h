// RUN_DIR/up.sock: how `ringway upgrade` and `ringway up --take-over` talk to the `ringway up` that runs. A JSON object a line:
// {"command": "status" | "upgrade" | "replace", "timeout_ms": N}, answered by one, {"ok", "words", ...}, when it is done.
// Mode 0660. One thread, never blocks but in Ask.
#pragma once

#include <poll.h>

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringway::cp {

class UpSocket {
 public:
  static constexpr size_t kClientsMax = 16;
  static constexpr size_t kLineBytesMax = 4096;
  // For a client to send its line; then it makes room for others.
  static constexpr std::chrono::milliseconds kLineTimeout{5000};
  // Without accepting, when the process has no descriptor left.
  static constexpr std::chrono::milliseconds kAcceptPause{1000};
  using Clock = std::chrono::steady_clock;

  // Gets the request and whom to answer, now or later.
  using Handler = std::function<void(const boost::json::object& request, uint64_t client)>;

  UpSocket() = default;
  UpSocket(const UpSocket&) = delete;
  UpSocket& operator=(const UpSocket&) = delete;
  ~UpSocket() { Close(); }

  absl::Status Listen(const std::string& path, Handler handler);
  // Also ends every connection.
  void Close();
  bool listening() const { return listener_ >= 0; }

  // What to poll for, and until when at most; and after it, takes what has come.
  void AddTo(std::vector<pollfd>& polled) const;
  Clock::time_point due() const;
  void Serve(Clock::time_point now = Clock::now());
  // A client that has gone does not get it.
  void Answer(uint64_t client, const boost::json::object& answer);

 private:
  struct Client {
    int fd;
    uint64_t id;
    Clock::time_point line_until;
    std::string line{};
    bool asked = false;
  };
  void Accept(Clock::time_point now);
  bool Read(Client& client);  // false: it has gone

  std::string path_;
  Handler handler_;
  int listener_ = -1;
  uint64_t ids_ = 0;
  Clock::time_point paused_until_{};  // the clock's beginning: it accepts
  std::vector<Client> clients_;
};

// Asks and waits for the answer. Unavailable: nobody listens there, or it ended without one.
absl::StatusOr<boost::json::object> AskUp(const std::string& run_dir, const boost::json::object& request,
                                          std::chrono::milliseconds timeout);
bool IsOk(const boost::json::object& answer);

}  // namespace ringway::cp
