// JSON codec of the feed's messages. Each struct lists its fields once (Fields below); one visitor writes them, another
// reads them and keeps the first error together with its path, such as "services[2].endpoints[0].port".
#include "common/api/feed_json.h"

#include <boost/json.hpp>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ringway::api {
namespace {

namespace json = boost::json;

template <typename T, typename U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

// The field lists. `s` is const while writing.
void Fields(auto& visit, Is<Endpoint> auto& s) {
  visit("id", s.id);
  visit("generation", s.generation);
  visit("address", s.address);
  visit("port", s.port);
  visit("weight", s.weight);
  visit("state", s.state);
  visit("reason", s.reason);
}
void Fields(auto& visit, Is<Timeouts> auto& s) {
  visit("connect_ms", s.connect_ms);
  visit("response_ms", s.response_ms);
  visit("idle_ms", s.idle_ms);
  visit("tunnel_ms", s.tunnel_ms);
  visit("upstream_idle_ms", s.upstream_idle_ms);
}
void Fields(auto& visit, Is<PassiveHealth> auto& s) {
  visit("failures_max", s.failures_max);
  visit("responses_5xx_max", s.responses_5xx_max);
  visit("eject_ms", s.eject_ms);
  visit("eject_max_ms", s.eject_max_ms);
}
void Fields(auto& visit, Is<RetryBudget> auto& s) {
  visit("percent", s.percent);
  visit("per_second_min", s.per_second_min);
}
void Fields(auto& visit, Is<EndpointLimit> auto& s) {
  visit("in_flight_max", s.in_flight_max);
  visit("queue_max", s.queue_max);
  visit("queue_timeout_ms", s.queue_timeout_ms);
}
void Fields(auto& visit, Is<Hold> auto& s) {
  visit("timeout_ms", s.timeout_ms);
  visit("requests_max", s.requests_max);
}
void Fields(auto& visit, Is<Service> auto& s) {
  visit("name", s.name);
  visit("balance", s.balance);
  visit("timeouts", s.timeouts);
  visit("upstreams_idle_max", s.upstreams_idle_max);
  visit("retries_max", s.retries_max);
  visit("retry_budget", s.retry_budget);
  visit("retry_after_s", s.retry_after_s);
  visit("passive_health", s.passive_health);
  visit("ejected_percent_max", s.ejected_percent_max);
  visit("slow_start_ms", s.slow_start_ms);
  visit("endpoint_limit", s.endpoint_limit);
  visit("hold", s.hold);
  visit("endpoints", s.endpoints);
}
void Fields(auto& visit, Is<Route> auto& s) {
  visit("host", s.host);
  visit("path", s.path);
  visit("service", s.service);
}
void Fields(auto& visit, Is<Listener> auto& s) {
  visit("name", s.name);
  visit("bind", s.bind);
  visit("protocol", s.protocol);
  visit("delivery", s.delivery);
  visit("fallback", s.fallback);
  visit("routes", s.routes);
  visit("head_timeout_ms", s.head_timeout_ms);
  visit("client_idle_ms", s.client_idle_ms);
  visit("head_bytes_max", s.head_bytes_max);
  visit("target_bytes_max", s.target_bytes_max);
  visit("trusted_proxies", s.trusted_proxies);
  visit("access_log", s.access_log);
  visit("defer_accept", s.defer_accept);
}
void Fields(auto& visit, Is<AccessLog> auto& s) {
  visit("path", s.path);
  visit("format", s.format);
}
void Fields(auto& visit, Is<PacketInterface> auto& s) {
  visit("name", s.name);
  visit("mode", s.mode);
}
void Fields(auto& visit, Is<PacketTimeouts> auto& s) {
  visit("syn_ms", s.syn_ms);
  visit("established_ms", s.established_ms);
  visit("fin_ms", s.fin_ms);
  visit("closed_ms", s.closed_ms);
  visit("reset_ms", s.reset_ms);
  visit("udp_ms", s.udp_ms);
  visit("udp_answered_ms", s.udp_answered_ms);
  visit("udp_stream_ms", s.udp_stream_ms);
}
void Fields(auto& visit, Is<Packet> auto& s) {
  visit("interfaces", s.interfaces);
  visit("nat", s.nat);
  visit("snat_addresses", s.snat_addresses);
  visit("snat_port_first", s.snat_port_first);
  visit("snat_port_last", s.snat_port_last);
  visit("on_dead", s.on_dead);
  visit("on_stop", s.on_stop);
  visit("flows_max", s.flows_max);
  visit("timeouts", s.timeouts);
  visit("pin_dir", s.pin_dir);
}
void Fields(auto& visit, Is<Connect> auto& s) {
  visit("cgroups", s.cgroups);
  visit("on_stop", s.on_stop);
  visit("pin_dir", s.pin_dir);
}
void Fields(auto& visit, Is<Stats> auto& s) {
  visit("bind", s.bind);
  visit("user", s.user);
  visit("password", s.password);
}
void Fields(auto& visit, Is<Snapshot> auto& s) {
  visit("epoch", s.epoch);
  visit("version", s.version);
  visit("listeners", s.listeners);
  visit("services", s.services);
  visit("stats", s.stats);
  visit("packet", s.packet);
  visit("access_log", s.access_log);
  visit("connect", s.connect);
  visit("steering", s.steering);
  visit("sessions_max", s.sessions_max);
  visit("shutdown_timeout_ms", s.shutdown_timeout_ms);
  visit("handover_timeout_ms", s.handover_timeout_ms);
}
void Fields(auto& visit, Is<ServiceDelta> auto& s) {
  visit("service", s.service);
  visit("upserted", s.upserted);
  visit("removed", s.removed);
}
void Fields(auto& visit, Is<Delta> auto& s) {
  visit("epoch", s.epoch);
  visit("from_version", s.from_version);
  visit("version", s.version);
  visit("services", s.services);
}
void Fields(auto& visit, Is<Hello> auto& s) {
  visit("protocol", s.protocol);
  visit("pid", s.pid);
  visit("workers", s.workers);
  visit("epoch", s.epoch);
  visit("version", s.version);
}
void Fields(auto& visit, Is<Ack> auto& s) { visit("version", s.version); }
void Fields(auto& visit, Is<Refuse> auto& s) {
  visit("version", s.version);
  visit("reason", s.reason);
}
void Fields(auto& visit, Is<InFlight> auto& s) {
  visit("service", s.service);
  visit("endpoint", s.endpoint);
  visit("generation", s.generation);
  visit("exchanges", s.exchanges);
}
void Fields(auto& visit, Is<Ejection> auto& s) {
  visit("service", s.service);
  visit("endpoint", s.endpoint);
  visit("generation", s.generation);
  visit("workers", s.workers);
  visit("remaining_ms", s.remaining_ms);
  visit("times", s.times);
  visit("reason", s.reason);
}
void Fields(auto& visit, Is<Report> auto& s) {
  visit("version", s.version);
  visit("draining", s.draining);
  visit("ejected", s.ejected);
  visit("leaving", s.leaving);
}
void Fields(auto& visit, Is<CatalogStatus> auto& s) {
  visit("name", s.name);
  visit("ok", s.ok);
  visit("good_unix_ms", s.good_unix_ms);
  visit("error", s.error);
}

// Names of enum values, in the order of the values.
template <typename E>
struct EnumNames;
template <>
struct EnumNames<Protocol> {
  static constexpr std::string_view kNames[] = {"http", "tcp", "udp"};
};
template <>
struct EnumNames<Delivery> {
  static constexpr std::string_view kNames[] = {"proxy", "packet", "connect"};
};
template <>
struct EnumNames<Fallback> {
  static constexpr std::string_view kNames[] = {"proxy", "refuse"};
};
template <>
struct EnumNames<PacketMode> {
  static constexpr std::string_view kNames[] = {"auto", "tc", "xdp"};
};
template <>
struct EnumNames<PacketNat> {
  static constexpr std::string_view kNames[] = {"nat", "transparent", "direct"};
};
template <>
struct EnumNames<OnDead> {
  static constexpr std::string_view kNames[] = {"reset", "silence"};
};
template <>
struct EnumNames<OnStop> {
  static constexpr std::string_view kNames[] = {"detach", "keep"};
};
template <>
struct EnumNames<Steering> {
  static constexpr std::string_view kNames[] = {"hash", "least_sessions", "local"};
};
template <>
struct EnumNames<Balance> {
  static constexpr std::string_view kNames[] = {"round_robin", "least_requests", "random_of_two", "least_latency"};
};
template <>
struct EnumNames<AccessFormat> {
  static constexpr std::string_view kNames[] = {"json", "combined"};
};
template <>
struct EnumNames<EndpointState> {
  static constexpr std::string_view kNames[] = {"ready", "draining", "down"};
};

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

class Writer {
 public:
  template <typename T>
  void operator()(std::string_view key, const T& value) {
    object[View(key)] = Value(value);
  }
  json::object object;

  template <typename T>
  static json::value Value(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      return json::value(View(EnumNames<T>::kNames[static_cast<size_t>(value)]));
    } else if constexpr (std::integral<T>) {
      return json::value(value);
    } else if constexpr (std::same_as<T, std::string>) {
      return json::value(View(value));
    } else {
      Writer writer;
      Fields(writer, value);
      return writer.object;
    }
  }
  template <typename T>
  static json::value Value(const std::vector<T>& values) {
    json::array array;
    array.reserve(values.size());
    for (const T& value : values) array.push_back(Value(value));
    return array;
  }
};

// Where in the document a value stands: a chain through the callers' frames, spelled out only for an error.
struct Place {
  const Place* parent = nullptr;
  std::string_view key;  // empty: an array's element
  size_t index = 0;
  std::string Spell() const {
    std::string text = parent != nullptr ? parent->Spell() : "";
    if (parent == nullptr) return text;
    if (key.empty()) return absl::StrCat(text, "[", index, "]");
    return absl::StrCat(text, text.empty() ? "" : ".", std::string(key));
  }
};

std::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "true or false";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
    default: return "a number";
  }
}

class Reader {
 public:
  Reader(const json::object& object, const Place& place, absl::Status& status)
      : object_(object), place_(place), status_(status) {}

  template <typename T>
  void operator()(std::string_view key, T& out) {
    const json::value* value = object_.if_contains(View(key));
    if (value == nullptr || !status_.ok()) return;
    Read(*value, Place{&place_, key, 0}, status_, out);
  }

  template <typename T>
  static void Read(const json::value& value, const Place& place, absl::Status& status, T& out) {
    if constexpr (std::is_enum_v<T>) {
      ReadEnum(value, place, status, out);
    } else if constexpr (std::same_as<T, bool>) {
      if (!value.is_bool()) return Wanted(value, place, status, "true or false");
      out = value.get_bool();
    } else if constexpr (std::integral<T>) {
      ReadInteger(value, place, status, out);
    } else if constexpr (std::same_as<T, std::string>) {
      if (!value.is_string()) return Wanted(value, place, status, "a string");
      out.assign(value.get_string().data(), value.get_string().size());
    } else {
      if (!value.is_object()) return Wanted(value, place, status, "an object");
      Reader reader(value.get_object(), place, status);
      Fields(reader, out);
    }
  }
  template <typename T>
  static void Read(const json::value& value, const Place& place, absl::Status& status,
                   std::vector<T>& out) {
    if (!value.is_array()) return Wanted(value, place, status, "an array");
    const json::array& array = value.get_array();
    out.clear();
    out.reserve(array.size());
    for (size_t i = 0; i < array.size() && status.ok(); ++i) {
      Read(array[i], Place{&place, {}, i}, status, out.emplace_back());
    }
  }

 private:
  static void Wanted(const json::value& value, const Place& place, absl::Status& status,
                     const std::string& wanted) {
    const std::string came = value.is_structured() ? std::string(KindName(value))
                                                   : std::string(json::serialize(value));
    status = absl::InvalidArgumentError(
        absl::StrCat(place.Spell(), ": wanted ", wanted, ", got ", came));
  }

  template <typename T>
  static void ReadEnum(const json::value& value, const Place& place, absl::Status& status, T& out) {
    std::string wanted = "one of";
    size_t i = 0;
    for (std::string_view name : EnumNames<T>::kNames) {
      if (value.is_string() && value.get_string() == View(name)) {
        out = static_cast<T>(i);
        return;
      }
      wanted += (i++ == 0 ? " " : ", ") + std::string(name);
    }
    Wanted(value, place, status, wanted);
  }

  template <typename T>
  static void ReadInteger(const json::value& value, const Place& place, absl::Status& status,
                          T& out) {
    constexpr T kMin = std::numeric_limits<T>::min();
    constexpr T kMax = std::numeric_limits<T>::max();
    if (value.is_int64() && std::in_range<T>(value.get_int64())) {
      out = static_cast<T>(value.get_int64());
    } else if (value.is_uint64() && std::in_range<T>(value.get_uint64())) {
      out = static_cast<T>(value.get_uint64());
    } else {
      Wanted(value, place, status, absl::StrCat("a whole number from ", kMin, " to ", kMax));
    }
  }

  const json::object& object_;
  const Place& place_;
  absl::Status& status_;
};

constexpr std::string_view kTypeNames[] = {"hello", "snapshot", "delta", "ack", "refuse", "report",
                                            "catalog_status"};
static_assert(std::size(kTypeNames) == std::variant_size_v<Message>);

template <size_t I = 0>
absl::StatusOr<Message> DecodeAs(std::string_view type, const json::value& document) {
  if constexpr (I == std::variant_size_v<Message>) {
    return absl::InvalidArgumentError(
        absl::StrCat("type: wanted hello, snapshot, delta, ack, refuse, report or catalog_status, got \"",
                     std::string(type), "\""));
  } else {
    if (type != kTypeNames[I]) return DecodeAs<I + 1>(type, document);
    std::variant_alternative_t<I, Message> message;
    absl::Status status;
    const Place root;
    Reader::Read(document, root, status, message);
    if (!status.ok()) return status;
    return Message(std::move(message));
  }
}

}  // namespace

std::string_view NameOf(Protocol protocol) { return EnumNames<Protocol>::kNames[static_cast<size_t>(protocol)]; }
std::string_view NameOf(Delivery delivery) { return EnumNames<Delivery>::kNames[static_cast<size_t>(delivery)]; }

std::string EncodeMessage(const Message& message) {
  return std::visit(
      [&](const auto& m) {
        Writer writer;
        writer("type", std::string(kTypeNames[message.index()]));
        Fields(writer, m);
        return std::string(json::serialize(writer.object));
      },
      message);
}

absl::StatusOr<Message> DecodeMessage(std::string_view text) {
  json::error_code error;
  const json::value document = json::parse(View(text), error);
  if (error) return absl::InvalidArgumentError("not JSON: " + error.message());
  const json::object* object = document.if_object();
  if (object == nullptr) {
    return absl::InvalidArgumentError("wanted an object, got " + std::string(KindName(document)));
  }
  const json::value* type = object->if_contains("type");
  if (type == nullptr || !type->is_string()) {
    return absl::InvalidArgumentError("type: wanted a string that names the message");
  }
  return DecodeAs({type->get_string().data(), type->get_string().size()}, document);
}

}  // namespace ringway::api
