// Consul's HTTP API over the embedded catalog: the route table and its handlers. Used by
// catalog_server.cc, which does the listening; docs/reference/catalog_api.md is its contract. One
// io_context thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/http/server.h"
#include "controlplane/catalog/catalog_server.h"
#include "controlplane/catalog/json_views.h"
#include "controlplane/catalog/leases.h"

namespace ringway::cp {

// One request, taken apart.
struct Call {
  std::string method;
  http::Target target;
  std::string rest;  // what follows the route's prefix, decoded
  std::string body;
  std::shared_ptr<bool> gone;  // the client has left
  std::string peer;            // its address
  std::string upgrade;         // the protocol it asks to change to; empty: none
  bool Has(std::string_view key) const { return target.Find(key) != nullptr; }
  std::string Get(std::string_view key) const {
    const std::string* value = target.Find(key);
    return value == nullptr ? std::string() : *value;
  }
};

struct Reply {
  unsigned status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  http::TakeOver take_over;  // with status 101
};
Reply TextReply(unsigned status, std::string text);
Reply ErrorReply(const absl::Status& status);  // InvalidArgument 400, NotFound 404, else 500
Reply JsonReply(const Call& call, const boost::json::value& document);

class Api {
 public:
  Api(EmbeddedCatalog& catalog, CatalogServerOptions options, std::shared_ptr<Leases> leases);
  // Answers anything: unknown paths and methods included. `raw_path` is the path as sent.
  boost::asio::awaitable<Reply> Answer(Call call, std::string raw_path);

 private:
  using Handler = std::function<boost::asio::awaitable<Reply>(Call)>;
  // An exact path, or a prefix when it ends in '/'.
  struct Route {
    std::string path;
    std::string method;
    Handler handler;
  };
  using ViewFunction = std::function<View(const Catalog&, const Call&)>;
  using BodyFunction =
      std::function<boost::json::value(const ViewSource&, const Call&, const InstanceFilter&)>;
  using WriteFunction = std::function<Reply(const Call&)>;

  void AddReads();
  void AddAgentReads();
  void AddAgentWrites();
  void AddCatalogWrites();
  void AddRingway();
  const Route* FindRoute(const std::string& path) const;

  // A view with an index, that may block. `missing` is the 400 for an empty rest.
  void AddRead(std::string path, std::string missing, ViewFunction view, BodyFunction body);
  // A document without an index.
  void AddPlain(std::string path, std::function<Reply(const Call&)> handler);
  // A change: answered when it is stored.
  void AddWrite(std::string path, WriteFunction write);
  boost::asio::awaitable<Reply> Read(Call call, std::string missing, ViewFunction view,
                                     BodyFunction body);
  boost::asio::awaitable<Reply> Write(Call call, WriteFunction write);
  boost::asio::awaitable<Reply> AgentService(Call call);
  boost::asio::awaitable<Reply> Drain(Call call);
  Reply Undrain(const Call& call);
  Reply Lease(const Call& call);
  Reply CatalogRegister(const Call& call);
  Reply CatalogDeregister(const Call& call);
  WriteFunction TtlHandler(std::string status);
  boost::json::value Overview() const;

  absl::Status Change(const std::function<absl::Status(Agent&)>& change);
  ViewSource Source() const { return {catalog_.catalog(), catalog_.options().datacenter}; }
  const Catalog::Node& Self() const {
    return *catalog_.catalog().FindNode(catalog_.options().node_name);
  }

  EmbeddedCatalog& catalog_;
  const CatalogServerOptions options_;
  const std::shared_ptr<Leases> leases_;
  std::vector<Route> routes_;
};

}  // namespace ringway::cp
