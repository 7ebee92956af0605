// The held connections; see leases.h.
#include "controlplane/catalog/leases.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"

namespace ringway::cp {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// A host that dies takes many leases along: so many lines, then one that counts the rest.
constexpr uint32_t kLinesMax = 5;
constexpr std::chrono::seconds kBurst{1};

http::HeartbeatTimes TimesOf(const LeaseTimes& lease) {
  const auto timeout = std::chrono::duration_cast<milliseconds>(lease.timeout);
  return {std::max(timeout / 3, milliseconds(1)), timeout};
}

std::string Reason(const http::HeartbeatEnd& end) {
  const bool silent = end.kind == http::HeartbeatEnd::Kind::kSilent;
  return absl::StrCat("lease ended: ", silent ? "" : "the sidecar's connection ", end.why);
}

}  // namespace

Leases::Leases(asio::io_context& io, EmbeddedCatalog& catalog, size_t leases_max)
    : io_(io),
      catalog_(catalog),
      leases_max_(leases_max),
      times_(TimesOf(catalog.options().lease)),
      log_again_(io) {}

absl::Status Leases::Admit(const std::string& service_id) const {
  if (!catalog_.agent().node().services.contains(service_id))
    return absl::NotFoundError(absl::StrCat("unknown service ID: ", service_id));
  if (held_ < leases_max_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("the limit of ", leases_max_, " leases is reached"));
}

void Leases::Take(const std::string& service_id, const std::string& holder, http::Socket socket) {
  if (closed_) return;
  if (catalog_.agent().LeaseHeld(service_id)) {
    spdlog::warn("catalog: the lease of {} goes to a new connection from {}, while another one is still open", service_id,
                 holder);
  }
  absl::StatusOr<uint64_t> number;
  catalog_.Change([&](Agent& agent, Catalog&) { number = agent.TakeLease(service_id, holder); });
  if (!number.ok()) return;  // deregistered meanwhile: the sidecar finds the connection closed and asks again
  ++held_;
  asio::co_spawn(io_, Hold(shared_from_this(), service_id, *number, std::move(socket)), asio::detached);
}

asio::awaitable<void> Leases::Hold(std::shared_ptr<Leases> self, std::string service_id, uint64_t number,
                                   http::Socket socket) {
  std::function<bool()> wanted = [self, service_id, number] {
    return !self->closed_ && self->catalog_.agent().HoldsLease(service_id, number);
  };
  const http::HeartbeatEnd end = co_await http::HoldHeartbeat(std::move(socket), self->times_, std::move(wanted));
  --self->held_;
  self->OnEnded(service_id, number, end);
}

void Leases::OnEnded(const std::string& service_id, uint64_t number, const http::HeartbeatEnd& end) {
  if (closed_ || end.kind == http::HeartbeatEnd::Kind::kUnwanted) return;
  if (!catalog_.agent().HoldsLease(service_id, number)) return;
  const std::string why = Reason(end);
  catalog_.Change([&](Agent& agent, Catalog&) {
    const Agent::Time now = Agent::Clock::now();
    if (end.overslept) {
      agent.AwaitLease(service_id, number, now);
    } else {
      agent.EndLease(service_id, number, why, now);
    }
  });
  if (!end.overslept) LogEnd(service_id, why);
}

void Leases::LogEnd(const std::string& service_id, const std::string& why) {
  if (++logged_ <= kLinesMax) spdlog::warn("catalog: {} is critical: {}", service_id, why);
  if (logged_ != 1) return;
  log_again_.expires_after(kBurst);
  log_again_.async_wait([self = shared_from_this()](const boost::system::error_code&) {
    const uint32_t logged = std::exchange(self->logged_, 0);
    if (logged > kLinesMax) spdlog::warn("catalog: {} more leases ended within a second", logged - kLinesMax);
  });
}

void Leases::Close() {
  closed_ = true;
  log_again_.cancel();
}

}  // namespace ringway::cp
