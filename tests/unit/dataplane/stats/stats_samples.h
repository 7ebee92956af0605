// A model with names that every output format has to escape.
#pragma once

#include "dataplane/stats/model.h"

namespace ringway::dp {

inline constexpr const char* kNasty = "a<b>&\"'\\,\n";

inline StatsModel SampleModel() {
  EndpointStats endpoint;
  endpoint.id = kNasty;
  endpoint.address = "127.0.0.1:80";
  endpoint.state = "ready";
  endpoint.reason = "<script>alert(1)</script>";
  endpoint.exchanges = 1234567;
  endpoint.bytes_received = 3 << 20;
  endpoint.connect_failures = 5;
  endpoint.in_flight_max = 30;
  EndpointStats down;
  down.id = "n/down";
  down.address = "127.0.0.1:81";
  down.state = "down";
  EndpointStats ejected;
  ejected.id = "n/ejected";
  ejected.address = "127.0.0.1:82";
  ejected.state = "ejected";
  ejected.reason = "connections fail";
  ejected.ejected = 2;
  ejected.ejected_ms = 65000;
  ejected.ejections = 6;
  ServiceStats service;
  service.name = "web";
  service.balance = "round_robin";
  service.requests = 99;
  service.waiting = 11;
  service.waiting_max = 12;
  service.waited = 13;
  service.wait_timeouts = 14;
  service.wait_full = 15;
  service.retries_denied = 16;
  service.ejections_denied = 17;
  service.latency[10] = 90;  // 1.024 to 2.048 ms
  service.latency[20] = 10;  // 1.05 to 2.1 s
  service.latency_sum_us = 100 * 2000;
  service.endpoints = {endpoint, down, ejected};
  ListenerStats listener;
  listener.name = kNasty;
  listener.bind = "0.0.0.0:80";
  listener.protocol = "http";
  listener.requests = 100;
  listener.refused[0] = 3;
  listener.bad_requests[7] = 3;
  StatsModel model;
  model.version = "1.2.3";
  model.ready = true;
  model.listeners = {listener};
  model.services = {service};
  model.workers.resize(2);
  model.workers[1].limits[2] = 4;
  model.feed.used = true;
  model.feed.connected = true;
  PacketTraffic traffic{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, {11, 12000, 1300}, {14, 15000, 1600}};
  model.services[0].by_packet = true;
  model.services[0].packet = traffic;
  model.services[0].endpoints[1].packet = traffic;
  model.packet.wanted = model.packet.active = true;
  model.packet.interfaces = {{"eth<0>", "tcx", ""}, {"eth1", "", "there is none"}};
  model.packet.reasons = {{"no_port", "no free port <here>", false, 31, 32}, {"raced", "another CPU", true, 33, 34}};
  model.packet.flow_entries = 35;
  model.packet.flow_entries_max = 36;
  model.listeners[0].delivery = "proxy instead of packet";
  model.catalog = {true, true, "http://consul:8500", "", 1500};
  return model;
}

}  // namespace ringway::dp
