// "listeners": where clients connect, and which service their requests go to.
#include <algorithm>
#include <boost/json/value.hpp>
#include <cctype>

#include "controlplane/config/net_names.h"
#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

constexpr uint32_t kDayMs = 24 * 3600 * 1000;

api::Route ReadRoute(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics) {
  api::Route route;
  ObjectReader reader(value, path, diagnostics);
  if (reader.String("host", route.host)) {
    std::transform(route.host.begin(), route.host.end(), route.host.begin(), [](unsigned char c) { return std::tolower(c); });
    if (route.host.empty() || route.host.find_first_of(" /:\t") != std::string::npos) {
      diagnostics.Error(reader.PathOf("host"), "wanted a host name without port, like \"example.org\"; leave \"host\" out for any");
    }
  }
  if (reader.String("path", route.path)) {
    if (route.path.empty() || route.path.front() != '/' || route.path.find_first_of(" ?#") != std::string::npos) {
      diagnostics.Error(reader.PathOf("path"), "wanted a path prefix like \"/api\", without query; leave \"path\" out for any");
    }
    while (!route.path.empty() && route.path.back() == '/') route.path.pop_back();  // "/" is any; "/api/" is "/api"
  }
  if (!reader.String("service", route.service) && reader.Find("service") == nullptr && value.is_object()) {
    diagnostics.Error(path, "wanted a \"service\" that the route leads to");
  } else if (value.is_object() && route.service.empty() && reader.Find("service")->is_string()) {
    diagnostics.Error(reader.PathOf("service"), "wanted the name of a service, got \"\"");
  }
  return route;
}

// "routes" for http, "service" as the short form of one route for everything.
void ReadRoutes(ObjectReader& reader, const boost::json::value& value, api::Listener& listener) {
  Diagnostics& diagnostics = reader.diagnostics();
  const bool http = listener.protocol == api::Protocol::kHttp;
  const bool has_routes = reader.Find("routes") != nullptr;
  std::string service;
  const bool has_service = reader.Find("service") != nullptr;
  if (reader.String("service", service) && service.empty()) {
    diagnostics.Error(reader.PathOf("service"), "wanted the name of a service, got \"\"");
  }
  if (has_service) listener.routes.push_back({.host = "", .path = "", .service = service});
  if (has_routes && !http) {
    diagnostics.ErrorAtKey(reader.PathOf("routes"), "a tcp or udp listener has no routes; wanted \"service\": \"NAME\"");
  } else if (has_routes && has_service) {
    diagnostics.ErrorAtKey(reader.PathOf("routes"), "wanted either \"service\" or \"routes\", got both");
  } else if (has_routes) {
    reader.Array("routes", [&](const boost::json::value& element, const std::string& path) {
      listener.routes.push_back(ReadRoute(element, path, diagnostics));
      const api::Route& route = listener.routes.back();
      for (size_t i = 0; i + 1 < listener.routes.size(); ++i) {
        if (listener.routes[i].host == route.host && listener.routes[i].path == route.path) {
          diagnostics.Error(path, "the same host and path as " + JoinPath(reader.PathOf("routes"), i) + "; wanted each once");
        }
      }
    });
    if (reader.Find("routes")->is_array() && listener.routes.empty()) {
      diagnostics.Error(reader.PathOf("routes"), "a listener that leads nowhere; wanted at least one route");
    }
  } else if (!has_service && value.is_object()) {
    diagnostics.Error(reader.path(), http ? "a listener that leads nowhere; wanted \"service\" or \"routes\"" : "a listener that leads nowhere; wanted \"service\"");
  }
}

// A proxy reads HTTP and relays streams; the kernel sees packets. What does not go together is refused, not guessed.
void ReadDelivery(ObjectReader& reader, api::Listener& listener) {
  using Delivery = api::Delivery;
  Diagnostics& diagnostics = reader.diagnostics();
  reader.Choice("delivery", listener.delivery);
  const bool udp = listener.protocol == api::Protocol::kUdp;
  if (udp) listener.fallback = api::Fallback::kRefuse;
  const bool chosen = reader.Choice("fallback", listener.fallback);
  if (chosen && listener.delivery == Delivery::kProxy) {
    diagnostics.ErrorAtKey(reader.PathOf("fallback"), "the proxy has nothing to fall back from; wanted \"delivery\": \"packet\" or \"connect\", or this key gone");
  } else if (chosen && udp && listener.fallback == api::Fallback::kProxy) {
    diagnostics.Error(reader.PathOf("fallback"), "the proxy does not carry udp; wanted \"refuse\"");
  }
  if (udp && listener.delivery == Delivery::kProxy) {
    diagnostics.Error(reader.PathOf("protocol"), "the proxy does not carry udp; wanted \"delivery\": \"packet\" or \"connect\" beside it");
  }
  if (listener.protocol == api::Protocol::kHttp && listener.delivery == Delivery::kPacket) {
    diagnostics.Error(reader.PathOf("delivery"), "packets are delivered without reading HTTP; wanted \"protocol\": \"tcp\" beside it, which carries HTTP too");
  }
}

}  // namespace

api::Listener ReadListener(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics) {
  api::Listener listener;
  ObjectReader reader(value, path, diagnostics);
  if (reader.Find("name") == nullptr && value.is_object()) diagnostics.Error(path, "wanted a \"name\" for the listener");
  if (reader.String("name", listener.name) && listener.name.empty()) diagnostics.Error(reader.PathOf("name"), "wanted a name, got \"\"");
  if (reader.Find("bind") == nullptr && value.is_object()) diagnostics.Error(path, "wanted a \"bind\" like \"0.0.0.0:80\"");
  reader.Bind("bind", listener.bind);
  reader.Choice("protocol", listener.protocol);
  ReadDelivery(reader, listener);
  ReadRoutes(reader, value, listener);
  reader.Duration("head_timeout", 100, kDayMs, listener.head_timeout_ms);
  reader.Duration("client_idle", 100, kDayMs, listener.client_idle_ms);
  reader.Integer("head_bytes_max", 1024, 16384, listener.head_bytes_max);
  reader.Integer("target_bytes_max", 128, 16384, listener.target_bytes_max);
  reader.Boolean("access_log", listener.access_log);
  if (reader.Boolean("defer_accept", listener.defer_accept) && listener.defer_accept && listener.protocol != api::Protocol::kHttp) {
    diagnostics.Error(reader.PathOf("defer_accept"), "only with \"protocol\": \"http\": elsewhere the server may have to speak first");
  }
  reader.Array("trusted_proxies", [&](const boost::json::value& element, const std::string& element_path) {
    const std::string text = element.is_string() ? std::string(element.get_string()) : "";
    if (IsCidr(text)) {
      listener.trusted_proxies.push_back(text);
    } else {
      diagnostics.Error(element_path, "wanted an address or network like \"10.0.0.0/8\", got " + Describe(element));
    }
  });
  return listener;
}

}  // namespace ringway::cp
