// Adds up the workers' counters into a StatsModel, and keeps rates: Tick once a second. Main thread; it reads counters that
// workers write meanwhile, so sums may be a moment apart from one another, never torn.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "dataplane/core/worker_shared.h"
#include "dataplane/feed/applier.h"
#include "dataplane/feed/feed_client.h"
#include "dataplane/kernel/socket_programs.h"
#include "dataplane/stats/model.h"

namespace ringway::dp {

// What the feed knows of the control plane's catalog at these two times.
CatalogStats CatalogFrom(const FeedStatus& feed, std::chrono::system_clock::time_point wall_now,
                         std::chrono::steady_clock::time_point now);

class PacketDelivery;

class Collector {
 public:
  // `feed` may be null: no control plane. So may `packet`: no packet delivery.
  Collector(std::vector<const WorkerShared*> workers, const Applier& applier, const FeedClient* feed,
            const PacketDelivery* packet = nullptr);

  void Tick();
  StatsModel Collect() const;
  // Why requests cannot be served; empty when they can.
  std::string NotReadyReason() const;
  // Null until there are any.
  void SetSockets(const SocketPrograms* sockets) { sockets_ = sockets; }
  void SetStopping() { stopping_ = true; }
  void SetAccessLog(const AccessLog* log) { access_log_ = log; }

 private:
  // Per second, from the totals of two ticks. Handles are given anew with their counters at zero.
  struct Rate {
    uint64_t total = 0, rate = 0, rate_max = 0;
    void Tick(uint64_t now, double seconds);
  };
  FeedStats CollectFeed() const;
  void CollectPrograms(StatsModel& model) const;
  uint64_t SessionsOpen() const;
  uint64_t Waiting(ServiceHandle handle) const;
  ListenerStats CollectListener(const api::Listener& listener, ListenerHandle handle) const;
  ServiceStats CollectService(const api::Service& service, ServiceHandle handle) const;
  EndpointStats CollectEndpoint(EndpointHandle handle, const EndpointRecord& record) const;
  void SetPacket(StatsModel& model) const;
  void SetEjection(EndpointHandle handle, EndpointStats& stats) const;

  const std::vector<const WorkerShared*> workers_;
  const Applier& applier_;
  const FeedClient* const feed_;
  const AccessLog* access_log_ = nullptr;
  const PacketDelivery* const packet_;
  const SocketPrograms* sockets_ = nullptr;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();
  std::chrono::steady_clock::time_point ticked_ = started_;
  std::vector<Rate> listener_rates_, session_rates_, service_rates_, endpoint_rates_;
  std::vector<uint64_t> waiting_max_;  // by service handle
  bool stopping_ = false;
};

}  // namespace ringway::dp
