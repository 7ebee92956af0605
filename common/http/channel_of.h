// What plain and TLS channels have in common; see channel.h. A Wire is one connection: it opens, gives its stream, and shuts.
#pragma once

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/http/channel.h"
#include "common/http/exchange.h"

namespace ringway::http {

template <typename Wire>
class ChannelOf final : public Channel {
 public:
  ChannelOf(Url url, std::function<std::shared_ptr<Wire>()> make) : url_(std::move(url)), make_(std::move(make)) {}
  ~ChannelOf() override { Close(); }

  boost::asio::awaitable<absl::StatusOr<ClientResponse>> Fetch(ClientRequest request) override {
    const auto deadline = std::chrono::steady_clock::now() + request.timeout;
    const std::string what = Spell(url_, request);
    const BeastRequest message = BuildRequest(url_, request, true);
    for (;;) {
      const bool kept = wire_ != nullptr;
      if (!kept) wire_ = make_();
      const std::shared_ptr<Wire> wire = wire_;  // lives on when Close() lets go of it
      if (!kept) {
        const auto connect_end = std::chrono::steady_clock::now() + request.connect_timeout;
        const absl::Status opened = co_await wire->Open(url_, std::min(deadline, connect_end), what);
        if (wire != wire_) co_return Closed(what);
        if (!opened.ok()) {
          Close();
          co_return opened;
        }
      }
      Exchanged exchanged = co_await Exchange(wire->stream(), wire->buffer, message, request, deadline, what);
      if (wire != wire_) co_return Closed(what);
      if (!exchanged.response.ok() || !exchanged.keep_alive) Close();
      const bool again = kept && request.resend && !exchanged.response.ok() && !exchanged.begun && !absl::IsDeadlineExceeded(exchanged.response.status());
      if (!again) co_return std::move(exchanged.response);
    }
  }

  void Close() override {
    if (wire_ != nullptr) wire_->Shut();
    wire_.reset();
  }

 private:
  static absl::Status Closed(const std::string& what) { return absl::CancelledError(absl::StrCat(what, ": given up")); }

  const Url url_;
  const std::function<std::shared_ptr<Wire>()> make_;
  std::shared_ptr<Wire> wire_;
};

}  // namespace ringway::http
