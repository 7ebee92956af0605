// Dispatch: which route a path belongs to, and the answers of the paths and methods that have none
// (consul.md section 4).
#include "controlplane/catalog/api.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/catalog/go_print.h"

namespace ringway::cp {
namespace {

// Go's path.Clean for what a client may send: no empty, "." or ".." segments. A trailing slash
// stays.
std::string CleanPath(const std::string& raw) {
  std::vector<std::string> segments;
  std::string segment;
  const bool slash = raw.size() > 1 && raw.back() == '/';
  for (const char c : raw + "/") {
    if (c != '/') {
      segment += c;
      continue;
    }
    if (segment == ".." && !segments.empty()) segments.pop_back();
    if (!segment.empty() && segment != "." && segment != "..") segments.push_back(segment);
    segment.clear();
  }
  std::string clean;
  for (const std::string& part : segments) absl::StrAppend(&clean, "/", part);
  return clean.empty() ? "/" : slash ? clean + "/" : clean;
}

Reply Redirect(const std::string& to) {
  Reply reply{301,
              "text/html; charset=utf-8",
              absl::StrCat("<a href=\"", to, "\">Moved Permanently</a>.\n\n"),
              {},
              {}};
  reply.headers.emplace_back("Location", to);
  return reply;
}

// Parts of Consul that Ringway leaves to Consul.
Reply UnknownPath(const std::string& path) {
  if (absl::StartsWith(path, "/v1/acl/")) return TextReply(401, "ACL support disabled");
  for (const char* part : {"/v1/kv/", "/v1/session/", "/v1/event/", "/v1/query", "/v1/txn",
                           "/v1/connect/", "/v1/config", "/v1/coordinate/", "/v1/operator/",
                           "/v1/snapshot", "/v1/internal/", "/v1/discovery-chain/", "/v1/agent/"}) {
    if (absl::StartsWith(path, part)) {
      return TextReply(404, absl::StrCat(path, " is not supported by Ringway's embedded catalog"));
    }
  }
  return Reply{404, "", "", {}, {}};
}

}  // namespace

Reply TextReply(unsigned status, std::string text) {
  return {status, "text/plain; charset=utf-8", std::move(text), {}, {}};
}

Reply ErrorReply(const absl::Status& status) {
  const unsigned code = absl::IsInvalidArgument(status) ? 400
                        : absl::IsNotFound(status)      ? 404
                                                        : 500;
  return TextReply(code, std::string(status.message()));
}

Reply JsonReply(const Call& call, const boost::json::value& document) {
  return {200, "application/json", PrintJson(document, call.Has("pretty")), {}, {}};
}

Api::Api(EmbeddedCatalog& catalog, CatalogServerOptions options, std::shared_ptr<Leases> leases)
    : catalog_(catalog), options_(std::move(options)), leases_(std::move(leases)) {
  AddReads();
  AddAgentReads();
  AddAgentWrites();
  AddCatalogWrites();
  AddRingway();
}

const Api::Route* Api::FindRoute(const std::string& path) const {
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    const bool prefix = route.path.back() == '/';
    if (prefix ? !absl::StartsWith(path, route.path) : path != route.path) continue;
    if (best == nullptr || route.path.size() > best->path.size()) best = &route;
  }
  return best;
}

boost::asio::awaitable<Reply> Api::Answer(Call call, std::string raw_path) {
  const std::string clean = CleanPath(raw_path);
  if (clean != raw_path) co_return Redirect(clean);
  const std::string& path = call.target.path;
  if (path == "/" || path == "/ui") co_return Redirect("/ui/");
  const Route* route = FindRoute(path);
  if (route == nullptr) {
    if (FindRoute(path + "/") != nullptr) co_return Redirect(raw_path + "/");
    if (path.back() == '/' && FindRoute(path.substr(0, path.size() - 1)) != nullptr)
      co_return Reply{404, "", "", {}, {}};
    co_return UnknownPath(path);
  }
  const std::string allow = "OPTIONS," + route->method;
  if (call.method == "OPTIONS") {
    Reply reply;
    reply.headers.emplace_back("Allow", allow);
    co_return reply;
  }
  const bool page = call.method == "HEAD" && absl::StartsWith(path, "/ui/");
  if (call.method != route->method && !page) {
    Reply reply = TextReply(405, absl::StrCat("method ", call.method, " not allowed"));
    reply.headers.emplace_back("Allow", allow);
    co_return reply;
  }
  call.rest = path.substr(route->path.size());
  const Handler handler = route->handler;
  Reply reply = co_await handler(std::move(call));
  co_return reply;
}

absl::Status Api::Change(const std::function<absl::Status(Agent&)>& change) {
  absl::Status status;
  catalog_.Change([&](Agent& agent, Catalog&) { status = change(agent); });
  return status;
}

void Api::AddPlain(std::string path, std::function<Reply(const Call&)> handler) {
  routes_.push_back({std::move(path), "GET",
                     [handler = std::move(handler)](Call call) -> boost::asio::awaitable<Reply> {
                       Reply reply = handler(call);
                       co_return reply;
                     }});
}

void Api::AddWrite(std::string path, WriteFunction write) {
  routes_.push_back({std::move(path), "PUT", [this, write = std::move(write)](Call call) {
                       return Write(std::move(call), write);
                     }});
}

boost::asio::awaitable<Reply> Api::Write(Call call, WriteFunction write) {
  Reply reply = write(call);
  if (reply.status != 200) co_return reply;
  const absl::Status stored = co_await catalog_.Written();
  if (!stored.ok()) {
    reply = ErrorReply(absl::InternalError(absl::StrCat(
        "in force, but not stored (lost if the control plane ends before it can be): ", std::string(stored.message()))));
  }
  co_return reply;
}

}  // namespace ringway::cp
