// The words of feed.h's enums, as the config file, the feed, the status and the stats spell them.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "common/api/feed.h"

namespace ringway::api {

// One for each value, in the order of the values.
template <typename E>
inline constexpr std::array<std::string_view, 0> kWords{};
template <>
inline constexpr auto kWords<Protocol> = std::to_array<std::string_view>({"http", "tcp", "udp"});
template <>
inline constexpr auto kWords<Delivery> = std::to_array<std::string_view>({"proxy", "packet", "connect"});
template <>
inline constexpr auto kWords<Fallback> = std::to_array<std::string_view>({"proxy", "refuse"});
template <>
inline constexpr auto kWords<PacketMode> = std::to_array<std::string_view>({"auto", "tc", "xdp"});
template <>
inline constexpr auto kWords<PacketNat> = std::to_array<std::string_view>({"nat", "transparent", "direct"});
template <>
inline constexpr auto kWords<OnDead> = std::to_array<std::string_view>({"reset", "silence"});
template <>
inline constexpr auto kWords<OnStop> = std::to_array<std::string_view>({"detach", "keep"});
template <>
inline constexpr auto kWords<Steering> = std::to_array<std::string_view>({"hash", "least_sessions", "local"});
template <>
inline constexpr auto kWords<Balance> = std::to_array<std::string_view>({"round_robin", "least_requests", "random_of_two", "least_latency"});
template <>
inline constexpr auto kWords<AccessFormat> = std::to_array<std::string_view>({"json", "combined"});
template <>
inline constexpr auto kWords<EndpointState> = std::to_array<std::string_view>({"ready", "draining", "down"});

template <typename E>
  requires(kWords<E>.size() > 0)
constexpr std::string_view NameOf(E value) {
  return kWords<E>[static_cast<size_t>(value)];
}

}  // namespace ringway::api
