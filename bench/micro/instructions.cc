// Runs the real Worker through fixed scripts of requests, alone in this process, so that the instructions it takes for each can
// be counted to the last one: bench/micro/instructions runs it under callgrind. Without callgrind it prints nanoseconds.
//
//   ringway-instructions [--list | --compiler | SCENARIO...]
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unordered_map>

#include "bench/micro/memory_io.h"
#include "bench/micro/scenarios.h"
#include "bench/micro/work_meter.h"
#include "dataplane/core/worker.h"

namespace ringway::bench {
namespace {

// Requests, about: scenarios run whole turns.
uint32_t Measured() { return RUNNING_ON_VALGRIND != 0 ? 1024 : 65536; }

// Finds the ends of messages in what the Worker sends; every one of a side is alike.
class MessageEnds {
 public:
  // Bytes of one direction of one connection. True when they end a message.
  bool Take(std::string_view bytes, uint32_t body, const char* begins_with) {
    size_t at = 0;
    if (left_ == 0) {
      head_.append(bytes);
      const size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      if (!head_.starts_with(begins_with)) {
        std::fprintf(stderr, "a message begins with %.40s, wanted %s\n", head_.c_str(), begins_with);
        std::abort();
      }
      left_ = body + 1;
      at = bytes.size() - (head_.size() - end - 4);
      head_.clear();
    }
    left_ -= bytes.size() - at;
    if (left_ != 1) return false;
    left_ = 0;
    return true;
  }

 private:
  std::string head_;
  size_t left_ = 0;  // of a body, and one more; 0 in a head
};

// As in production (dataplane/uring/worker_thread.cc): of this file alone, so that the compiler sees every call of the Worker's.
class LocalIo : public MemoryIo {
 public:
  using MemoryIo::MemoryIo;
};

class Bench : Peers {
 public:
  explicit Bench(const Scenario& scenario)
      : scenario_(scenario), shared_(std::make_unique<dp::WorkerShared>()), io_(*this, meter_), map_(MapOf(scenario)) {
    dp::WorkerLimits limits;
    limits.upstreams_max = 2 * (scenario.endpoints * 2 + 1024);
    worker_ = std::make_unique<dp::Worker<LocalIo>>(io_, *shared_, 0, limits);
    shared_->access.store(&access_);
    shared_->next_map.store(&map_);
    for (uint32_t i = 0; i < scenario.connections; ++i) AddClient();
  }

  void Run() {
    // Until each endpoint has its connections.
    StepUntil(answered_ + 4 * scenario_.endpoints + 1024);
    const uint64_t before = answered_;
    meter_.Reset();
    StepUntil(before + Measured());
    const uint64_t requests = answered_ - before;
    WorkMeter::Dump((scenario_.name + " " + std::to_string(requests)).c_str());
    std::printf("%-22s %6llu requests  %7.1f ns/request\n", scenario_.name.c_str(),
                static_cast<unsigned long long>(requests), static_cast<double>(meter_.spent_ns()) / static_cast<double>(requests));
  }

 private:
  static dp::BackendMap MapOf(const Scenario& scenario) {
    auto service = std::make_shared<dp::ServiceEntry>();
    service->handle = 0;
    service->name = "web";
    service->balance = scenario.balance;
    service->upstream_idle_timeout_ms = 3600000;
    service->upstreams_idle_max = scenario.connections;  // all are answered in the same turn: none is to be closed for that
    for (uint32_t i = 0; i < scenario.endpoints; ++i) {
      dp::IpAddress address;
      address.bytes = {10, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)};
      address.port = 80;
      service->ready.push_back({i, address, 1});
    }
    service->ejections_max = scenario.endpoints / 2;
    auto listener = std::make_shared<dp::ListenerEntry>();
    listener->handle = 0;
    listener->address.port = 80;
    listener->access_log = scenario.access_log;
    listener->routes.push_back({"", "", 0});
    listener->sockets.push_back(3);
    dp::BackendMap map;
    map.version = 1;
    map.services.push_back(service);
    map.listeners.push_back(listener);
    return map;
  }

  void AddClient() {
    const int fd = io_.ConnectClient();
    ends_[fd] = MessageEnds{};
    io_.Deliver(fd, scenario_.request);
  }

  void StepUntil(uint64_t answered) {
    const uint64_t before = answered_;
    for (uint64_t turns = 0; answered_ < answered; ++turns) {
      meter_.Start();
      worker_->Step();
      meter_.Stop();
      ReadLog();
      if (turns > 1000 && answered_ == before) std::abort();  // nothing moves
    }
  }

  // As the access log's thread does.
  void ReadLog() {
    uint32_t size = 0;
    while (access_.ring.Front(size) != nullptr) access_.ring.Pop(size);
  }

  void OnSent(int fd, std::string_view bytes) override {
    if (const auto client = ends_.find(fd); client != ends_.end()) {
      if (!client->second.Take(bytes, scenario_.response_body, "HTTP/1.1 200 OK\r\n")) return;
      ++answered_;
      if (scenario_.keep_alive) io_.Deliver(fd, scenario_.request);
      else io_.End(fd);
      return;
    }
    const std::string_view method = std::string_view(scenario_.request).substr(0, scenario_.request.find(' ') + 1);
    if (upstreams_[fd].Take(bytes, scenario_.request_body, std::string(method).c_str())) io_.Deliver(fd, scenario_.response);
  }

  void OnClosed(int fd) override {
    upstreams_.erase(fd);
    if (ends_.erase(fd) > 0) AddClient();
  }

  const Scenario& scenario_;
  WorkMeter meter_;
  std::unique_ptr<dp::WorkerShared> shared_;
  LocalIo io_;
  const dp::BackendMap map_;
  std::unique_ptr<dp::Worker<LocalIo>> worker_;
  std::unordered_map<int, MessageEnds> ends_;       // of clients
  std::unordered_map<int, MessageEnds> upstreams_;
  static constexpr uint32_t kLogBytes = 1u << 20;
  std::vector<uint64_t> log_memory_{std::vector<uint64_t>(kLogBytes / 8)};
  std::unique_ptr<dp::AccessNote[]> notes_{new dp::AccessNote[dp::WorkerLimits{}.sessions_max]};
  dp::AccessPort access_{reinterpret_cast<char*>(log_memory_.data()), kLogBytes, notes_.get()};
  uint64_t answered_ = 0;
};

}  // namespace
}  // namespace ringway::bench

int main(int argc, char** argv) {
  const std::string_view option = argc == 2 ? argv[1] : "";
  if (option == "--compiler") return std::puts(__VERSION__) < 0;
  int ran = 0;
  for (const ringway::bench::Scenario& scenario : ringway::bench::AllScenarios()) {
    if (option == "--list") {
      std::puts(scenario.name.c_str());
      ++ran;
      continue;
    }
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted = wanted || scenario.name == argv[i];
    if (!wanted) continue;
    std::make_unique<ringway::bench::Bench>(scenario)->Run();
    ++ran;
  }
  if (ran == 0) std::fprintf(stderr, "no such scenario\n");
  return ran == 0 ? 2 : 0;
}
