// Reads with an index: catalog/* and health/*, blocking as consul.md section 1 describes.
#include <algorithm>
#include <boost/json/array.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/api.h"
#include "controlplane/catalog/query_options.h"

namespace ringway::cp {
namespace {

using Clock = std::chrono::steady_clock;
// A reader whose client left is noticed at the latest after this long.
constexpr std::chrono::seconds kLookForClient{2};

void AddIndexHeaders(Reply& reply, uint64_t index, bool known_leader,
                     const std::string& consistency) {
  if (!consistency.empty())
    reply.headers.emplace_back("X-Consul-Effective-Consistency", consistency);
  reply.headers.emplace_back("X-Consul-Index", std::to_string(index));
  reply.headers.emplace_back("X-Consul-Knownleader", known_leader ? "true" : "false");
  reply.headers.emplace_back("X-Consul-Lastcontact", "0");
}

}  // namespace

void Api::AddRead(std::string path, std::string missing, ViewFunction view, BodyFunction body) {
  Handler handler = [this, missing = std::move(missing), view = std::move(view),
                     body = std::move(body)](Call call) {
    return Read(std::move(call), missing, view, body);
  };
  routes_.push_back({std::move(path), "GET", std::move(handler)});
}

boost::asio::awaitable<Reply> Api::Read(Call call, std::string missing, ViewFunction view_of,
                                        BodyFunction body_of) {
  auto options = ParseQueryOptions(call, catalog_.options().datacenter);
  const bool wrong_datacenter = options.status().code() == absl::StatusCode::kInternal;
  if (!options.ok() && !wrong_datacenter) co_return ErrorReply(options.status());
  if (!missing.empty() && call.rest.empty()) co_return TextReply(400, missing);
  if (wrong_datacenter) {
    Reply reply = ErrorReply(options.status());
    AddIndexHeaders(reply, 1, false, "");
    co_return reply;
  }
  const Clock::time_point deadline = Clock::now() + WaitWithJitter(options->wait);
  View view = view_of(catalog_.catalog(), call);
  while (options->index > 0 && view.index <= options->index && Clock::now() < deadline &&
         !*call.gone) {
    std::vector<std::string> keys = view.watch;
    const Clock::time_point until =
        std::min<Clock::time_point>(deadline, Clock::now() + kLookForClient);
    const bool touched = co_await catalog_.Touched(std::move(keys), until);
    if (touched) view = view_of(catalog_.catalog(), call);
  }
  // Nobody reads what a kill -9 could still take back. Where the store fails its writers are told; readers get what there is.
  [[maybe_unused]] const absl::Status stored = co_await catalog_.Written();
  Reply reply = JsonReply(call, body_of(Source(), call, options->filter));
  AddIndexHeaders(reply, view.index, true, options->consistency);
  co_return reply;
}

void Api::AddReads() {
  AddRead(
      "/v1/catalog/nodes", "",
      [](const Catalog& catalog, const Call&) { return catalog.NodesView(); },
      [](const ViewSource& source, const Call&, const InstanceFilter& filter) {
        return NodesJson(source, filter);
      });
  AddRead(
      "/v1/catalog/services", "",
      [](const Catalog& catalog, const Call&) { return catalog.ServicesView(); },
      [](const ViewSource& source, const Call&, const InstanceFilter& filter) {
        return ServicesJson(source, filter);
      });
  AddRead(
      "/v1/catalog/service/", "Missing service name",
      [](const Catalog& catalog, const Call& call) {
        return catalog.CatalogServiceView(call.rest);
      },
      [](const ViewSource& source, const Call& call, const InstanceFilter& filter) {
        return CatalogServiceJson(source, call.rest, filter);
      });
  for (const bool list : {false, true}) {
    AddRead(
        list ? "/v1/catalog/node-services/" : "/v1/catalog/node/", "Missing node name",
        [](const Catalog& catalog, const Call& call) { return catalog.NodeView(call.rest); },
        [list](const ViewSource& source, const Call& call, const InstanceFilter&) {
          return NodeJson(source, call.rest, list);
        });
  }
  AddRead(
      "/v1/health/service/", "Missing service name",
      [](const Catalog& catalog, const Call& call) { return catalog.HealthServiceView(call.rest); },
      [](const ViewSource& source, const Call& call, const InstanceFilter& filter) {
        return HealthServiceJson(source, call.rest, filter);
      });
  AddRead(
      "/v1/health/checks/", "Missing service name",
      [](const Catalog& catalog, const Call& call) { return catalog.ServiceChecksView(call.rest); },
      [](const ViewSource& source, const Call& call, const InstanceFilter&) {
        return ServiceChecksJson(source, call.rest);
      });
  AddRead(
      "/v1/health/node/", "Missing node name",
      [](const Catalog& catalog, const Call& call) { return catalog.NodeChecksView(call.rest); },
      [](const ViewSource& source, const Call& call, const InstanceFilter&) {
        return NodeChecksJson(source, call.rest);
      });
  AddRead(
      "/v1/health/state/", "Missing check state",
      [](const Catalog& catalog, const Call& call) { return catalog.StateView(call.rest); },
      [](const ViewSource& source, const Call& call, const InstanceFilter&) {
        return StateJson(source, call.rest);
      });
  AddPlain("/v1/catalog/datacenters", [this](const Call& call) {
    return JsonReply(call, boost::json::array{boost::json::string(catalog_.options().datacenter)});
  });
  AddPlain("/v1/status/leader", [this](const Call& call) {
    return JsonReply(call,
                     boost::json::string(absl::StrCat(catalog_.options().node_address, ":8300")));
  });
  AddPlain("/v1/status/peers", [this](const Call& call) {
    return JsonReply(call, boost::json::array{boost::json::string(
                               absl::StrCat(catalog_.options().node_address, ":8300"))});
  });
}

}  // namespace ringway::cp
