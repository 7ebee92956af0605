// One simulated run: a Worker over SimIo, listeners, services and endpoints that come and go, clients, and the stop. Everything
// follows from the seed. Run() throws Violation at the first thing that must not be.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "dataplane/core/worker.h"
#include "tests/sim/client.h"
#include "tests/sim/endpoint.h"
#include "tests/sim/ledger.h"
#include "tests/sim/sim_io.h"

namespace ringway::sim {

class World : public IoWatch, public Membership, public Actor {
 public:
  World(uint64_t seed, Trace& trace);
  void Run();
  const Totals& totals() const { return ledger_.totals; }

  void OnConnecting(const dp::IpAddress& to) override;
  uint64_t MapVersion() const override { return shared_->map_version.load(); }
  bool Ready(uint64_t map_version, uint32_t endpoint) const override;
  void Wake() override;  // a change is due

 private:
  struct Service {
    dp::ServiceEntry settings;
    bool tcp = false;
    bool present = true;
  };
  struct Listener {
    dp::ListenerEntry entry;
    bool present = false;
    bool trusted = false;
    uint32_t service = 0;  // tcp
  };
  struct Published {
    std::unique_ptr<dp::BackendMap> map;
    std::vector<uint32_t> ready;  // numbers of endpoints
  };

  static Mood MoodOf(uint64_t seed, Random& random);
  static SimIoOptions IoOptions(const Mood& mood, Random& random);
  void MakeServices();
  void MakeListeners();
  void MakeClients();
  Endpoint* AddEndpoint(uint32_t service);
  uint32_t TakeHandle();
  bool HandleQuiet(uint32_t handle) const;
  void Publish();
  void Change();
  void ReplaceEndpoint();
  void ChangeListener();
  void ForgetMaps();
  void EndLeft();
  bool ClientsDone() const;
  void BeginStop(uint32_t timeout_ms);
  void Step();
  void CheckEnd();
  void CheckCounters();

  Trace& trace_;
  Network network_;
  Ledger ledger_;
  std::unique_ptr<SimIo> io_;
  std::unique_ptr<dp::WorkerShared> shared_;
  std::unique_ptr<dp::Worker<SimIo>> worker_;
  std::vector<Service> services_;
  std::vector<Listener> listeners_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;   // all that ever were, by number
  std::vector<uint32_t> members_;                      // numbers of those in the map
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<uint64_t, Published> published_;
  std::map<uint64_t, std::vector<uint32_t>> ready_at_;  // kept when the map is freed
  std::vector<uint64_t> handle_left_;                   // by handle: first map without it; 0 while in use
  uint64_t version_ = 0;
  uint32_t changes_left_ = 0;
  bool stopped_ = false;
  bool running_ = true;
  uint64_t stop_by_us_ = 0;
  uint32_t next_address_ = 1;
  uint32_t maps_after_stop_ = 2;
  uint32_t late_steps_ = 0;
};

}  // namespace ringway::sim
