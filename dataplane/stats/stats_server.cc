// The HTTP side of the stats; see stats_server.h.
#include "dataplane/stats/stats_server.h"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <utility>

#include "common/log/log.h"
#include "dataplane/stats/render.h"

namespace ringway::dp {
namespace {

using boost::beast::http::field;
using boost::beast::http::status;
using boost::beast::http::verb;

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr std::chrono::seconds kRetryEvery{1};
constexpr std::chrono::seconds kLeaveAfter{1};

}  // namespace

StatsServer::StatsServer(boost::asio::io_context& io, const Collector& collector)
    : io_(io), collector_(collector), retry_(io) {}

void StatsServer::Configure(const api::Stats& stats) {
  const bool same_address = configured_ && stats.bind == stats_.bind;
  stats_ = stats;
  configured_ = true;
  if (same_address || leaving_) return;  // it listens there, or is trying to
  failing_ = false;
  Open();
}

void StatsServer::ServeProbesOnly() {
  if (configured_) return;
  stats_ = api::Stats{};
  failing_ = true;  // silent: nobody has asked for this address
  Open();
}

void StatsServer::Inherit(std::string bind, UniqueFd listening) {
  inherited_bind_ = std::move(bind);
  inherited_ = std::move(listening);
}

void StatsServer::Leave() {
  leaving_ = true;
  retry_.cancel();
  if (server_ == nullptr) return;
  server_->StopAccepting();
  retry_.expires_after(kLeaveAfter);
  retry_.async_wait([this](const boost::system::error_code& error) {
    if (!error) server_.reset();
  });
}

absl::StatusOr<std::unique_ptr<http::Server>> StatsServer::Listen() {
  http::ServerOptions options;
  options.name = "stats";
  options.connections_max = 256;
  options.body_bytes_max = 4096;
  // Coroutine parameters only, no captures by reference to locals: `this` outlives the server.
  http::Handler handler = [this](const http::Request& request,
                                 const http::Peer&) -> boost::asio::awaitable<http::Response> {
    co_return Answer(request);
  };
  UniqueFd inherited = std::move(inherited_);
  if (inherited.get() >= 0 && inherited_bind_ == stats_.bind) {
    return http::Server::Adopt(io_, inherited.Release(), std::move(options), std::move(handler));
  }
  return http::Server::Listen(io_, stats_.bind, std::move(options), std::move(handler));
}

void StatsServer::Open() {
  retry_.cancel();
  server_.reset();
  auto server = Listen();
  if (server.ok()) {
    server_ = *std::move(server);
    failing_ = false;
    if (configured_) spdlog::info("stats at http://{}/haproxy_stats", stats_.bind);
    return;
  }
  if (!std::exchange(failing_, true)) {
    spdlog::error("stats: {}; trying again every second", std::string(server.status().message()));
  }
  retry_.expires_after(kRetryEvery);
  retry_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Open();
  });
}

http::Response StatsServer::Answer(const http::Request& request) const {
  if (request.method() != verb::get && request.method() != verb::head) {
    http::Response refused = http::MakeResponse(request, status::method_not_allowed, kText, "GET and HEAD only\n");
    refused.set(field::allow, "GET, HEAD");
    return refused;
  }
  const std::string path = http::ParseTarget({request.target().data(), request.target().size()}).path;
  if (path == "/live") return http::MakeResponse(request, status::ok, kText, "live\n");
  if (path == "/ready") {
    const std::string reason = collector_.NotReadyReason();
    return reason.empty() ? http::MakeResponse(request, status::ok, kText, "ready\n")
                          : http::MakeResponse(request, status::service_unavailable, kText, reason + "\n");
  }
  if (!configured_) {
    return http::MakeResponse(request, status::service_unavailable, kText, collector_.NotReadyReason() + "\n");
  }
  if (!http::BasicAuthMatches(request, stats_.user, stats_.password)) {
    http::Response refused = http::MakeResponse(request, status::unauthorized, kText, "user and password wanted\n");
    refused.set(field::www_authenticate, "Basic realm=\"Ringway stats\", charset=\"UTF-8\"");
    return refused;
  }
  return AnswerPage(request, path);
}

http::Response StatsServer::AnswerPage(const http::Request& request, const std::string& path) const {
  const auto answer = [&](const char* type, std::string body) {
    http::Response response = http::MakeResponse(request, status::ok, type, std::move(body));
    response.set(field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    return response;
  };
  if (path == "/haproxy_stats" || path == "/haproxy_stats/") {
    http::Response page = answer("text/html; charset=utf-8", RenderPage(collector_.Collect()));
    page.set("Content-Security-Policy",
             "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'");
    return page;
  }
  if (path == "/haproxy_stats;csv") return answer("text/plain; charset=utf-8", RenderCsv(collector_.Collect()));
  if (path == "/metrics") {
    return answer("text/plain; version=0.0.4; charset=utf-8", RenderPrometheus(collector_.Collect()));
  }
  if (path == "/stats.json") return answer("application/json", RenderJson(collector_.Collect()));
  if (path == "/") {
    http::Response redirect = http::MakeResponse(request, status::found, kText, "");
    redirect.set(field::location, "/haproxy_stats");
    return redirect;
  }
  return http::MakeResponse(request, status::not_found, kText,
                            "there is /haproxy_stats, /haproxy_stats;csv, /metrics, /stats.json, /ready and /live\n");
}

}  // namespace ringway::dp
