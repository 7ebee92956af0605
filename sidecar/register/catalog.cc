// Paths, bodies and what each answer means.
#include "sidecar/register/catalog.h"

#include <algorithm>
#include <boost/json.hpp>

#include "absl/strings/numbers.h"
#include "common/http/percent.h"
#include "common/http/upgrade.h"
#include "common/log/printable.h"
#include "sidecar/duration.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

// How much later than `wait` the answer to a drain may come.
constexpr std::chrono::milliseconds kDrainSlack{5000};
constexpr char kDrainReason[] = "ringway-sidecar: stopping";

// Consul 1.8 answers 500 with these words where newer ones answer 404.
bool SaysUnknown(const http::ClientResponse& response) {
  if (response.status == 404) return true;
  return response.status == 500 && (response.body.find("does not have associated TTL") != std::string::npos ||
                                    response.body.find("Unknown check") != std::string::npos);
}

// The health of one instance; a critical one answers 503, and so does a Consul that is ill, without checks.
absl::StatusOr<bool> HasOwnMaintenance(const http::ClientResponse& health, const std::string& check_id) {
  boost::system::error_code error;
  const json::value root = json::parse(health.body, error);
  const json::object* object = error ? nullptr : root.if_object();
  const json::value* checks = object == nullptr ? nullptr : object->if_contains("Checks");
  if (checks == nullptr || !checks->is_array()) {
    return absl::InternalError("wanted the instance's checks, got " + std::to_string(health.status) + " " +
                               log::FirstLine(health.body));
  }
  for (const json::value& check : checks->get_array()) {
    const json::object* fields = check.if_object();
    if (fields == nullptr) continue;
    const json::value* id = fields->if_contains("CheckID");
    const json::value* notes = fields->if_contains("Notes");
    if (id != nullptr && notes != nullptr && *id == json::value(check_id) && *notes == json::value(kDrainReason)) return true;
  }
  return false;
}

absl::StatusOr<Catalog::Drained> ParseDrained(const http::ClientResponse& response) {
  boost::system::error_code error;
  const json::value root = json::parse(response.body, error);
  const json::object* object = error ? nullptr : root.if_object();
  const json::value* drained = object == nullptr ? nullptr : object->if_contains("drained");
  if (drained == nullptr || !drained->is_bool()) {
    return absl::UnimplementedError("wanted {\"drained\":...}, got \"" + log::FirstLine(response.body) + "\"");
  }
  Catalog::Drained result{drained->as_bool(), 0, 0};
  const auto number = [&](const char* key, int64_t& out) {
    const json::value* value = object->if_contains(key);
    if (value != nullptr && value->is_int64()) out = value->as_int64();
  };
  number("in_flight", result.in_flight);
  number("dataplanes", result.dataplanes);
  return result;
}

}  // namespace

asio::awaitable<absl::StatusOr<http::ClientResponse>> Catalog::Send(std::string method, std::string target,
                                                                    std::string body, std::string token,
                                                                    std::chrono::milliseconds timeout) {
  http::ClientRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  request.timeout = timeout;
  if (!request.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  if (!token.empty()) request.headers.emplace_back("X-Consul-Token", token);
  http::Url url = url_;
  co_return co_await http::Fetch(std::move(url), std::move(request));
}

asio::awaitable<absl::Status> Catalog::PutPlain(std::string target, std::string body, std::string token,
                                                std::chrono::milliseconds timeout) {
  const std::string what = "PUT " + target;
  std::string method = "PUT";
  const absl::StatusOr<http::ClientResponse> response =
      co_await Send(std::move(method), std::move(target), std::move(body), std::move(token), timeout);
  if (!response.ok()) co_return response.status();
  if (response->status >= 200 && response->status < 300) co_return absl::OkStatus();
  const std::string message = what + ": " + std::to_string(response->status) + " " + log::FirstLine(response->body);
  if (SaysUnknown(*response)) co_return absl::NotFoundError(message);
  co_return absl::InternalError(message);
}

asio::awaitable<absl::Status> Catalog::Register(std::string body, bool first, std::string token) {
  std::string target = "/v1/agent/service/register";
  if (first) target += "?ringway-start";
  co_return co_await PutPlain(std::move(target), std::move(body), std::move(token), timeout_);
}

asio::awaitable<absl::Status> Catalog::UpdateCheck(std::string check_id, CheckResult result, std::string token,
                                                   std::chrono::milliseconds timeout) {
  json::object body;
  body["Status"] = std::string(StatusName(result.status));
  body["Output"] = result.output;
  std::string target = "/v1/agent/check/update/" + http::PercentEncoded(check_id);
  std::string text = json::serialize(body);
  co_return co_await PutPlain(std::move(target), std::move(text), std::move(token), std::min(timeout, timeout_));
}

asio::awaitable<absl::Status> Catalog::Deregister(std::string service_id, std::string token) {
  std::string target = "/v1/agent/service/deregister/" + http::PercentEncoded(service_id);
  std::string none;
  co_return co_await PutPlain(std::move(target), std::move(none), std::move(token), timeout_);
}

asio::awaitable<absl::Status> Catalog::StartMaintenance(std::string service_id, std::string token) {
  std::string target = "/v1/agent/service/maintenance/" + http::PercentEncoded(service_id) + "?enable=true&reason=" + http::PercentEncoded(kDrainReason);
  std::string none;
  co_return co_await PutPlain(std::move(target), std::move(none), std::move(token), timeout_);
}

asio::awaitable<absl::StatusOr<bool>> Catalog::InOwnMaintenance(std::string service_id, std::string token) {
  std::string method = "GET";
  std::string target = "/v1/agent/health/service/id/" + http::PercentEncoded(service_id);
  std::string none;
  const absl::StatusOr<http::ClientResponse> health =
      co_await Send(std::move(method), std::move(target), std::move(none), std::move(token), timeout_);
  if (!health.ok()) co_return health.status();
  if (health->status == 404) co_return false;
  co_return HasOwnMaintenance(*health, "_service_maintenance:" + service_id);
}

asio::awaitable<absl::Status> Catalog::EndMaintenance(std::string service_id, std::string token) {
  std::string none;
  std::string target = "/v1/agent/service/maintenance/" + http::PercentEncoded(service_id) + "?enable=false";
  co_return co_await PutPlain(std::move(target), std::move(none), std::move(token), timeout_);
}

asio::awaitable<absl::StatusOr<Catalog::Drained>> Catalog::Drain(std::string service_id, std::chrono::milliseconds wait,
                                                                 std::string token) {
  std::string target = "/v1/ringway/drain/" + http::PercentEncoded(service_id) + "?wait=" + FormatDuration(wait);
  std::string none;
  const std::chrono::milliseconds timeout = wait + kDrainSlack;
  std::string method = "PUT";
  const absl::StatusOr<http::ClientResponse> response =
      co_await Send(std::move(method), std::move(target), std::move(none), std::move(token), timeout);
  if (!response.ok()) co_return response.status();
  if (response->status == 200) co_return ParseDrained(*response);
  co_return absl::UnimplementedError(std::to_string(response->status) + " " + log::FirstLine(response->body));
}

asio::awaitable<absl::StatusOr<Catalog::LeaseLine>> Catalog::TakeLease(std::string service_id, std::string token) {
  http::ClientRequest request;
  request.target = "/v1/ringway/lease/" + http::PercentEncoded(service_id);
  request.timeout = timeout_;
  if (!token.empty()) request.headers.emplace_back("X-Consul-Token", token);
  http::Url url = url_;
  std::string protocol = "ringway-lease/1";
  absl::StatusOr<http::Upgraded> answer = co_await http::Upgrade(std::move(url), std::move(request), std::move(protocol));
  if (!answer.ok()) co_return answer.status();
  const std::string status = std::to_string(answer->response.status);
  const std::string* heartbeat = answer->response.Header("Ringway-Heartbeat");
  LeaseLine line;
  int64_t interval_ms = 0;
  if (heartbeat == nullptr || !absl::SimpleAtoi(*heartbeat, &interval_ms) || interval_ms <= 0) {
    co_return absl::UnimplementedError("the catalog has no leases (" + status + ")");
  }
  if (answer->response.status == 404) co_return absl::NotFoundError("the catalog does not know " + service_id);
  if (!answer->socket) co_return absl::UnimplementedError("the catalog gives no lease (" + status + ")");
  line.socket = std::move(answer->socket);
  line.heartbeat = std::chrono::milliseconds(interval_ms);
  co_return line;
}

}  // namespace ringway::sidecar
