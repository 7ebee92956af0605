// One simulated run: a dataplane and perhaps its successors, listeners, services and endpoints that come and go, clients, and the
// stop. Everything follows from the seed. Run() throws Violation at the first thing that must not be.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "tests/sim/client.h"
#include "tests/sim/endpoint.h"
#include "tests/sim/ledger.h"
#include "tests/sim/process.h"

namespace ringway::sim {

class World : public Membership, public Actor {
 public:
  World(uint64_t seed, Trace& trace);
  void Run();
  const Totals& totals() const { return ledger_.totals; }

  bool Ready(uint64_t map_version, uint32_t endpoint) const override;
  void Wake() override;  // a change is due

 private:
  struct Service {
    dp::ServiceEntry settings;
    bool tcp = false;
    bool present = true;
    uint64_t changed = 0;      // settings: first map with them
    uint64_t refill_us = 0;    // its pool is empty until then
  };
  struct Listener {
    dp::ListenerEntry entry;
    bool present = false;
    bool trusted = false;
    uint32_t service = 0;  // tcp
  };
  static Mood MoodOf(uint64_t seed, Random& random);
  static SimIoOptions IoOptions(const Mood& mood, Random& random);
  void MakeServices();
  void MakeLimits(dp::ServiceEntry& s);
  void MakeListeners();
  void MakeClients();
  Endpoint* AddEndpoint(uint32_t service);
  uint32_t TakeHandle();
  bool HandleQuiet(uint32_t handle) const;
  std::unique_ptr<dp::BackendMap> MakeMap(const Process& process);
  void Publish();
  void Change();
  void ReplaceEndpoint();
  void ReplaceAll(uint32_t service, uint64_t count);
  void Return();
  void Refill();
  void Leaves(uint32_t number);
  void ChangeListener();
  void StartProcess();
  void Upgrade();
  void EndLeft();
  uint64_t MapVersion() const;  // that all dataplanes run
  bool Running() const;
  uint32_t Alive() const;
  Known KnownHandles() const;
  bool ClientsDone() const;
  void BeginStop(uint32_t timeout_ms);
  void Step();

  Trace& trace_;
  Network network_;
  Ledger ledger_;
  SimIoOptions io_options_;
  dp::WorkerLimits limits_;
  std::vector<std::unique_ptr<Process>> processes_;    // the last one is the successor of all
  std::vector<Service> services_;
  std::vector<Listener> listeners_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;   // all that ever were, by number
  std::vector<uint32_t> members_;                      // numbers of those in the map
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<uint64_t, std::vector<uint32_t>> ready_at_;  // by version: numbers of endpoints
  std::map<uint32_t, std::shared_ptr<const dp::ServiceEntry>> entries_;  // as last published, by handle
  std::vector<uint64_t> handle_left_;                   // by handle: first map without it; 0 while in use
  uint64_t version_ = 0;
  uint32_t changes_left_ = 0;
  bool stopped_ = false;
  uint32_t upgrades_left_ = 0;
  uint64_t upgrade_us_ = 0;
  uint64_t leave_us_ = 0;  // when the predecessor is told to leave; zero: it has been
  uint64_t stop_by_us_ = 0;
  uint32_t next_address_ = 1;
  uint32_t maps_after_stop_ = 2;
  uint32_t late_steps_ = 0;
};

}  // namespace ringway::sim
