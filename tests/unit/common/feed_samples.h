// Feed messages with every field away from its default, and seeded random snapshots.
#pragma once

#include <random>
#include <string>

#include "common/api/feed.h"

namespace ringway::api {

inline Endpoint SampleEndpoint(const std::string& id, uint64_t generation = 7) {
  Endpoint endpoint;
  endpoint.id = id;
  endpoint.generation = generation;
  endpoint.address = "fd00::17";
  endpoint.port = 8081;
  endpoint.weight = 3;
  endpoint.state = EndpointState::kDown;
  endpoint.reason = "check \"http\" fails\nwith a second line, \xc3\xa4";
  return endpoint;
}

inline Snapshot SampleSnapshot() {
  Service service;
  service.name = "web";
  service.balance = Balance::kRandomOfTwo;
  service.timeouts = {1, 2, 3, 4, 5};
  service.upstreams_idle_max = 6;
  service.retries_max = 7;
  service.retry_after_s = 8;
  service.endpoints = {SampleEndpoint("a/1", UINT64_MAX), SampleEndpoint("b/2")};
  service.endpoints[1].state = EndpointState::kDraining;
  Listener listener;
  listener.name = "front";
  listener.bind = "[::]:80";
  listener.protocol = Protocol::kUdp;
  listener.delivery = Delivery::kPacket;
  listener.fallback = Fallback::kRefuse;
  listener.routes = {{"example.org", "/api", "web"}, {"", "", "web"}};
  listener.head_timeout_ms = 11;
  listener.client_idle_ms = 12;
  listener.head_bytes_max = 13;
  listener.target_bytes_max = 14;
  listener.trusted_proxies = {"10.0.0.0/8", "fd00::/8"};
  listener.access_log = true;
  listener.defer_accept = true;
  Snapshot snapshot;
  snapshot.epoch = "epoch-1";
  snapshot.version = (1ull << 53) + 1;  // beyond what a double holds
  snapshot.listeners = {listener};
  snapshot.services = {service};
  snapshot.stats = {"127.0.0.1:9001", "someone", "se\"cret"};
  snapshot.packet.interfaces = {{"eth0", PacketMode::kXdp}, {"br-*", PacketMode::kTc}};
  snapshot.packet.nat = PacketNat::kDirect;
  snapshot.packet.snat_addresses = {"10.0.0.5"};
  snapshot.packet.snat_port_first = 21;
  snapshot.packet.snat_port_last = 22;
  snapshot.packet.on_dead = OnDead::kSilence;
  snapshot.packet.on_stop = OnStop::kKeep;
  snapshot.packet.flows_max = 23;
  snapshot.packet.timeouts = {31, 32, 33, 34, 35, 36, 37, 38};
  snapshot.packet.pin_dir = "/sys/fs/bpf/other";
  snapshot.access_log = {"/var/log/x", AccessFormat::kCombined};
  snapshot.connect = {{"/sys/fs/cgroup/a", "/sys/fs/cgroup/b"}, OnStop::kKeep, "/sys/fs/bpf/third"};
  snapshot.steering = Steering::kLeastSessions;
  snapshot.sessions_max = 15;
  snapshot.shutdown_timeout_ms = 16;
  return snapshot;
}

inline std::vector<Endpoint> RandomEndpoints(std::mt19937_64& random) {
  std::vector<Endpoint> endpoints;
  for (int i = 0; i < 12; ++i) {
    if (random() % 3 == 0) continue;
    Endpoint endpoint = SampleEndpoint("n/" + std::string(1, static_cast<char>('a' + i)), random() % 2);
    endpoint.state = static_cast<EndpointState>(random() % 3);
    endpoint.weight = 1 + static_cast<uint32_t>(random() % 2);
    endpoints.push_back(endpoint);
  }
  return endpoints;
}

}  // namespace ringway::api
