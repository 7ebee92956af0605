// Ringway's own part of the API: drain, undrain and lease for the sidecar, the web page and the overview
// it shows.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/api.h"
#include "controlplane/catalog/go_duration.h"
#include "controlplane/catalog/ui_page.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;
constexpr char kLeaseProtocol[] = "ringway-lease/1";
constexpr std::chrono::seconds kDrainWaitDefault{30};
constexpr std::chrono::minutes kDrainWaitMax{10};

json::object CheckOverview(const CheckRecord& check) {
  const std::string& output = check.fresh_output.empty() ? check.notes : check.fresh_output;
  return {{"id", check.id}, {"name", check.name}, {"status", check.status}, {"output", output}};
}

}  // namespace

void Api::AddRingway() {
  routes_.push_back(
      {"/v1/ringway/drain/", "PUT", [this](Call call) { return Drain(std::move(call)); }});
  AddWrite("/v1/ringway/undrain/", [this](const Call& call) { return Undrain(call); });
  AddPlain("/v1/ringway/lease/", [this](const Call& call) { return Lease(call); });
  AddPlain("/v1/ringway/overview",
           [this](const Call& call) { return JsonReply(call, Overview()); });
  AddPlain("/ui/", [](const Call&) {
    Reply reply{200, "text/html; charset=utf-8", std::string(kUiPage), {}, {}};
    reply.headers.emplace_back("Content-Security-Policy", kUiPolicy);
    reply.headers.emplace_back("X-Frame-Options", "DENY");
    return reply;
  });
}

boost::asio::awaitable<Reply> Api::Drain(Call call) {
  if (!options_.drain) co_return TextReply(501, "draining is not wired in this program");
  const auto found = Self().services.find(call.rest);
  if (found == Self().services.end())
    co_return TextReply(404, absl::StrCat("unknown service ID: ", call.rest));
  std::chrono::nanoseconds wait = kDrainWaitDefault;
  if (const std::string text = call.Get("wait"); !text.empty()) {
    const auto parsed = ParseGoDuration(text);
    if (!parsed || parsed->count() < 0) co_return TextReply(400, "Invalid wait time");
    wait = std::min<std::chrono::nanoseconds>(*parsed, kDrainWaitMax);
  }
  std::string service = found->second.name;
  std::string instance = absl::StrCat(catalog_.options().node_name, "/", call.rest);
  const auto limit = std::chrono::ceil<std::chrono::milliseconds>(wait);
  const absl::StatusOr<DrainResult> result =
      co_await options_.drain(std::move(service), std::move(instance), limit);
  if (!result.ok()) co_return ErrorReply(result.status());
  const json::value document{{"drained", result->drained},
                             {"in_flight", result->in_flight},
                             {"dataplanes", result->dataplanes},
                             {"behind", result->behind}};
  co_return JsonReply(call, document);
}

Reply Api::Undrain(const Call& call) {
  if (!options_.undrain) return TextReply(501, "draining is not wired in this program");
  const auto found = Self().services.find(call.rest);
  if (found == Self().services.end())
    return TextReply(404, absl::StrCat("unknown service ID: ", call.rest));
  const absl::Status status = options_.undrain(
      found->second.name, absl::StrCat(catalog_.options().node_name, "/", call.rest));
  return status.ok() ? Reply{} : ErrorReply(status);
}

// The lease begins when the answer is written and the socket is ours: nobody else would notice the client's end.
// Every answer has the heartbeat: it tells a sidecar that there are leases here, also when it gets none.
Reply Api::Lease(const Call& call) {
  const std::pair<std::string, std::string> heartbeat{"Ringway-Heartbeat", std::to_string(leases_->heartbeat().count())};
  const absl::Status admitted = leases_->Admit(call.rest);
  if (!admitted.ok()) {
    const unsigned status = absl::IsResourceExhausted(admitted) ? 503 : 404;
    Reply reply = TextReply(status, std::string(admitted.message()));
    reply.headers.push_back(heartbeat);
    return reply;
  }
  if (call.upgrade != kLeaseProtocol) {
    Reply reply = TextReply(426, absl::StrCat("wanted Connection: Upgrade and Upgrade: ", kLeaseProtocol));
    reply.headers = {{"Upgrade", kLeaseProtocol}, heartbeat};
    return reply;
  }
  Reply reply;
  reply.status = 101;
  reply.headers = {{"Connection", "Upgrade"}, {"Upgrade", kLeaseProtocol}, heartbeat};
  reply.take_over = [leases = leases_, id = call.rest, peer = call.peer](http::Socket socket) {
    leases->Take(id, peer, std::move(socket));
  };
  return reply;
}

// Everything the web page shows, in one document.
json::value Api::Overview() const {
  json::array services;
  for (const auto& [folded, members] : catalog_.catalog().services()) {
    json::array instances;
    std::string name = folded;
    for (const auto& [node, service] : catalog_.catalog().InstancesOf(folded)) {
      name = service->name;
      json::array checks;
      for (const CheckRecord* check : Catalog::ChecksOf(*node, service->id))
        checks.push_back(CheckOverview(*check));
      instances.push_back(
          {{"id", service->id},
           {"node", node->record.name},
           {"address", service->address.empty() ? node->record.address : service->address},
           {"port", service->port},
           {"tags", json::array(service->tags.begin(), service->tags.end())},
           {"draining", service->draining},
           {"checks", std::move(checks)}});
    }
    services.push_back({{"name", name}, {"instances", std::move(instances)}});
  }
  return {{"node", catalog_.options().node_name},
          {"datacenter", catalog_.options().datacenter},
          {"index", catalog_.catalog().index()},
          {"services", std::move(services)}};
}

}  // namespace ringway::cp
