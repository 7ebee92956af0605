// The connection to the catalog that stands for one instance: while it is held the catalog knows that this sidecar lives.
// docs/reference/catalog_api.md, "Leases". One coroutine, on the io_context's thread, for the program's whole life.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <random>
#include <string>

#include "common/backoff.h"
#include "sidecar/register/catalog.h"

namespace ringway::sidecar {

class Lease {
 public:
  struct Events {
    std::function<void(bool offered)> on_offered;  // whether the catalog has leases: at the first answer and at each change
    std::function<void()> on_unknown;              // the catalog does not know the instance: it must be registered
  };
  Lease(boost::asio::io_context& io, Catalog& catalog, std::string service_id, std::string token, Events events);

  void Run();
  void OnRegistered();  // asks for the lease, unless it is held
  void Close();         // ends at the next heartbeat

 private:
  boost::asio::awaitable<void> Loop();
  boost::asio::awaitable<void> Hold(Catalog::LeaseLine line);
  boost::asio::awaitable<void> WaitFor(std::chrono::milliseconds duration);
  void OnRefused(const absl::Status& why);
  void SetOffered(bool offered);

  boost::asio::io_context& io_;
  Catalog& catalog_;
  const std::string service_id_;
  const std::string token_;
  const Events events_;
  boost::asio::steady_timer wake_;
  std::minstd_rand random_;
  Backoff backoff_;    // while nobody answers
  Backoff unsettled_;  // after a lease that did not last
  bool wanted_ = false;  // registered since the catalog last refused
  bool held_ = false;
  bool offered_ = false;
  bool answered_ = false;
  bool closed_ = false;
};

}  // namespace ringway::sidecar
