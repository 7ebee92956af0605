// What the feed's messages consist of: the fields of each struct of feed.h, once for writing and reading. A new message or
// field is a line here; the codec, feed_json.cc, does not grow with them.
#pragma once

#include <concepts>
#include <type_traits>

#include "common/api/feed.h"

namespace ringway::api {

template <typename T, typename U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

// RINGWAY_EACH(a, b): RINGWAY_VISIT(a) RINGWAY_VISIT(b), for up to 16 names: a macro cannot call itself, so it is read again
// and again from outside.
#define RINGWAY_READ_AGAIN(...) RINGWAY_READ_AGAIN_2(RINGWAY_READ_AGAIN_2(__VA_ARGS__))
#define RINGWAY_READ_AGAIN_2(...) RINGWAY_READ_AGAIN_4(RINGWAY_READ_AGAIN_4(__VA_ARGS__))
#define RINGWAY_READ_AGAIN_4(...) RINGWAY_READ_AGAIN_8(RINGWAY_READ_AGAIN_8(__VA_ARGS__))
#define RINGWAY_READ_AGAIN_8(...) RINGWAY_READ_AGAIN_16(RINGWAY_READ_AGAIN_16(__VA_ARGS__))
#define RINGWAY_READ_AGAIN_16(...) __VA_ARGS__
#define RINGWAY_NOTHING
#define RINGWAY_EACH_REST() RINGWAY_EACH_NAME
#define RINGWAY_EACH_NAME(name, ...) \
  RINGWAY_VISIT(name)                \
  __VA_OPT__(RINGWAY_EACH_REST RINGWAY_NOTHING()(__VA_ARGS__))
#define RINGWAY_EACH(...) RINGWAY_READ_AGAIN(RINGWAY_EACH_NAME(__VA_ARGS__))
#define RINGWAY_VISIT(name) visit(#name, s.name);

// `visit(key, field)` for each field of `s`, which is const while writing. The structured binding only counts: a field of the
// struct that is not named here, and so would never travel, does not compile.
#define RINGWAY_FEED_FIELDS(Type, ...)                  \
  void Fields(auto& visit, Is<Type> auto& s) {          \
    [[maybe_unused]] const auto& [__VA_ARGS__] = s;     \
    RINGWAY_EACH(__VA_ARGS__)                           \
  }

RINGWAY_FEED_FIELDS(Endpoint, id, generation, address, port, weight, state, reason)
RINGWAY_FEED_FIELDS(Timeouts, connect_ms, response_ms, idle_ms, tunnel_ms, upstream_idle_ms)
RINGWAY_FEED_FIELDS(PassiveHealth, failures_max, responses_5xx_max, eject_ms, eject_max_ms)
RINGWAY_FEED_FIELDS(RetryBudget, percent, per_second_min)
RINGWAY_FEED_FIELDS(EndpointLimit, in_flight_max, queue_max, queue_timeout_ms)
RINGWAY_FEED_FIELDS(Hold, timeout_ms, requests_max)
RINGWAY_FEED_FIELDS(Service, name, balance, timeouts, upstreams_idle_max, retries_max, retry_budget,
                    retry_after_s, passive_health, ejected_percent_max, slow_start_ms,
                    endpoint_limit, hold, endpoints)
RINGWAY_FEED_FIELDS(Route, host, path, service)
RINGWAY_FEED_FIELDS(Listener, name, bind, protocol, delivery, fallback, routes, head_timeout_ms,
                    client_idle_ms, head_bytes_max, target_bytes_max, trusted_proxies, access_log,
                    defer_accept)
RINGWAY_FEED_FIELDS(AccessLog, path, format)
RINGWAY_FEED_FIELDS(PacketInterface, name, mode)
RINGWAY_FEED_FIELDS(PacketTimeouts, syn_ms, established_ms, fin_ms, closed_ms, reset_ms, udp_ms,
                    udp_answered_ms, udp_stream_ms)
RINGWAY_FEED_FIELDS(Packet, interfaces, nat, snat_addresses, snat_port_first, snat_port_last,
                    on_dead, on_stop, flows_max, timeouts, pin_dir)
RINGWAY_FEED_FIELDS(Connect, cgroups, on_stop, pin_dir)
RINGWAY_FEED_FIELDS(Stats, bind, user, password)
RINGWAY_FEED_FIELDS(Snapshot, epoch, version, listeners, services, stats, packet, access_log,
                    connect, steering, sessions_max, shutdown_timeout_ms, handover_timeout_ms)
RINGWAY_FEED_FIELDS(ServiceDelta, service, upserted, removed)
RINGWAY_FEED_FIELDS(Delta, epoch, from_version, version, services)
RINGWAY_FEED_FIELDS(Hello, protocol, pid, workers, epoch, version)
RINGWAY_FEED_FIELDS(Ack, version, partial)
RINGWAY_FEED_FIELDS(Refuse, version, reason)
RINGWAY_FEED_FIELDS(InFlight, service, endpoint, generation, exchanges)
RINGWAY_FEED_FIELDS(Ejection, service, endpoint, generation, workers, remaining_ms, times, reason)
RINGWAY_FEED_FIELDS(Report, version, draining, ejected, leaving)
RINGWAY_FEED_FIELDS(CatalogStatus, name, ok, good_unix_ms, error)

#undef RINGWAY_FEED_FIELDS
#undef RINGWAY_VISIT
#undef RINGWAY_EACH
#undef RINGWAY_EACH_NAME
#undef RINGWAY_EACH_REST
#undef RINGWAY_NOTHING
#undef RINGWAY_READ_AGAIN_16
#undef RINGWAY_READ_AGAIN_8
#undef RINGWAY_READ_AGAIN_4
#undef RINGWAY_READ_AGAIN_2
#undef RINGWAY_READ_AGAIN

}  // namespace ringway::api
