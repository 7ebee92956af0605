// Active checks of every endpoint whose service has a health_check: who is checked follows the resolver, the verdicts go back
// to it. One coroutine an endpoint, on the control plane's thread; at most `running_max` checks at the same moment, the rest
// wait their turn. The first check of a new endpoint runs at once, later ones are spread over the interval (10 % of jitter).
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/config/config.h"
#include "controlplane/health/check_failure.h"

namespace ringway::cp {

struct CheckTarget {
  std::string id;
  uint64_t generation = 0;
  std::string address;  // IP literal
  uint16_t port = 0;
  bool operator==(const CheckTarget&) const = default;
};

class Checker {
 public:
  explicit Checker(boost::asio::io_context& io, size_t running_max = 256);
  ~Checker();  // ends every check

  // Called with the service's name after a verdict changed; never from inside a call into the checker.
  void OnChange(std::function<void(const std::string& service)> callback);

  // The endpoints of `service` to check from now on, none when `check` is nullopt. An endpoint that stays keeps its verdict,
  // also when the check's settings changed; another generation of the same id starts anew.
  void SetTargets(const std::string& service, const std::optional<HealthCheck>& check, const std::vector<CheckTarget>& targets);
  // The same for one endpoint, at the cost of one.
  void SetTarget(const std::string& service, const HealthCheck& check, const CheckTarget& target);
  void RemoveTarget(const std::string& service, const std::string& id);
  void RemoveService(const std::string& service);

  // Endpoints that were down before a restart: they start down when they are checked, until `rise` checks succeed.
  void Remember(const std::string& service, CheckFailures failures);
  // Those that are down, each with the reason of its latest failure.
  const CheckFailures& Failing(const std::string& service) const;

  size_t targets() const;
  uint64_t checks_total() const;
  size_t running_peak() const;  // most checks that ever ran at one moment

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace ringway::cp
