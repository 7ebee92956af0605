// See admin_server.h.
#include "controlplane/admin_server.h"

#include <sys/stat.h>

#include <boost/json/serialize.hpp>
#include <chrono>

#include "controlplane/config/duration.h"

namespace ringway::cp {
namespace {

namespace asio = boost::asio;
using http_status = boost::beast::http::status;

constexpr std::chrono::milliseconds kAnswersWait{2000};

http::Response Text(const http::Request& request, http_status status, std::string text) {
  if (text.empty() || text.back() != '\n') text += '\n';
  return http::MakeResponse(request, status, "text/plain; charset=utf-8", std::move(text));
}

http::Response Json(const http::Request& request, const boost::json::value& value) {
  return http::MakeResponse(request, http_status::ok, "application/json", boost::json::serialize(value) + "\n");
}

http::Response Refusal(const http::Request& request, const absl::Status& status) {
  http_status code = http_status::bad_request;
  if (status.code() == absl::StatusCode::kNotFound) code = http_status::not_found;
  if (status.code() == absl::StatusCode::kFailedPrecondition) code = http_status::conflict;
  return Text(request, code, std::string(status.message()));
}

absl::StatusOr<EndpointName> NamedEndpoint(const ControlPlane& plane, const http::Target& target) {
  const std::string* service = target.Find("service");
  const std::string* endpoint = target.Find("endpoint");
  if (endpoint == nullptr || endpoint->empty()) return absl::InvalidArgumentError("wanted ?endpoint=ID or ?endpoint=ADDRESS:PORT");
  return plane.Find(service == nullptr ? "" : *service, *endpoint);
}

asio::awaitable<http::Response> AnswerReload(ControlPlane& plane, const http::Request& request) {
  auto applied = plane.Reload();
  if (!applied.ok()) co_return Refusal(request, applied.status());
  const std::string answers = co_await plane.Answers(kAnswersWait);
  // Conflict: the file is good and applied, but not by every dataplane, or not all of it.
  co_return Text(request, answers.empty() ? http_status::ok : http_status::conflict, *applied + answers);
}

asio::awaitable<http::Response> AnswerDrain(ControlPlane& plane, const http::Request& request, const http::Target& target) {
  const auto name = NamedEndpoint(plane, target);
  if (!name.ok()) co_return Refusal(request, name.status());
  const std::string* timeout = target.Find("timeout");
  const auto wait_ms = ParseDurationMs(timeout == nullptr ? "30s" : *timeout);
  if (!wait_ms.ok()) co_return Refusal(request, wait_ms.status());
  const std::string service = name->service;
  const std::string id = name->id;
  const std::chrono::milliseconds wait(*wait_ms);
  const auto result = co_await plane.Drain(service, id, wait);
  if (!result.ok()) co_return Refusal(request, result.status());
  const std::string why = result->drained ? "" : WhyNotDrained(*result);
  co_return Json(request, {{"service", service},
                           {"endpoint", id},
                           {"drained", result->drained},
                           {"in_flight", result->in_flight},
                           {"dataplanes", result->dataplanes},
                           {"behind", result->behind},
                           {"why", why}});
}

http::Response AnswerUndrain(ControlPlane& plane, const http::Request& request, const http::Target& target) {
  const auto name = NamedEndpoint(plane, target);
  if (!name.ok()) return Refusal(request, name.status());
  const absl::Status status = plane.Undrain(name->service, name->id);
  if (!status.ok()) return Refusal(request, status);
  const std::string who = name->service + " " + name->id;
  const api::Endpoint* endpoint = plane.EndpointOf(*name);
  if (endpoint == nullptr || endpoint->state == api::EndpointState::kReady) return Text(request, http_status::ok, who + " is back in service");
  return Text(request, http_status::ok, who + " is not drained by hand any more, but gets no requests yet: " + endpoint->reason);
}

asio::awaitable<http::Response> Answer(ControlPlane& plane, const http::Request& request) {
  const http::Target target = http::ParseTarget({request.target().data(), request.target().size()});
  const bool post = request.method() == boost::beast::http::verb::post;
  if (target.path == "/status" && !post) co_return Json(request, plane.Status());
  if (target.path == "/reload" && post) co_return co_await AnswerReload(plane, request);
  if (target.path == "/drain" && post) co_return co_await AnswerDrain(plane, request, target);
  if (target.path == "/undrain" && post) co_return AnswerUndrain(plane, request, target);
  co_return Text(request, http_status::not_found, "wanted GET /status, POST /reload, POST /drain or POST /undrain");
}

}  // namespace

absl::StatusOr<std::unique_ptr<http::Server>> ListenAdmin(asio::io_context& io, const std::string& run_dir, ControlPlane& plane) {
  http::ServerOptions options;
  options.name = "admin";
  options.connections_max = 64;
  const std::string path = run_dir + "/control.sock";
  const mode_t mask = umask(0117);  // 0660 from the first moment
  auto server = http::Server::Listen(io, "unix:" + path, options,
                                     [&plane](const http::Request& request, const http::Peer&) { return Answer(plane, request); });
  umask(mask);
  return server;
}

}  // namespace ringway::cp
