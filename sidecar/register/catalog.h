// The sidecar's side of Consul's agent API and of the catalog's drain. One request per call, on the io_context's thread.
// https://developer.hashicorp.com/consul/api-docs/v1.8.x/agent/service
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "sidecar/checks/check.h"

namespace ringway::sidecar {

class Catalog {
 public:
  // `timeout` for everything but Drain.
  Catalog(http::Url url, std::chrono::milliseconds timeout) : url_(std::move(url)), timeout_(timeout) {}

  // All of them: Unavailable or DeadlineExceeded when nobody answers; NotFound when the catalog does not know the id;
  // Internal for any other answer, with its text.
  // `first`: of this sidecar's life; a drain that a former life was asked for ends by it.
  boost::asio::awaitable<absl::Status> Register(std::string body, bool first, std::string token);
  boost::asio::awaitable<absl::Status> UpdateCheck(std::string check_id, CheckResult result, std::string token,
                                                   std::chrono::milliseconds timeout);
  boost::asio::awaitable<absl::Status> Deregister(std::string service_id, std::string token);
  // Maintenance mode is the drain of a catalog that has none; its reason tells it from a person's.
  boost::asio::awaitable<absl::Status> StartMaintenance(std::string service_id, std::string token);
  // Is it in one that a sidecar began, and not a person? False where the id is unknown.
  boost::asio::awaitable<absl::StatusOr<bool>> InOwnMaintenance(std::string service_id, std::string token);
  boost::asio::awaitable<absl::Status> EndMaintenance(std::string service_id, std::string token);

  struct Drained {
    bool drained = false;
    int64_t in_flight = 0;
    int64_t dataplanes = 0;
  };
  // Answers when the dataplanes have let go of the instance, or after `wait`. Unimplemented: not a Ringway catalog.
  boost::asio::awaitable<absl::StatusOr<Drained>> Drain(std::string service_id, std::chrono::milliseconds wait,
                                                        std::string token);

  struct LeaseLine {
    std::optional<http::Socket> socket;
    std::chrono::milliseconds heartbeat{0};
  };
  // The connection that stands for the instance. Unimplemented: no leases here (a real Consul); NotFound: there are, but
  // the id is unknown.
  boost::asio::awaitable<absl::StatusOr<LeaseLine>> TakeLease(std::string service_id, std::string token);

  const http::Url& url() const { return url_; }

 private:
  boost::asio::awaitable<absl::StatusOr<http::ClientResponse>> Send(std::string method, std::string target, std::string body,
                                                                    std::string token, std::chrono::milliseconds timeout);
  boost::asio::awaitable<absl::Status> PutPlain(std::string target, std::string body, std::string token,
                                                std::chrono::milliseconds timeout);

  const http::Url url_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace ringway::sidecar
