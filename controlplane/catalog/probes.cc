// The running probes; see probes.h.
#include "controlplane/catalog/probes.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "controlplane/catalog/probe_run.h"

namespace ringway::cp {

namespace asio = boost::asio;

// Held by its coroutine and by the map; `stopped` ends the coroutine at its next step.
struct Probes::Probe {
  std::string check_id;
  CheckSpec spec;
  std::shared_ptr<Result> result;
  asio::cancellation_signal cancel;
  bool stopped = false;

  static asio::awaitable<void> Run(std::shared_ptr<Probe> self) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (!self->stopped) {
      CheckSpec spec = self->spec;
      const ProbeVerdict verdict = co_await RunProbe(std::move(spec));
      if (self->stopped) co_return;
      (*self->result)(self->check_id, verdict.status, verdict.output);
      timer.expires_after(self->spec.interval);
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }

  void Stop() {
    stopped = true;
    cancel.emit(asio::cancellation_type::terminal);
  }
};

Probes::Probes(asio::io_context& io, Result result)
    : io_(io), result_(std::make_shared<Result>(std::move(result))) {}

Probes::~Probes() {
  for (auto& [id, probe] : running_) probe->Stop();
}

void Probes::Follow(const std::string& check_id, const CheckRecord* check) {
  const auto found = running_.find(check_id);
  if (found != running_.end()) {
    if (check != nullptr && check->spec == found->second->spec) return;
    found->second->Stop();
    running_.erase(found);
  }
  if (check == nullptr || !check->spec.IsProbe()) return;
  const auto probe = std::make_shared<Probe>();
  probe->check_id = check_id;
  probe->spec = check->spec;
  probe->result = result_;
  running_[check_id] = probe;
  asio::co_spawn(io_, Probe::Run(probe),
                 asio::bind_cancellation_slot(probe->cancel.slot(), asio::detached));
}

}  // namespace ringway::cp
