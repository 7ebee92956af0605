// The whole of it: programs, checks and registrations on one io_context, and the order of a stop.
// docs/reference/sidecar.md has the order; DESIGN of a stop: drain, signal, deregister, exit.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "sidecar/checks/health.h"
#include "sidecar/options.h"
#include "sidecar/plan.h"
#include "sidecar/register/catalog.h"
#include "sidecar/register/registration.h"
#include "sidecar/supervise/reaper.h"
#include "sidecar/supervise/supervisor.h"

namespace ringway::sidecar {

class Sidecar {
 public:
  Sidecar(const Options& options, Plan plan);

  // Returns the exit code when everything has ended.
  int Run();

 private:
  void ArmSignals();
  void OnSignal(int signal);
  void RequestStop(int signal);
  void OnFinished(int exit_code);
  boost::asio::awaitable<void> Shutdown(bool drain, std::optional<int> exit_code);
  boost::asio::awaitable<void> DrainAll();
  boost::asio::awaitable<void> DrainOne(Registration& registration);

  const bool leave_on_terminate_;
  boost::asio::io_context io_;
  Reaper reaper_;
  boost::asio::signal_set signals_;
  Catalog catalog_;
  std::vector<std::unique_ptr<Health>> healths_;
  std::vector<std::unique_ptr<Registration>> registrations_;
  std::unique_ptr<Supervisor> supervisor_;
  boost::asio::steady_timer drained_;  // cancelled when no drain is pending, or by a second signal
  size_t drains_pending_ = 0;
  bool stopping_ = false;
  bool shorten_drain_ = false;
  int exit_code_ = 0;
};

}  // namespace ringway::sidecar
