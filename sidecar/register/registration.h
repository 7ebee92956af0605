// Keeps one service of this container in the catalog: registers, holds the lease, refreshes the TTL check, reports each change
// of health at once, registers again when the catalog forgot, drains and deregisters at the end. On the io_context's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "common/backoff.h"
#include "sidecar/checks/health.h"
#include "sidecar/register/catalog.h"
#include "sidecar/register/definition.h"
#include "sidecar/register/lease.h"
#include "sidecar/register/registration_body.h"

namespace ringway::sidecar {

class Registration {
 public:
  struct Options {
    std::string instance;  // last part of the service id
    std::string address;   // empty: found out at each registration
    std::string token;     // for definitions without one
    TtlCheck check;                                 // its TTL where the catalog has no leases
    std::chrono::milliseconds ttl_with_lease{30000};  // where it has: the lease tells of an end, the TTL is the fallback
    std::chrono::milliseconds resync{30000};
    std::chrono::milliseconds announce_after{5000};  // a critical instance is not registered before
    std::chrono::milliseconds drain_timeout{30000};
    std::chrono::milliseconds drain_grace{2000};
  };

  Registration(boost::asio::io_context& io, Catalog& catalog, ServiceDefinition service, Options options, Health& health);

  void Run();     // starts the loop
  void Notify();  // something to tell: the health changed
  void Close();   // ends the loop; nothing more is sent but Deregister, and the lease is held until then

  // Until the dataplanes have let go of this instance; logs what came of it. Does nothing when it was never registered.
  boost::asio::awaitable<void> Drain();
  boost::asio::awaitable<void> Deregister();

  const std::string& service_id() const { return service_id_; }

 private:
  boost::asio::awaitable<void> Loop();
  boost::asio::awaitable<absl::Status> Report(CheckResult now);
  boost::asio::awaitable<void> AwaitIdle();
  boost::asio::awaitable<absl::Status> RegisterOnce(CheckResult now);
  boost::asio::awaitable<absl::StatusOr<Catalog::Drained>> AskDrain();
  boost::asio::awaitable<void> DrainByMaintenance();
  boost::asio::awaitable<void> WaitFor(std::chrono::milliseconds duration);
  void OnRefreshed();
  std::chrono::milliseconds OnFailed(const absl::Status& why);
  void OnLeaseOffered(bool offered);
  void OnUnknown();
  void LookForFormerDrain();
  boost::asio::awaitable<void> EndFormerDrain();
  boost::asio::awaitable<absl::Status> EndMaintenanceIfOwn();
  void OnWritten();

  boost::asio::io_context& io_;
  Catalog& catalog_;
  const ServiceDefinition service_;
  const Options options_;
  Health& health_;
  const std::string service_id_;
  const std::string token_;
  Lease lease_;
  std::chrono::milliseconds ttl_;             // by now
  std::chrono::milliseconds ttl_registered_{0};
  boost::asio::steady_timer wake_;
  boost::asio::steady_timer idle_;  // cancelled when writes_under_way_ is 0 again
  std::chrono::steady_clock::time_point announce_at_{};
  std::chrono::steady_clock::time_point resync_at_{};
  std::minstd_rand random_;
  Backoff backoff_;
  bool registered_ = false;       // as far as we know
  bool ever_registered_ = false;
  bool ever_sent_ = false;        // a registration went out, whatever came of it
  int writes_under_way_ = 0;      // requests that must not arrive behind what is to undo them
  bool former_drain_due_ = false;      // nobody has told yet whether a former life's maintenance mode is on
  bool former_drain_failing_ = false;  // has been logged
  bool changed_ = false;          // what is to be told, since the last report was built
  bool failing_ = false;          // an outage has been logged
  bool draining_ = false;
  bool closed_ = false;
};

}  // namespace ringway::sidecar
