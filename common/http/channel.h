// A kept connection to one peer, for those who ask the same server again and again: blocking queries, probes. Connects with
// the first request, and anew when the peer has closed it. One coroutine at a time, on its executor's thread; the owner keeps
// it alive while a Fetch runs. https:// needs MakeTlsChannel (tls_client.h), which the sidecar does not link.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "absl/status/statusor.h"
#include "common/http/client.h"

namespace ringway::http {

class Channel {
 public:
  virtual ~Channel() = default;
  // Errors are those of http::Fetch; Cancelled: Close() was called meanwhile. A request that a kept connection did not
  // answer with a single byte is sent once more on a new one, unless its `resend` is false.
  virtual boost::asio::awaitable<absl::StatusOr<ClientResponse>> Fetch(ClientRequest request) = 0;
  // Ends what is under way; the next Fetch connects anew.
  virtual void Close() = 0;
};

std::unique_ptr<Channel> MakeChannel(boost::asio::any_io_executor executor, Url url);

}  // namespace ringway::http
