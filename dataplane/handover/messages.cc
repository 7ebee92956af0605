// The JSON form of the handover's messages; see messages.h.
#include "dataplane/handover/messages.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ringway::dp {
namespace {

namespace json = boost::json;

json::object ToJson(const Take& m) {
  return {{"type", "take"}, {"protocol", m.protocol}, {"protocol_min", m.protocol_min}, {"pid", m.pid}, {"release", m.release}};
}
json::object ToJson(const Offer& m) {
  return {{"type", "offer"},       {"protocol", m.protocol}, {"pid", m.pid},
          {"release", m.release},  {"workers", m.workers},   {"sockets", m.sockets},
          {"snapshot", m.snapshot}, {"partial", m.partial},  {"snapshot_unix_ms", m.snapshot_unix_ms}};
}
json::object ToJson(const Sockets& m) {
  json::array sockets;
  for (const SocketName& name : m.sockets) {
    sockets.push_back(json::object{{"bind", name.bind}, {"protocol", name.protocol}, {"worker", name.worker}});
  }
  return {{"type", "sockets"}, {"sockets", std::move(sockets)}};
}
json::object ToJson(const Ready&) { return {{"type", "ready"}}; }
json::object ToJson(const Left&) { return {{"type", "left"}}; }
json::object ToJson(const Refused& m) { return {{"type", "refuse"}, {"reason", m.reason}}; }

// Reads one object; a value of the wrong kind throws, which Decode turns into a Status.
class Reader {
 public:
  explicit Reader(const json::object& object) : object_(object) {}
  void Get(const char* key, uint32_t& out) const {
    if (const json::value* value = object_.if_contains(key)) out = value->to_number<uint32_t>();
  }
  void Get(const char* key, int64_t& out) const {
    if (const json::value* value = object_.if_contains(key)) out = value->to_number<int64_t>();
  }
  void Get(const char* key, bool& out) const {
    if (const json::value* value = object_.if_contains(key)) out = value->as_bool();
  }
  void Get(const char* key, std::string& out) const {
    if (const json::value* value = object_.if_contains(key)) out.assign(value->as_string().data(), value->as_string().size());
  }

 private:
  const json::object& object_;
};

Take ReadTake(const Reader& reader) {
  Take m;
  m.protocol = m.protocol_min = 0;
  reader.Get("protocol", m.protocol);
  reader.Get("protocol_min", m.protocol_min);
  reader.Get("pid", m.pid);
  reader.Get("release", m.release);
  return m;
}

Offer ReadOffer(const Reader& reader) {
  Offer m;
  m.protocol = 0;
  reader.Get("protocol", m.protocol);
  reader.Get("pid", m.pid);
  reader.Get("release", m.release);
  reader.Get("workers", m.workers);
  reader.Get("sockets", m.sockets);
  reader.Get("snapshot", m.snapshot);
  reader.Get("partial", m.partial);
  reader.Get("snapshot_unix_ms", m.snapshot_unix_ms);
  return m;
}

Sockets ReadSockets(const json::object& object) {
  Sockets m;
  for (const json::value& item : object.at("sockets").as_array()) {
    const Reader reader(item.as_object());
    SocketName name;
    reader.Get("bind", name.bind);
    reader.Get("protocol", name.protocol);
    reader.Get("worker", name.worker);
    m.sockets.push_back(std::move(name));
  }
  return m;
}

HandoverMessage Read(const json::object& object) {
  const Reader reader(object);
  std::string type;
  reader.Get("type", type);
  if (type == "take") return ReadTake(reader);
  if (type == "offer") return ReadOffer(reader);
  if (type == "sockets") return ReadSockets(object);
  if (type == "ready") return Ready{};
  if (type == "left") return Left{};
  Refused refused;
  if (type != "refuse") throw std::invalid_argument("type: '" + type + "' is not known");
  reader.Get("reason", refused.reason);
  return refused;
}

}  // namespace

std::string Encode(const HandoverMessage& message) {
  return std::visit([](const auto& m) { return json::serialize(ToJson(m)); }, message);
}

absl::StatusOr<HandoverMessage> Decode(const std::string& bytes) {
  json::error_code error;
  const json::value value = json::parse(bytes, error);
  if (error) return absl::InvalidArgumentError("a message of the handover is not JSON: " + error.message());
  try {
    return Read(value.as_object());
  } catch (const std::exception& problem) {
    return absl::InvalidArgumentError(std::string("a message of the handover is not what was wanted: ") + problem.what());
  }
}

absl::StatusOr<uint32_t> ChooseProtocol(uint32_t theirs, uint32_t their_min) {
  const uint32_t both = std::min(theirs, kHandoverProtocol);
  if (both >= kHandoverProtocolMin && both >= their_min) return both;
  return absl::FailedPreconditionError(absl::StrCat("it speaks the handover protocol ", their_min, " to ", theirs, ", this one ",
                                                    kHandoverProtocolMin, " to ", kHandoverProtocol));
}

}  // namespace ringway::dp
