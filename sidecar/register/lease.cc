// Asks, holds, and asks again; see lease.h.
#include "sidecar/register/lease.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/http/heartbeat.h"
#include "common/log/log.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kRetryFirst{50};
// A control plane that was restarted waits for its leases, 3 s if not configured otherwise.
constexpr std::chrono::milliseconds kRetryCap{500};
// One that ends sooner does not reset the back-off: two sidecars with one id would take it from each other for ever.
constexpr std::chrono::seconds kSettled{10};
constexpr std::chrono::seconds kUnsettledCap{30};
constexpr std::chrono::hours kForever{24 * 365};
constexpr int kMissedMax = 3;  // heartbeats

}  // namespace

Lease::Lease(asio::io_context& io, Catalog& catalog, std::string service_id, std::string token, Events events)
    : io_(io),
      catalog_(catalog),
      service_id_(std::move(service_id)),
      token_(std::move(token)),
      events_(std::move(events)),
      wake_(io),
      random_(static_cast<unsigned>(std::hash<std::string>{}(service_id_)) ^ static_cast<unsigned>(getpid())),
      backoff_(kRetryFirst, kRetryCap),
      unsettled_(kRetryFirst, kUnsettledCap) {}

void Lease::Run() { asio::co_spawn(io_, Loop(), asio::detached); }

void Lease::OnRegistered() {
  wanted_ = true;
  if (!held_) wake_.cancel();
}

void Lease::Close() {
  closed_ = true;
  wake_.cancel();
}

asio::awaitable<void> Lease::Loop() {
  while (!closed_) {
    if (!wanted_) {
      co_await WaitFor(kForever);
      continue;
    }
    std::string id = service_id_;
    std::string token = token_;
    absl::StatusOr<Catalog::LeaseLine> line = co_await catalog_.TakeLease(std::move(id), std::move(token));
    if (closed_) co_return;
    if (line.ok()) {
      co_await Hold(*std::move(line));
    } else if (absl::IsNotFound(line.status()) || absl::IsUnimplemented(line.status())) {
      OnRefused(line.status());
    } else {
      co_await WaitFor(WithJitter(backoff_.Next(), random_));
    }
  }
}

asio::awaitable<void> Lease::Hold(Catalog::LeaseLine line) {
  backoff_.Reset();
  held_ = true;
  SetOffered(true);
  const Clock::time_point since = Clock::now();
  const http::HeartbeatTimes times{line.heartbeat, line.heartbeat * kMissedMax};
  std::function<bool()> wanted = [this] { return !closed_; };
  const http::HeartbeatEnd end = co_await http::HoldHeartbeat(*std::move(line.socket), times, std::move(wanted));
  held_ = false;
  if (closed_) co_return;
  spdlog::info("{}: the connection that holds the lease ended ({}), taking it again", service_id_, end.why);
  if (Clock::now() - since >= kSettled) unsettled_.Reset();
  co_await WaitFor(WithJitter(unsettled_.Next(), random_));
}

// Nothing to gain by asking again before the next registration.
void Lease::OnRefused(const absl::Status& why) {
  wanted_ = false;
  if (absl::IsNotFound(why)) {
    events_.on_unknown();
    return;
  }
  if (offered_) spdlog::warn("{}: {}: living by the TTL check alone", service_id_, std::string(why.message()));
  SetOffered(false);
}

void Lease::SetOffered(bool offered) {
  if (std::exchange(answered_, true) && offered == offered_) return;
  offered_ = offered;
  events_.on_offered(offered);
}

asio::awaitable<void> Lease::WaitFor(std::chrono::milliseconds duration) {
  wake_.expires_after(duration);
  co_await wake_.async_wait(kNoThrow);
}

}  // namespace ringway::sidecar
