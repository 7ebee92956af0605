// What clients asked and endpoints did, written down by both, so that each can judge what the proxy made of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/network.h"

namespace ringway::sim {

// What one endpoint made of one request.
struct Attempt {
  uint32_t endpoint = 0;
  int status = 0;
  uint64_t size = 0;  // of the body
  bool head_sent = false;
  bool reused = false;  // on a connection that had served before
};

// One end's view of a stream (TCP, or after 101): how much it sends, and how much it had sent when it ended its side.
struct StreamSide {
  uint64_t size = 0;
  bool ended = false;
  uint64_t ended_at = 0;
};

struct Request {
  uint32_t id = 0;
  uint32_t service = 0;
  std::string method;
  int minor = 1;
  bool idempotent = true;
  bool upgrade = false;
  bool expect = false;
  bool trusted = false;       // its X-Forwarded-For is kept
  std::string forwarded_for;  // what it sent of that kind
  std::string peer;           // the client's address as text
  uint16_t listener_port = 0;
  uint64_t body_size = 0;
  bool whole = false;         // sent to the last byte
  bool begun_elsewhere = false;  // an endpoint got a part of its head
  bool corrupt = false;       // breaks its coding: no endpoint may take it for whole
  uint64_t begun_us = 0;      // first byte sent
  uint64_t whole_us = 0;      // last byte sent
  bool may_wait = false;      // its service holds requests that find no endpoint
  bool touched = false;       // no answer of an endpoint can be demanded: invalid, aborted
  std::vector<Attempt> attempts;
  StreamSide from_client, from_server;
};

// How a run is meant: in a calm one nothing may fail.
struct Mood {
  bool calm = false;
  bool endpoint_idle_closes = false;
  bool crumbs = false;  // multishot receives bring a few bytes at a time, as many times as there are bytes
  uint64_t hints_percent = 5;  // responses with 103 before them
  uint64_t late_percent = 30;   // responses that take a while
  uint64_t client_faults_percent = 0;
  uint64_t endpoint_faults_percent = 0;
};

struct Totals {
  uint64_t sessions = 0, requests = 0, finals = 0, own_replies = 0, streams = 0, cut = 0, unanswered = 0, faults = 0, maps = 0;
  // Of the dataplanes' own counters: that what is tested happens.
  uint64_t waited = 0, wait_timeouts = 0, wait_full = 0, ejections = 0, ejections_denied = 0;
  uint64_t retries = 0, retries_pooled = 0, retries_denied = 0, upgrades = 0;
  uint64_t logged = 0, log_dropped = 0;  // records
  uint64_t spliced = 0, received_now = 0;  // bytes
  uint64_t splice_refused = 0, stuck = 0;
  uint64_t bulk_refused = 0;               // neither a pipe nor a large buffer
};

struct Ledger {
  Mood mood;
  std::vector<Request> requests;
  Totals totals;
  bool buffers_short = false;     // bytes may wait unread for a buffer
  bool stopping = false;          // connections may be closed
  bool listener_left = false;     // the same
  uint32_t response_timeout_ms = 0;  // the shortest of all services

  Request& New() {
    requests.emplace_back();
    requests.back().id = static_cast<uint32_t>(requests.size() - 1);
    return requests.back();
  }
};

}  // namespace ringway::sim
