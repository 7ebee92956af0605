// agent/*: what clients register and ask here. Errors in Consul's words (consul.md sections 4 to
// 6).
#include <boost/json/object.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/agent_documents.h"
#include "controlplane/catalog/api.h"
#include "controlplane/catalog/definitions.h"
#include "controlplane/catalog/query_options.h"

namespace ringway::cp {
namespace {

using Clock = std::chrono::steady_clock;

Reply Empty() { return {}; }
Reply FromStatus(const absl::Status& status) { return status.ok() ? Empty() : ErrorReply(status); }

Reply FilterRefused() {
  return TextReply(
      400, "?filter is not supported by Ringway's embedded catalog; use a Consul cluster for it");
}

// ?enable=, which both maintenance calls demand.
absl::StatusOr<bool> ParseEnable(const Call& call) {
  if (!call.Has("enable")) return absl::InvalidArgumentError("Missing value for enable");
  const auto enable = ParseGoBool(call.Get("enable"));
  if (!enable)
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid value for enable: \"", call.Get("enable"), "\""));
  return *enable;
}

}  // namespace

void Api::AddAgentReads() {
  AddPlain("/v1/agent/self",
           [this](const Call& call) { return JsonReply(call, AgentSelfJson(catalog_)); });
  AddPlain("/v1/agent/members",
           [this](const Call& call) { return JsonReply(call, AgentMembersJson(catalog_)); });
  AddPlain("/v1/agent/services", [this](const Call& call) {
    return call.Get("filter").empty() ? JsonReply(call, AgentServicesJson(Self()))
                                      : FilterRefused();
  });
  AddPlain("/v1/agent/checks", [this](const Call& call) {
    return call.Get("filter").empty() ? JsonReply(call, AgentChecksJson(Self())) : FilterRefused();
  });
  routes_.push_back(
      {"/v1/agent/service/", "GET", [this](Call call) { return AgentService(std::move(call)); }});
}

// One service, blocking on its content: ?hash= of the answer before.
boost::asio::awaitable<Reply> Api::AgentService(Call call) {
  const auto options = ParseQueryOptions(call, catalog_.options().datacenter);
  if (!options.ok() && absl::IsInvalidArgument(options.status()))
    co_return ErrorReply(options.status());
  const std::string hash = call.Get("hash");
  const Clock::time_point deadline =
      Clock::now() + WaitWithJitter(options.ok() ? options->wait : std::chrono::nanoseconds(0));
  for (;;) {
    const auto found = Self().services.find(call.rest);
    if (found == Self().services.end() || call.rest == "consul") {
      co_return TextReply(404, absl::StrCat("unknown service ID: ", call.rest));
    }
    const std::string current = ContentHash(found->second);
    if (hash != current || Clock::now() >= deadline || *call.gone) {
      boost::json::value document = AgentServiceJson(found->second);
      document.as_object()["ContentHash"] = current;
      Reply reply = JsonReply(call, document);
      reply.headers.emplace_back("X-Consul-Contenthash", current);
      co_return reply;
    }
    std::vector<std::string> keys = catalog_.catalog().NodeView(catalog_.options().node_name).watch;
    const Clock::time_point until =
        std::min<Clock::time_point>(deadline, Clock::now() + std::chrono::seconds(2));
    co_await catalog_.Touched(std::move(keys), until);
  }
}

Api::WriteFunction Api::TtlHandler(std::string status) {
  return [this, status = std::move(status)](const Call& call) {
    return FromStatus(Change([&](Agent& agent) {
      return agent.UpdateTtl(call.rest, status, call.Get("note"), Clock::now());
    }));
  };
}

void Api::AddAgentWrites() {
  AddWrite("/v1/agent/service/register", [this](const Call& call) {
    const auto definition = ParseServiceDefinition(call.body);
    if (!definition.ok()) return ErrorReply(definition.status());
    const std::string replace = call.Get("replace-existing-checks");
    const bool replace_checks =
        call.Has("replace-existing-checks") && (replace.empty() || replace == "true");
    return FromStatus(Change([&](Agent& agent) {
      const absl::Status status = agent.RegisterService(*definition, replace_checks, Clock::now());
      // A sidecar's first: whatever a former life was asked to drain for, this one is there to serve.
      if (status.ok() && call.Has("ringway-start")) agent.Undrain(definition->service.id);
      return status;
    }));
  });
  AddWrite("/v1/agent/service/deregister/", [this](const Call& call) {
    if (call.rest.empty()) return TextReply(500, "ServiceID missing");
    catalog_.Change([&](Agent& agent, Catalog&) { agent.DeregisterService(call.rest); });
    return Empty();
  });
  AddWrite("/v1/agent/check/register", [this](const Call& call) {
    const auto definition = ParseCheckDefinition(call.body);
    if (!definition.ok()) return ErrorReply(definition.status());
    return FromStatus(
        Change([&](Agent& agent) { return agent.RegisterCheck(*definition, Clock::now()); }));
  });
  AddWrite("/v1/agent/check/deregister/", [this](const Call& call) {
    if (call.rest.empty()) return TextReply(500, "CheckID missing");
    catalog_.Change([&](Agent& agent, Catalog&) { agent.DeregisterCheck(call.rest); });
    return Empty();
  });
  AddWrite("/v1/agent/check/pass/", TtlHandler(kStatusPassing));
  AddWrite("/v1/agent/check/warn/", TtlHandler(kStatusWarning));
  AddWrite("/v1/agent/check/fail/", TtlHandler(kStatusCritical));
  AddWrite("/v1/agent/check/update/", [this](const Call& call) {
    const auto update = ParseCheckUpdate(call.body);
    if (!update.ok()) return ErrorReply(update.status());
    return FromStatus(Change([&](Agent& agent) {
      return agent.UpdateTtl(call.rest, update->status, update->output, Clock::now());
    }));
  });
  AddWrite("/v1/agent/service/maintenance/", [this](const Call& call) {
    if (call.rest.empty()) return TextReply(400, "Missing service ID");
    const auto enable = ParseEnable(call);
    if (!enable.ok()) return ErrorReply(enable.status());
    return FromStatus(Change([&](Agent& agent) {
      return agent.SetServiceMaintenance(call.rest, *enable, call.Get("reason"));
    }));
  });
  AddWrite("/v1/agent/maintenance", [this](const Call& call) {
    const auto enable = ParseEnable(call);
    if (!enable.ok()) return ErrorReply(enable.status());
    catalog_.Change(
        [&](Agent& agent, Catalog&) { agent.SetNodeMaintenance(*enable, call.Get("reason")); });
    return Empty();
  });
  AddWrite("/v1/agent/reload",
           [](const Call&) { return Empty(); });  // nothing here is read from files
  AddWrite("/v1/agent/force-leave/", [](const Call& call) {
    return TextReply(500, absl::StrCat("agent: No node found with name '", call.rest, "'"));
  });
}

}  // namespace ringway::cp
