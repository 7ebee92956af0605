// Checks over the whole file. Paths point at the second of two things that do not go together.
#include <algorithm>

#include "controlplane/config/net_names.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

struct NamedBind {
  std::string path;
  std::string bind;
  bool udp = false;  // ports of their own, beside those of TCP
};

void CheckPorts(Diagnostics& diagnostics, const Config& config) {
  std::vector<NamedBind> all = {{"stats.bind", config.stats.bind}};
  if (config.catalog.type == CatalogConfig::Type::kEmbedded) all.push_back({"catalog.listen", config.catalog.listen});
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    all.push_back({JoinPath("listeners", i) + ".bind", config.listeners[i].bind, config.listeners[i].protocol == api::Protocol::kUdp});
  }
  // Defaults first, so that the complaint stands at what the file says.
  std::vector<NamedBind> binds;
  for (const bool given : {false, true}) {
    for (const NamedBind& bind : all) {
      if (diagnostics.Given(bind.path) == given) binds.push_back(bind);
    }
  }
  for (size_t i = 0; i < binds.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (binds[i].udp != binds[j].udp || !BindsClash(binds[i].bind, binds[j].bind)) continue;
      diagnostics.Error(binds[i].path, "\"" + binds[i].bind + "\" clashes with " + binds[j].path + " \"" + binds[j].bind + "\"; wanted a port of its own");
    }
  }
}

void CheckListenerNames(Diagnostics& diagnostics, const Config& config) {
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (config.listeners[i].name.empty() || config.listeners[i].name != config.listeners[j].name) continue;
      diagnostics.Error(JoinPath("listeners", i) + ".name", "\"" + config.listeners[i].name + "\" is the name of " + JoinPath("listeners", j) + " too; wanted a name of its own");
    }
  }
}

bool HasListenerOf(const Config& config, api::Delivery delivery) {
  return std::any_of(config.listeners.begin(), config.listeners.end(),
                     [delivery](const api::Listener& listener) { return listener.delivery == delivery; });
}

// A connect(2) has an address and no host or path to choose a service by.
void CheckConnect(Diagnostics& diagnostics, const Config& config) {
  if (diagnostics.Given("connect") && !HasListenerOf(config, api::Delivery::kConnect)) {
    diagnostics.WarningAtKey("connect", "no listener has \"delivery\": \"connect\"");
  }
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const api::Listener& listener = config.listeners[i];
    if (listener.delivery != api::Delivery::kConnect) continue;
    const bool one = listener.routes.size() == 1 && listener.routes[0].host.empty() && listener.routes[0].path.empty();
    if (one || listener.routes.empty()) continue;
    diagnostics.Error(JoinPath("listeners", i) + ".delivery", "connect delivery cannot choose by host or path; wanted one \"service\"");
  }
}

// Endpoints of packet delivery are never connected to by Ringway: only a check tells that one has died.
void CheckPacket(Diagnostics& diagnostics, const Config& config) {
  if (diagnostics.Given("packet") && !HasListenerOf(config, api::Delivery::kPacket)) {
    diagnostics.WarningAtKey("packet", "no listener has \"delivery\": \"packet\"");
  }
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const api::Listener& listener = config.listeners[i];
    if (listener.delivery != api::Delivery::kPacket || listener.routes.size() != 1) continue;
    const auto service = config.services.find(listener.routes[0].service);
    if (service == config.services.end() || service->second.health_check || service->second.endpoints.empty()) continue;
    diagnostics.WarningAtKey(JoinPath("services", service->first),
                             "endpoints named here, reached by packet delivery and never checked: one that dies keeps its share of the clients; "
                             "wanted a \"health_check\"");
  }
}

bool IsRoutedTo(const Config& config, const std::string& service) {
  return std::any_of(config.listeners.begin(), config.listeners.end(), [&](const api::Listener& listener) {
    return std::any_of(listener.routes.begin(), listener.routes.end(), [&](const api::Route& route) { return route.service == service; });
  });
}

}  // namespace

std::optional<HealthCheck> DefaultHealthCheck(const Config& config, const std::string& service) {
  for (const api::Listener& listener : config.listeners) {
    if (listener.protocol != api::Protocol::kHttp) continue;
    for (const api::Route& route : listener.routes) {
      if (route.service != service) continue;
      HealthCheck check;
      check.type = HealthCheck::Type::kTcp;
      return check;
    }
  }
  return std::nullopt;
}

void CheckWhole(Diagnostics& diagnostics, Config& config) {
  CheckListenerNames(diagnostics, config);
  CheckPorts(diagnostics, config);
  CheckPacket(diagnostics, config);
  const bool logs = std::any_of(config.listeners.begin(), config.listeners.end(), [](const api::Listener& l) { return l.access_log; });
  if (diagnostics.Given("access_log") && !logs) diagnostics.WarningAtKey("access_log", "no listener has \"access_log\": true: nothing is logged");
  CheckConnect(diagnostics, config);
  for (const auto& [name, service] : config.services) {
    if (!IsRoutedTo(config, name)) diagnostics.WarningAtKey(JoinPath("services", name), "no listener routes to this service");
  }
  for (const api::Listener& listener : config.listeners) {
    for (const api::Route& route : listener.routes) {
      if (route.service.empty() || config.services.count(route.service) != 0) continue;
      ServiceConfig& service = config.services[route.service];
      service.settings.name = route.service;
      service.health_check = DefaultHealthCheck(config, route.service);
    }
  }
}

}  // namespace ringway::cp
