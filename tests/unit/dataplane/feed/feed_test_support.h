// Snapshots for the feed's tests and workers that do nothing but take maps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/feed/publisher.h"

namespace ringway::dp {

inline api::Endpoint EndpointAt(const std::string& id, uint16_t port, uint64_t generation = 1) {
  api::Endpoint endpoint;
  endpoint.id = id;
  endpoint.generation = generation;
  endpoint.address = "127.0.0.1";
  endpoint.port = port;
  return endpoint;
}

inline api::Snapshot WebSnapshot(uint64_t version = 1) {
  api::Service web;
  web.name = "web";
  web.endpoints = {EndpointAt("a", 8001), EndpointAt("b", 8002)};
  api::Service mysql;
  mysql.name = "mysql";
  mysql.endpoints = {EndpointAt("m", 3306)};
  api::Listener listener;
  listener.name = "front";
  listener.bind = "127.0.0.1:0";
  listener.routes = {{"", "", "web"}};
  api::Snapshot snapshot;
  snapshot.epoch = "e";
  snapshot.version = version;
  snapshot.listeners = {listener};
  snapshot.services = {mysql, web};
  return snapshot;
}

// Takes maps as a worker does, on a thread of its own.
class MapTaker {
 public:
  explicit MapTaker(WorkerShared& shared) : shared_(shared), thread_([this] { Run(); }) {}
  ~MapTaker() {
    {
      std::lock_guard lock(mutex_);
      end_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void Wake() { changed_.notify_all(); }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (!end_) {
      const BackendMap* map = shared_.next_map.exchange(nullptr);
      if (map != nullptr) shared_.map_version.store(map->version);
      changed_.wait_for(lock, std::chrono::milliseconds(1));
    }
  }
  WorkerShared& shared_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace ringway::dp
