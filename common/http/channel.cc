// Channels over plain TCP and unix sockets; see channel.h.
#include "common/http/channel.h"

#include "common/http/channel_of.h"
#include "common/http/connect.h"

namespace ringway::http {
namespace {

struct PlainWire {
  explicit PlainWire(const boost::asio::any_io_executor& executor) : plain(executor) {}
  boost::asio::awaitable<absl::Status> Open(Url url, std::chrono::steady_clock::time_point deadline, std::string what) {
    if (url.tls) co_return absl::UnimplementedError(what + ": wanted http://, this part speaks no TLS");
    co_return co_await Connect(plain, url, deadline, what);
  }
  Stream& stream() { return plain; }
  void Shut() { plain.close(); }

  Stream plain;
  boost::beast::flat_buffer buffer;
};

}  // namespace

std::unique_ptr<Channel> MakeChannel(boost::asio::any_io_executor executor, Url url) {
  return std::make_unique<ChannelOf<PlainWire>>(std::move(url), [executor] { return std::make_shared<PlainWire>(executor); });
}

}  // namespace ringway::http
