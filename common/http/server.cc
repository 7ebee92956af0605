// The accept loop of a cold HTTP server and the set of its connections; see server.h.
#include "common/http/server.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <unordered_set>
#include <utility>

#include "common/http/connection.h"
#include "common/http/listen.h"
#include "common/log/log.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kAcceptRetry{100};
constexpr std::chrono::seconds kRefusedLogEvery{60};

// What outlives the Server object until the last coroutine has ended.
struct State : std::enable_shared_from_this<State> {
  State(Acceptor a, ServerOptions o, Handler h)
      : acceptor(std::move(a)),
        retry(acceptor.get_executor()),
        options(std::make_shared<const ServerOptions>(std::move(o))),
        handler(std::make_shared<const Handler>(std::move(h))) {}

  Acceptor acceptor;
  asio::steady_timer retry;
  const std::shared_ptr<const ServerOptions> options;
  const std::shared_ptr<const Handler> handler;
  std::unordered_set<std::shared_ptr<Connection>> connections;
  uint64_t refused_total = 0;
  std::chrono::steady_clock::time_point refused_logged_at{};
  bool accept_failing = false;
  bool accepting = true;
  bool closed = false;

  asio::awaitable<void> AcceptLoop();
  void Start(Socket socket);
  bool Refuse();
};

asio::awaitable<void> State::AcceptLoop() {
  while (accepting) {
    auto [error, socket] = co_await acceptor.async_accept(kNoThrow);
    if (closed) co_return;
    if (!error) {  // also one that was accepted while the loop was told to end
      accept_failing = false;
      if (!Refuse()) Start(std::move(socket));
      continue;
    }
    if (!accepting) co_return;
    if (error.value() == ECONNABORTED || error.value() == EINTR) continue;
    // Out of files or memory: the listener stays readable, so an immediate retry would spin.
    if (!std::exchange(accept_failing, true)) {
      spdlog::warn("{}: cannot accept connections, trying again: {}", options->name, error.message());
    }
    retry.expires_after(kAcceptRetry);
    co_await retry.async_wait(kNoThrow);
  }
}

// True when the limit is reached: the new connection is closed by its destructor.
bool State::Refuse() {
  if (connections.size() < options->connections_max) return false;
  ++refused_total;
  const auto now = std::chrono::steady_clock::now();
  if (refused_logged_at.time_since_epoch().count() == 0 ||
      now - refused_logged_at >= kRefusedLogEvery) {
    refused_logged_at = now;
    spdlog::warn("{}: limit of {} connections reached, {} refused so far", options->name,
                 options->connections_max, refused_total);
  }
  return true;
}

void State::Start(Socket socket) {
  error_code error;
  const auto remote = socket.remote_endpoint(error);
  std::string address = error ? "unknown" : AddressOf(remote);
  auto connection =
      std::make_shared<Connection>(std::move(socket), std::move(address), options, handler);
  connections.insert(connection);
  asio::co_spawn(acceptor.get_executor(), connection->Run(),
                 asio::bind_cancellation_slot(
                     connection->cancel_slot(),
                     [self = shared_from_this(), connection](std::exception_ptr) {
                       self->connections.erase(connection);
                     }));
}

class AsioServer final : public Server {
 public:
  AsioServer(std::shared_ptr<State> state, uint16_t port, std::string unix_path)
      : state_(std::move(state)), port_(port), unix_path_(std::move(unix_path)) {}
  ~AsioServer() override { Close(); }
  uint16_t port() const override { return port_; }
  size_t connections() const override { return state_->connections.size(); }
  int listening_fd() const override { return state_->accepting ? state_->acceptor.native_handle() : -1; }
  void StopAccepting() override {
    if (!std::exchange(state_->accepting, false)) return;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->retry.cancel();
    if (!unix_path_.empty()) unlink(unix_path_.c_str());
  }
  void Close() override {
    if (std::exchange(state_->closed, true)) return;
    StopAccepting();
    const auto connections = state_->connections;  // each Close() may end one
    for (const auto& connection : connections) connection->Close();
  }

 private:
  const std::shared_ptr<State> state_;
  const uint16_t port_;
  const std::string unix_path_;
};

std::unique_ptr<Server> Serve(asio::io_context& io, Acceptor acceptor, std::string unix_path, ServerOptions options, Handler handler) {
  const uint16_t port = PortOf(acceptor.local_endpoint());
  auto state = std::make_shared<State>(std::move(acceptor), std::move(options), std::move(handler));
  // The handler keeps the state for a loop that has not begun when the server is closed.
  asio::co_spawn(io, state->AcceptLoop(), [state](std::exception_ptr) {});
  return std::make_unique<AsioServer>(std::move(state), port, std::move(unix_path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Listen(asio::io_context& io, const std::string& bind,
                                                       ServerOptions options, Handler handler) {
  absl::StatusOr<Acceptor> acceptor = OpenAcceptor(io, bind);
  if (!acceptor.ok()) return acceptor.status();
  return Serve(io, *std::move(acceptor), bind.starts_with("unix:") ? bind.substr(5) : "", std::move(options), std::move(handler));
}

absl::StatusOr<std::unique_ptr<Server>> Server::Adopt(asio::io_context& io, int fd, ServerOptions options, Handler handler) {
  absl::StatusOr<Acceptor> acceptor = AdoptAcceptor(io, fd);
  if (!acceptor.ok()) return acceptor.status();
  return Serve(io, *std::move(acceptor), "", std::move(options), std::move(handler));
}

}  // namespace ringway::http
