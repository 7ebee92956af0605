// One loop: register when due, then report. Every way it can fail leads to a later turn of the same loop.
#include "sidecar/register/registration.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/log/log.h"
#include "sidecar/register/address.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kRetryFirst{50};
constexpr std::chrono::milliseconds kRetryCap{2000};
constexpr std::chrono::milliseconds kLookupTimeout{3000};
constexpr std::chrono::milliseconds kIdleWaitMax{3500};  // one request's timeout and a little

}  // namespace

Registration::Registration(asio::io_context& io, Catalog& catalog, ServiceDefinition service, Options options,
                           Health& health)
    : io_(io),
      catalog_(catalog),
      service_(std::move(service)),
      options_(std::move(options)),
      health_(health),
      service_id_(UniqueServiceId(service_, options_.instance)),
      token_(service_.token.empty() ? options_.token : service_.token),
      wake_(io),
      idle_(io),
      random_(static_cast<unsigned>(std::hash<std::string>{}(service_id_)) ^ static_cast<unsigned>(getpid())),
      backoff_(kRetryFirst, std::min(kRetryCap, options_.lease.ttl / 3)) {}

void Registration::Run() {
  announce_at_ = Clock::now() + options_.announce_after;
  asio::co_spawn(io_, Loop(), asio::detached);
}

void Registration::Notify() {
  changed_ = true;
  wake_.cancel();
}

void Registration::Close() {
  closed_ = true;
  wake_.cancel();
}

asio::awaitable<void> Registration::Loop() {
  while (!closed_) {
    changed_ = false;
    const CheckResult now = health_.Combined();
    // Its first appearance should be a good one: who probes an instance that is just starting holds it down for a while.
    const Clock::time_point at = Clock::now();
    if (!ever_sent_ && now.status == CheckStatus::kCritical && at < announce_at_) {
      co_await WaitFor(std::chrono::ceil<std::chrono::milliseconds>(announce_at_ - at));
      continue;
    }
    busy_ = true;
    const absl::Status done = co_await Report(now);
    busy_ = false;
    idle_.cancel();
    if (closed_) break;
    std::chrono::milliseconds pause = options_.lease.ttl / 3;
    if (done.ok()) {
      OnRefreshed();
    } else {
      pause = OnFailed(done);
    }
    if (!changed_) co_await WaitFor(pause);
  }
}

asio::awaitable<absl::Status> Registration::Report(CheckResult now) {
  if ((!registered_ || Clock::now() >= resync_at_) && !draining_) {
    const absl::Status done = co_await RegisterOnce(now);
    if (!done.ok() || closed_) co_return done;
  }
  std::string check_id = LeaseCheckId(service_id_);
  std::string token = token_;
  co_return co_await catalog_.UpdateCheck(std::move(check_id), now, std::move(token));
}

// A registration that is still on its way must not arrive behind what is to undo it.
asio::awaitable<void> Registration::AwaitIdle() {
  if (!busy_) co_return;
  idle_.expires_after(kIdleWaitMax);
  co_await idle_.async_wait(kNoThrow);
}

asio::awaitable<void> Registration::WaitFor(std::chrono::milliseconds duration) {
  wake_.expires_after(duration);
  co_await wake_.async_wait(kNoThrow);
}

asio::awaitable<absl::Status> Registration::RegisterOnce(CheckResult now) {
  std::string address = options_.address;
  if (address.empty() && service_.address.empty()) {
    http::Url url = catalog_.url();
    absl::StatusOr<std::string> own = co_await OwnAddressTowards(std::move(url), kLookupTimeout);
    if (!own.ok()) co_return own.status();
    address = *own;
  }
  ServiceDefinition service = service_;
  if (!options_.address.empty()) service.address = options_.address;
  std::string body = BuildRegistration(service, service_id_, address, options_.lease, now.status);
  std::string token = token_;
  ever_sent_ = true;
  const absl::Status done = co_await catalog_.Register(std::move(body), std::move(token));
  if (!done.ok()) co_return done;
  if (!registered_) {
    spdlog::info("service {}: registered as {} at {}:{}, {}", service_.name, service_id_,
                 service.address.empty() ? address : service.address, service_.port, StatusName(now.status));
  }
  registered_ = ever_registered_ = true;
  resync_at_ = Clock::now() + options_.resync;
  co_return done;
}

void Registration::OnRefreshed() {
  if (std::exchange(failing_, false)) spdlog::info("service {}: the catalog answers again", service_.name);
  backoff_.Reset();
}

// How long to wait before the next turn.
std::chrono::milliseconds Registration::OnFailed(const absl::Status& why) {
  const std::string message(why.message());
  if (absl::IsNotFound(why) && registered_) {
    spdlog::warn("service {}: the catalog has forgotten {} ({}): registering again", service_.name, service_id_, message);
    registered_ = false;
    return WithJitter(backoff_.Next(), random_);
  }
  // While a connection fails nobody knows what the catalog remembers: register again as soon as it answers.
  if (absl::IsUnavailable(why)) registered_ = false;
  if (!std::exchange(failing_, true)) {
    spdlog::warn("service {}: the catalog does not take the registration, trying on: {}", service_.name, message);
  }
  return WithJitter(backoff_.Next(), random_);
}

asio::awaitable<void> Registration::Drain() {
  if (!ever_sent_) co_return;
  draining_ = true;
  co_await AwaitIdle();  // one that is on its way may be in the catalog already
  if (!ever_registered_) co_return;
  std::string id = service_id_;
  std::string token = token_;
  spdlog::info("service {}: draining, up to {} ms", service_.name, options_.drain_timeout.count());
  const absl::StatusOr<Catalog::Drained> drained =
      co_await catalog_.Drain(std::move(id), options_.drain_timeout, std::move(token));
  if (closed_) co_return;
  if (drained.ok() && drained->drained) {
    spdlog::info("service {}: drained, {} dataplanes agree", service_.name, drained->dataplanes);
  } else if (drained.ok()) {
    spdlog::warn("service {}: not drained in time, {} requests in flight", service_.name, drained->in_flight);
  } else if (absl::IsUnimplemented(drained.status())) {
    spdlog::info("service {}: the catalog has no drain ({}): maintenance mode instead", service_.name,
                 std::string(drained.status().message()));
    co_await DrainByMaintenance();
  } else {
    spdlog::warn("service {}: cannot drain, going on: {}", service_.name, std::string(drained.status().message()));
  }
}

asio::awaitable<void> Registration::DrainByMaintenance() {
  std::string id = service_id_;
  std::string reason = "stopping";
  std::string token = token_;
  const absl::Status done = co_await catalog_.Maintenance(std::move(id), std::move(reason), std::move(token));
  if (!done.ok()) {
    spdlog::warn("service {}: no maintenance mode either: {}", service_.name, std::string(done.message()));
    co_return;
  }
  asio::steady_timer grace(io_, options_.drain_grace);
  co_await grace.async_wait(kNoThrow);
}

asio::awaitable<void> Registration::Deregister() {
  co_await AwaitIdle();
  if (!ever_sent_) co_return;
  std::string id = service_id_;
  std::string token = token_;
  const absl::Status done = co_await catalog_.Deregister(std::move(id), std::move(token));
  if (done.ok()) {
    spdlog::info("service {}: deregistered {}", service_.name, service_id_);
  } else {
    spdlog::warn("service {}: cannot deregister {}, its lease will end: {}", service_.name, service_id_,
                 std::string(done.message()));
  }
}

}  // namespace ringway::sidecar
