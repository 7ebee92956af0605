// The only memory a worker shares with other threads: a mailbox for maps, a stop order, its counters and its access records.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/core/access_ring.h"
#include "dataplane/core/backend_map.h"
#include "dataplane/core/counters.h"

namespace ringway::dp {

// How a worker moves bulk: through pipes; through buffers, as it was told to; or because the kernel refuses splice(2).
enum class BulkBy : uint8_t { kSplice, kCopy, kCopySpliceRefused };

struct WorkerShared {
  // Mailbox. feed/ stores a map (an older one not yet taken is simply replaced) and wakes the worker; the worker takes it
  // with exchange(nullptr). feed/ owns the map and frees it when every worker's map_version has passed it.
  std::atomic<const BackendMap*> next_map{nullptr};
  // Version the worker runs; stored after the swap is complete, idle upstreams of endpoints that left included.
  std::atomic<uint64_t> map_version{0};
  // Where it leaves the access log's records; set once, before the first map with a listener that logs, and never taken back.
  std::atomic<AccessPort*> access{nullptr};
  // Milliseconds the worker may take to end what is in flight; set once, before `stop`.
  std::atomic<uint32_t> stop_timeout_ms{30000};
  // Graceful stop: no new sessions, idle ones closed, requests in flight finished, then Run() returns.
  std::atomic<bool> stop{false};
  // A successor has the listening sockets: accept no more and close our copies of them, but let idle sessions be; each gets its
  // next request answered with `Connection: close`. Run() returns when the last session has ended. A later `stop` sets the limit.
  std::atomic<bool> leave{false};
  // For stats, set before the first turn: the one CPU it runs on, -1 for any; and the kind of pages its buffers lie in (uring's Pages).
  std::atomic<int32_t> cpu{-1};
  std::atomic<uint8_t> pages{0};
  std::atomic<BulkBy> bulk{BulkBy::kSplice};
  // Set by the worker when Run() is about to return.
  std::atomic<bool> stopped{false};
  // Its sessions: taken since the start in the upper half, open in the lower. Steering has it write them where the kernel's
  // program reads (bpf/lb_abi.h, steer_worker); `sessions_own` until then.
  std::atomic<uint64_t> sessions_own{0};
  std::atomic<std::atomic<uint64_t>*> sessions{&sessions_own};
  CounterTable counters;
};

}  // namespace ringway::dp
