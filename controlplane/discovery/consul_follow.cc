// See consul_follow.h.
#include "controlplane/discovery/consul_follow.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log/log.h"

namespace ringway::cp {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

// A catalog that comes and goes is told of at most this often.
constexpr std::chrono::seconds kTellDownEvery{10};
// A start without an answer is a fault only after a while.
constexpr std::chrono::seconds kStartGrace{1};

std::string Services(size_t count) { return count == 1 ? "1 service" : absl::StrCat(count, " services"); }

}  // namespace

ConsulFollow::ConsulFollow(boost::asio::io_context& io, std::shared_ptr<ConsulLink> link, Answered answered, Known known)
    : io_(io), link_(std::move(link)), answered_(std::move(answered)), known_(std::move(known)),
      turns_(std::make_shared<Turns>(io.get_executor(), kWatchesAtOnce)) {}

ConsulFollow::~ConsulFollow() {
  link_->Stop();
  for (const auto& [service, watch] : watches_) watch->Stop();
}

void ConsulFollow::Start() {
  link_->Start([this] { RestartAll(); }, [this] { Judge(); });
}

void ConsulFollow::Follow(const std::string& service) {
  auto& watch = watches_[service];
  if (watch) return;
  watch = std::make_shared<ConsulWatch>(io_, link_, turns_, service, HooksOf(service));
  unconfirmed_.insert(service);
  watch->Start();
  if (watches_.size() <= kWatchesAtOnce || std::exchange(told_turns_, true)) return;
  spdlog::warn("catalog: more than {} services are routed to; they take turns at Consul, which allows 200 connections, and learn of a change some seconds late",
               kWatchesAtOnce);
  RestartAll();  // those in a long wait let go of their turn
}

void ConsulFollow::Forget(const std::string& service) {
  const auto watch = watches_.find(service);
  if (watch == watches_.end()) return;
  watch->second->Stop();
  watches_.erase(watch);
  failing_.erase(service);
  unconfirmed_.erase(service);
  Judge();
}

WatchHooks ConsulFollow::HooksOf(const std::string& service) {
  WatchHooks hooks;
  hooks.answered = [this, service](std::vector<Instance> instances) { return answered_(service, std::move(instances)); };
  hooks.known = [this, service] { return known_(service); };
  hooks.followed = [this, service] { OnFollowed(service); };
  hooks.failed = [this, service](const std::string& why) { OnFailed(service, why); };
  hooks.scout = [this, service] { return !failing_.empty() && failing_.begin()->first == service; };
  return hooks;
}

void ConsulFollow::OnFollowed(const std::string& service) {
  unconfirmed_.erase(service);
  const bool was_failing = failing_.erase(service) > 0;
  // What was in its way may be gone for the others too: they need not wait to the end of their back-off.
  if (was_failing) {
    for (const auto& [name, why] : failing_) watches_.at(name)->Hurry();
    if (failing_.empty()) link_->Stay();
  }
  Judge();
}

void ConsulFollow::OnFailed(const std::string& service, const std::string& why) {
  unconfirmed_.erase(service);
  failing_[service] = why;
  Judge();
}

void ConsulFollow::RestartAll() {
  unconfirmed_.clear();
  // A thousand watches do not ask within one millisecond.
  const Milliseconds spread(std::min<size_t>(watches_.size(), 500));
  for (const auto& [service, watch] : watches_) {
    unconfirmed_.insert(service);
    watch->Restart(spread);
  }
}

std::string ConsulFollow::Why() const {
  if (!link_->ok()) return link_->error();
  if (failing_.empty()) return unconfirmed_.empty() ? "" : absl::StrCat("asking again for ", Services(unconfirmed_.size()));
  const std::string& first = failing_.begin()->second;
  return failing_.size() == 1 ? first : absl::StrCat(first, " (", Services(failing_.size()), " in all)");
}

void ConsulFollow::Judge() {
  const bool well = link_->ok() && failing_.empty();
  if (ok_ && well) {
    good_at_ = std::chrono::system_clock::now();
  } else if (ok_) {
    ok_ = false;
    down_since_ = Clock::now();
  } else if (well && unconfirmed_.empty()) {
    ok_ = true;
    good_at_ = std::chrono::system_clock::now();
  }
  Tell();
}

// Two lines an outage: what is wrong, and when it is over.
void ConsulFollow::Tell() {
  const Clock::time_point now = Clock::now();
  if (!ok_ && !told_down_) {
    const bool early = !ever_ok_ && now < down_since_ + kStartGrace;
    const bool unsure = link_->ok() && failing_.empty();
    if (early || unsure || now < told_at_ + kTellDownEvery) return;
    told_down_ = true;
    told_at_ = now;
    spdlog::error("catalog: {} is not ok: {}; last known good serves on ({})", link_->address(), Why(), Services(watches_.size()));
  } else if (ok_ && told_down_) {
    told_down_ = false;
    const std::string after = absl::StrFormat("%.1f s", std::chrono::duration<double>(now - down_since_).count());
    spdlog::info("catalog: {} is ok again after {} ({} followed)", link_->address(), after, Services(watches_.size()));
  } else if (ok_ && !ever_ok_) {
    spdlog::info("catalog: {} answers ({} followed)", link_->address(), Services(watches_.size()));
  }
  ever_ok_ = ever_ok_ || ok_;
}

CatalogState ConsulFollow::State() const {
  return {link_->address(), ok_, ok_ ? std::chrono::system_clock::now() : good_at_, ok_ ? "" : Why()};
}

}  // namespace ringway::cp
