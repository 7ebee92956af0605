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
constexpr std::chrono::milliseconds kIdleWaitMax{3500};  // the timeout of one request, no more is under way, and a little
constexpr std::chrono::milliseconds kUpdateTimeoutMin{500};
constexpr std::chrono::milliseconds kAwayMax{3000};
constexpr std::chrono::milliseconds kDrainRetryCap{250};

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
      lease_(io, catalog, service_id_, token_,
             {[this](bool offered) { OnLeaseOffered(offered); }, [this] { OnUnknown(); }}),
      ttl_(options_.check.ttl),
      wake_(io),
      idle_(io),
      random_(static_cast<unsigned>(std::hash<std::string>{}(service_id_)) ^ static_cast<unsigned>(getpid())),
      backoff_(kRetryFirst, std::min(kRetryCap, options_.check.ttl / 3)) {}

void Registration::Run() {
  announce_at_ = Clock::now() + options_.announce_after;
  asio::co_spawn(io_, Loop(), asio::detached);
  lease_.Run();
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
  while (!closed_ && !(draining_ && !ever_sent_)) {
    changed_ = false;
    const CheckResult now = health_.Combined();
    // Its first appearance should be a good one: who probes an instance that is just starting holds it down for a while.
    const Clock::time_point at = Clock::now();
    if (!ever_sent_ && now.status == CheckStatus::kCritical && at < announce_at_) {
      co_await WaitFor(std::chrono::ceil<std::chrono::milliseconds>(announce_at_ - at));
      continue;
    }
    const absl::Status done = co_await Report(now);
    if (closed_) break;
    std::chrono::milliseconds pause = ttl_ / 3;
    if (done.ok()) {
      OnRefreshed();
    } else {
      pause = OnFailed(done);
    }
    if (!changed_) co_await WaitFor(pause);
  }
}

asio::awaitable<absl::Status> Registration::Report(CheckResult now) {
  const bool due = !registered_ || ttl_ != ttl_registered_ || Clock::now() >= resync_at_;
  absl::Status registered;
  if (due && !draining_) {
    registered = co_await RegisterOnce(now);
    // A catalog that knows us but does not take this registration (its disk is full) is still told how we are.
    const bool answered = absl::IsInternal(registered);
    if (closed_ || !ever_sent_ || (!registered.ok() && !(answered && ever_registered_))) co_return registered;
  }
  std::string check_id = SidecarCheckId(service_id_);
  std::string token = token_;
  const std::chrono::milliseconds timeout = std::max(ttl_ / 3, kUpdateTimeoutMin);
  const absl::Status updated = co_await catalog_.UpdateCheck(std::move(check_id), now, std::move(token), timeout);
  co_return registered.ok() ? updated : registered;
}

// With a lease an end is known at once, and the TTL need not be short.
void Registration::OnLeaseOffered(bool offered) {
  ttl_ = offered ? std::max(options_.check.ttl, options_.ttl_with_lease) : options_.check.ttl;
  spdlog::info("service {}: {}, TTL {} ms", service_.name,
               offered ? "holds a lease" : "the catalog has no leases (a Consul): its TTL check tells of a sudden end",
               ttl_.count());
  Notify();
  former_drain_due_ = !offered;
  LookForFormerDrain();
}

// One that was killed in its drain left a Consul agent in maintenance mode for this id, and the agent keeps that for ever.
// Tried again at each resync until the agent has answered.
void Registration::LookForFormerDrain() {
  if (draining_ || closed_ || !std::exchange(former_drain_due_, false)) return;
  asio::co_spawn(io_, EndFormerDrain(), asio::detached);
}

asio::awaitable<void> Registration::EndFormerDrain() {
  const absl::Status done = co_await EndMaintenanceIfOwn();
  if (done.ok() || draining_ || closed_) co_return;
  former_drain_due_ = true;
  if (std::exchange(former_drain_failing_, true)) co_return;
  spdlog::warn("service {}: cannot see to the maintenance mode that a former life may have left, asking again: {}",
               service_.name, std::string(done.message()));
}

asio::awaitable<absl::Status> Registration::EndMaintenanceIfOwn() {
  std::string id = service_id_;
  std::string token = token_;
  const absl::StatusOr<bool> own = co_await catalog_.InOwnMaintenance(std::move(id), std::move(token));
  // From a stop on it may be this life's own.
  if (!own.ok() || !*own || draining_ || closed_) co_return own.status();
  id = service_id_;
  token = token_;
  ++writes_under_way_;
  const absl::Status ended = co_await catalog_.EndMaintenance(std::move(id), std::move(token));
  OnWritten();
  if (ended.ok()) spdlog::info("service {}: ended the maintenance mode that a former life began", service_.name);
  co_return ended;
}

void Registration::OnUnknown() {
  if (closed_ || draining_ || !registered_) return;
  spdlog::warn("service {}: the catalog has forgotten {}: registering again", service_.name, service_id_);
  registered_ = false;
  Notify();
}

void Registration::OnWritten() {
  if (--writes_under_way_ == 0) idle_.cancel();
}

// A registration that is still on its way must not arrive behind what is to undo it, nor the end of a former life's
// maintenance mode behind the beginning of ours.
asio::awaitable<void> Registration::AwaitIdle() {
  if (writes_under_way_ == 0) co_return;
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
    if (draining_ || closed_) co_return absl::OkStatus();  // the stop does not wait for what has not gone out yet
  }
  ServiceDefinition service = service_;
  if (!options_.address.empty()) service.address = options_.address;
  TtlCheck check = options_.check;
  check.ttl = ttl_;
  std::string body = BuildRegistration(service, service_id_, address, check, now.status);
  std::string token = token_;
  ever_sent_ = true;
  ++writes_under_way_;
  const absl::Status done = co_await catalog_.Register(std::move(body), !ever_registered_, std::move(token));
  OnWritten();
  if (!done.ok()) co_return done;
  if (!registered_) {
    spdlog::info("service {}: registered as {} at {}:{}, {}", service_.name, service_id_,
                 service.address.empty() ? address : service.address, service_.port, StatusName(now.status));
  }
  registered_ = ever_registered_ = true;
  ttl_registered_ = check.ttl;
  lease_.OnRegistered();
  resync_at_ = Clock::now() + options_.resync;
  LookForFormerDrain();
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
  draining_ = true;
  if (!ever_sent_) co_return;
  co_await AwaitIdle();  // one that is on its way may be in the catalog already
  if (!ever_registered_) co_return;
  spdlog::info("service {}: draining, up to {} ms", service_.name, options_.drain_timeout.count());
  const absl::StatusOr<Catalog::Drained> drained = co_await AskDrain();
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

// A control plane that goes while we wait is asked again for the time that is left, as soon as it answers: the mark is stored
// there, the wait was not. One that is away is given the time of a restart.
asio::awaitable<absl::StatusOr<Catalog::Drained>> Registration::AskDrain() {
  const Clock::time_point start = Clock::now();
  const Clock::time_point deadline = start + options_.drain_timeout;
  Clock::time_point give_up = std::min(deadline, start + kAwayMax);
  Backoff backoff(kRetryFirst, kDrainRetryCap);
  for (;;) {
    std::string id = service_id_;
    std::string token = token_;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(deadline - Clock::now(), Clock::duration::zero()));
    absl::StatusOr<Catalog::Drained> drained = co_await catalog_.Drain(std::move(id), left, std::move(token));
    const bool away = absl::IsUnavailable(drained.status());
    const bool cut = absl::IsDataLoss(drained.status());
    if (cut) give_up = deadline;
    if (closed_ || (!away && !cut) || Clock::now() >= give_up) co_return drained;
    if (cut) spdlog::warn("service {}: the catalog went away during the drain, asking again", service_.name);
    asio::steady_timer pause(io_, WithJitter(backoff.Next(), random_));
    co_await pause.async_wait(kNoThrow);
    if (closed_) co_return drained;
  }
}

asio::awaitable<void> Registration::DrainByMaintenance() {
  std::string id = service_id_;
  std::string token = token_;
  const absl::Status done = co_await catalog_.StartMaintenance(std::move(id), std::move(token));
  if (!done.ok()) {
    spdlog::warn("service {}: no maintenance mode either: {}", service_.name, std::string(done.message()));
    co_return;
  }
  asio::steady_timer grace(io_, options_.drain_grace);
  co_await grace.async_wait(kNoThrow);
}

asio::awaitable<void> Registration::Deregister() {
  co_await AwaitIdle();
  if (!ever_sent_) co_return lease_.Close();
  std::string id = service_id_;
  std::string token = token_;
  const absl::Status done = co_await catalog_.Deregister(std::move(id), std::move(token));
  lease_.Close();
  if (done.ok()) {
    spdlog::info("service {}: deregistered {}", service_.name, service_id_);
  } else {
    spdlog::warn("service {}: cannot deregister {}, its TTL or lease will end: {}", service_.name, service_id_,
                 std::string(done.message()));
  }
}

}  // namespace ringway::sidecar
