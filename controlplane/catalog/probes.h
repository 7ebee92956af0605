// Runs the HTTP and TCP checks that clients registered through the API: one coroutine per check, on
// the io_context. The first probe goes out at once (Consul waits a random share of the interval),
// then every interval.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "controlplane/catalog/records.h"

namespace ringway::cp {

class Probes {
 public:
  // `result` is called on the io_context's thread: check id, status, output.
  using Result = std::function<void(const std::string&, const std::string&, const std::string&)>;
  Probes(boost::asio::io_context& io, Result result);
  ~Probes();
  // Starts, stops or restarts what a check that is new, changed or gone asks for. `check`: null when it is gone.
  void Follow(const std::string& check_id, const CheckRecord* check);

 private:
  struct Probe;
  boost::asio::io_context& io_;
  std::shared_ptr<Result> result_;
  std::map<std::string, std::shared_ptr<Probe>> running_;  // by check id
};

}  // namespace ringway::cp
