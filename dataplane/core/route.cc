#include "dataplane/core/route.h"

namespace ringway::dp {
namespace {

std::string_view WithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) return host;
  const size_t bracket = host.rfind(']');
  if (bracket != std::string_view::npos && bracket > colon) return host;  // "[::1]": no port
  return host.substr(0, colon);
}

bool EqualsLower(std::string_view lower, std::string_view any) {
  if (lower.size() != any.size()) return false;
  for (size_t i = 0; i < any.size(); ++i) {
    const char c = any[i] >= 'A' && any[i] <= 'Z' ? static_cast<char>(any[i] | 0x20) : any[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// "/a" covers "/a" and "/a/b", not "/ab".
bool Covers(std::string_view prefix, std::string_view path) {
  if (!path.starts_with(prefix)) return false;
  return prefix.empty() || prefix.back() == '/' || path.size() == prefix.size() || path[prefix.size()] == '/';
}

}  // namespace

ServiceHandle MatchRouteOf(const ListenerEntry& listener, std::string_view host, std::string_view path) {
  const std::string_view name = WithoutPort(host);
  for (const RouteEntry& route : listener.routes) {
    if (!route.host.empty() && !EqualsLower(route.host, name)) continue;
    if (Covers(route.path, path)) return route.service;
  }
  return kNoHandle;
}

}  // namespace ringway::dp
