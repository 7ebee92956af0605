// Listens for the API; see catalog_server.h. Translates between common/http's messages and Api's.
#include "controlplane/catalog/catalog_server.h"

#include <boost/beast/http/rfc7230.hpp>
#include <utility>

#include "common/http/server.h"
#include "controlplane/catalog/api.h"

namespace ringway::cp {
namespace {

boost::beast::string_view View(std::string_view text) { return {text.data(), text.size()}; }

http::Response ToResponse(const http::Request& request, Reply reply) {
  http::Response response =
      http::MakeResponse(request, static_cast<boost::beast::http::status>(reply.status),
                         reply.content_type, std::move(reply.body));
  for (const auto& [name, value] : reply.headers) response.set(View(name), View(value));
  return response;
}

// The protocol named in Upgrade, when Connection says that it is meant for us.
std::string AskedUpgrade(const http::Request& request) {
  const auto connection = request[boost::beast::http::field::connection];
  if (!boost::beast::http::token_list(connection).exists("upgrade")) return "";
  return std::string(request[boost::beast::http::field::upgrade]);
}

boost::asio::awaitable<http::Response> Handle(std::shared_ptr<Api> api,
                                              const http::Request& request,
                                              const http::Peer& peer) {
  const std::string target(request.target());
  Call call;
  call.method = std::string(request.method_string());
  call.target = http::ParseTarget(target);
  call.body = request.body();
  call.gone = peer.gone;
  call.peer = peer.address;
  call.upgrade = AskedUpgrade(request);
  std::string raw_path = target.substr(0, target.find_first_of("?#"));
  Reply reply = co_await api->Answer(std::move(call), std::move(raw_path));
  *peer.take_over = std::move(reply.take_over);
  http::Response response = ToResponse(request, std::move(reply));
  co_return response;
}

class Server final : public CatalogServer {
 public:
  Server(std::unique_ptr<http::Server> http, std::shared_ptr<Leases> leases)
      : http_(std::move(http)), leases_(std::move(leases)) {}
  ~Server() override { leases_->Close(); }
  uint16_t port() const override { return http_->port(); }
  void Close() override {
    http_->Close();
    leases_->Close();
  }

 private:
  const std::unique_ptr<http::Server> http_;
  const std::shared_ptr<Leases> leases_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CatalogServer>> CatalogServer::Listen(boost::asio::io_context& io,
                                                                     EmbeddedCatalog& catalog,
                                                                     CatalogServerOptions options) {
  const std::string bind = options.bind;
  http::ServerOptions server;
  server.name = "catalog";
  server.connections_max = options.connections_max;
  const auto leases = std::make_shared<Leases>(io, catalog, options.leases_max);
  const auto api = std::make_shared<Api>(catalog, std::move(options), leases);
  auto listening = http::Server::Listen(
      io, bind, server, [api](const http::Request& request, const http::Peer& peer) {
        return Handle(api, request, peer);
      });
  if (!listening.ok()) return listening.status();
  return std::make_unique<Server>(*std::move(listening), leases);
}

}  // namespace ringway::cp
