// See up_socket.h.
#include "controlplane/cli/up_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "controlplane/push/feed_socket.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;
using Clock = UpSocket::Clock;

std::string Line(const json::object& object) { return json::serialize(object) + "\n"; }

}  // namespace

absl::Status UpSocket::Listen(const std::string& path, Handler handler) {
  const absl::StatusOr<int> listener = ListenUnix(path);
  if (!listener.ok()) return listener.status();
  listener_ = *listener;
  path_ = path;
  handler_ = std::move(handler);
  return absl::OkStatus();
}

void UpSocket::Close() {
  if (listener_ < 0) return;
  close(std::exchange(listener_, -1));
  unlink(path_.c_str());
  for (const Client& client : std::exchange(clients_, {})) close(client.fd);
  paused_until_ = {};
}

void UpSocket::AddTo(std::vector<pollfd>& polled) const {
  if (listener_ >= 0 && paused_until_ == Clock::time_point{}) polled.push_back({listener_, POLLIN, 0});
  for (const Client& client : clients_) polled.push_back({client.fd, POLLIN, 0});
}

UpSocket::Clock::time_point UpSocket::due() const {
  Clock::time_point due = paused_until_ == Clock::time_point{} ? Clock::time_point::max() : paused_until_;
  for (const Client& client : clients_) {
    if (!client.asked) due = std::min(due, client.line_until);
  }
  return due;
}

void UpSocket::Serve(Clock::time_point now) {
  if (listener_ < 0) return;
  Accept(now);
  std::vector<std::pair<uint64_t, std::string>> asked;
  for (size_t i = 0; i < clients_.size();) {
    Client& client = clients_[i];
    const bool there = Read(client);
    const size_t end = client.line.find('\n');
    if (!there || (end == std::string::npos && now >= client.line_until)) {
      close(client.fd);
      clients_.erase(clients_.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    if (end != std::string::npos && !std::exchange(client.asked, true)) asked.emplace_back(client.id, client.line.substr(0, end));
    ++i;
  }
  for (const auto& [id, line] : asked) {  // a handler may answer or close
    json::error_code error;
    const json::value request = json::parse(line, error);
    if (!error && request.is_object()) handler_(request.get_object(), id);
    else Answer(id, {{"ok", false}, {"words", "wanted a JSON object on one line"}});
  }
}

void UpSocket::Accept(Clock::time_point now) {
  if (now < paused_until_) return;
  paused_until_ = {};
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0 && errno != EAGAIN) paused_until_ = now + kAcceptPause;  // who waits goes on waiting, and poll would not
    if (fd < 0) return;
    if (clients_.size() < kClientsMax) clients_.push_back({fd, ++ids_, now + kLineTimeout});
    else close(fd);
  }
}

bool UpSocket::Read(Client& client) {
  char bytes[1024];
  for (;;) {
    const ssize_t size = read(client.fd, bytes, sizeof(bytes));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0 || client.line.size() > kLineBytesMax) return false;
    client.line.append(bytes, static_cast<size_t>(size));
  }
}

void UpSocket::Answer(uint64_t id, const json::object& answer) {
  const auto client = std::find_if(clients_.begin(), clients_.end(), [id](const Client& one) { return one.id == id; });
  if (client == clients_.end()) return;
  const std::string line = Line(answer);
  (void)send(client->fd, line.data(), line.size(), MSG_NOSIGNAL);  // short: it fits the socket's buffer
  close(client->fd);
  clients_.erase(client);
}

absl::StatusOr<json::object> AskUp(const std::string& run_dir, const json::object& request, std::chrono::milliseconds timeout) {
  const std::string path = run_dir + "/up.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return absl::InvalidArgumentError(path + ": too long for a unix socket");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const std::string line = Line(request);
  std::string answer;
  bool asked = fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  asked = asked && send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  const std::string trouble = asked ? "no answer" : std::strerror(errno);
  const Clock::time_point end = Clock::now() + timeout;
  while (asked && answer.find('\n') == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd readable{fd, POLLIN, 0};
    if (left <= 0 || poll(&readable, 1, static_cast<int>(left)) == 0) break;
    char bytes[4096];
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    answer.append(bytes, static_cast<size_t>(size));
  }
  if (fd >= 0) close(fd);
  json::error_code error;
  const json::value value = json::parse(answer, error);
  if (!asked || error || !value.is_object()) return absl::UnavailableError(path + ": " + trouble);
  return value.get_object();
}

bool IsOk(const json::object& answer) {
  const json::value* ok = answer.if_contains("ok");
  return ok != nullptr && ok->is_bool() && ok->get_bool();
}

}  // namespace ringway::cp
