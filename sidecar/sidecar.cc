// Construction, then signals, then the stop, in the order they happen.
#include "sidecar/sidecar.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "common/log/log.h"
#include "sidecar/supervise/signal_names.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kCatalogTimeout{3000};
constexpr std::chrono::hours kForever{24 * 365};

bool HasControllingTerminal() {
  const int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

std::vector<CheckDefinition> ChecksToRun(const ServiceDefinition& service) {
  std::vector<CheckDefinition> checks;
  for (const CheckDefinition& check : service.checks) {
    if (check.kind != CheckDefinition::Kind::kTtl) checks.push_back(check);
  }
  return checks;
}

}  // namespace

Sidecar::Sidecar(const Options& options, Plan plan)
    : leave_on_terminate_(plan.definitions.leave_on_terminate),
      io_(1),
      reaper_(io_),
      signals_(io_, SIGTERM, SIGINT, SIGQUIT),
      catalog_(options.catalog, kCatalogTimeout),
      drained_(io_) {
  for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH}) signals_.add(signal);
  std::vector<std::pair<std::string, std::string>> environment;
  for (const ServiceDefinition& service : plan.definitions.services) {
    healths_.push_back(std::make_unique<Health>(io_, reaper_, ChecksToRun(service)));
    Health& health = *healths_.back();
    registrations_.push_back(
        std::make_unique<Registration>(io_, catalog_, service, options.registration, health));
    Registration& registration = *registrations_.back();
    health.on_change = [&registration] { registration.Notify(); };
    if (environment.empty()) environment.emplace_back("RINGWAY_SERVICE_ID", registration.service_id());
  }
  Supervisor::Events events;
  events.on_essential = [this](bool up, const std::string& why) {
    for (const auto& health : healths_) health->SetUp(up, why);
  };
  events.on_finished = [this](int exit_code) { OnFinished(exit_code); };
  supervisor_ = std::make_unique<Supervisor>(io_, reaper_, std::move(plan.programs), std::move(environment), events);
}

int Sidecar::Run() {
  ArmSignals();
  supervisor_->Start();
  for (const auto& health : healths_) health->Run();
  for (const auto& registration : registrations_) registration->Run();
  io_.run();
  return exit_code_;
}

void Sidecar::ArmSignals() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    ArmSignals();
    OnSignal(signal);
  });
}

void Sidecar::OnSignal(int signal) {
  switch (signal) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
      return RequestStop(signal);
    case SIGWINCH:
      // Images made for Apache send it to stop (STOPSIGNAL SIGWINCH); a terminal sends it when its window changes.
      if (!HasControllingTerminal()) return RequestStop(signal);
      break;
    default:
      break;
  }
  supervisor_->Forward(signal);
}

void Sidecar::RequestStop(int signal) {
  if (stopping_) {
    if (std::exchange(shorten_drain_, true)) return;
    spdlog::info("{} again: not waiting for the drain any longer", SignalName(signal));
    drained_.cancel();
    return;
  }
  stopping_ = true;
  spdlog::info("{}: stopping", SignalName(signal));
  asio::co_spawn(io_, Shutdown(true, std::nullopt), asio::detached);
}

// Without a program there is nothing to drain: in the catalog first, so that no request comes here any more.
void Sidecar::OnFinished(int exit_code) {
  if (stopping_) {
    shorten_drain_ = true;
    drained_.cancel();
    return;
  }
  stopping_ = true;
  shorten_drain_ = true;
  asio::co_spawn(io_, Shutdown(false, exit_code), asio::detached);
}

asio::awaitable<void> Sidecar::Shutdown(bool drain, std::optional<int> exit_code) {
  if (drain) co_await DrainAll();
  for (const auto& health : healths_) health->Stop();
  for (const auto& registration : registrations_) registration->Close();
  asio::steady_timer stopped(io_, kForever);
  bool all_gone = false;
  if (!drain && leave_on_terminate_) {
    for (const auto& registration : registrations_) co_await registration->Deregister();
  }
  supervisor_->Stop([&] {
    all_gone = true;
    stopped.cancel();
  });
  if (!all_gone) co_await stopped.async_wait(kNoThrow);
  if (drain && leave_on_terminate_) {
    for (const auto& registration : registrations_) co_await registration->Deregister();
  }
  exit_code_ = exit_code.value_or(supervisor_->ExitCodeAfterStop());
  spdlog::info("ends with status {}", exit_code_);
  io_.stop();
}

asio::awaitable<void> Sidecar::DrainAll() {
  if (registrations_.empty()) co_return;
  drained_.expires_after(kForever);
  drains_pending_ = registrations_.size();
  for (const auto& registration : registrations_) asio::co_spawn(io_, DrainOne(*registration), asio::detached);
  if (drains_pending_ > 0 && !shorten_drain_) co_await drained_.async_wait(kNoThrow);
}

asio::awaitable<void> Sidecar::DrainOne(Registration& registration) {
  co_await registration.Drain();
  if (--drains_pending_ == 0) drained_.cancel();
}

}  // namespace ringway::sidecar
