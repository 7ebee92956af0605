// SocketPrograms of a build without kernel programs (-DRINGWAY_BPF=OFF): says so when they are asked for.
#include "common/log/log.h"
#include "dataplane/kernel/socket_programs.h"

namespace ringway::dp {
namespace {

constexpr char kWithout[] = "this build has no kernel programs (RINGWAY_BPF=OFF)";

class NoPrograms : public SocketPrograms {
 public:
  void Apply(const std::shared_ptr<const api::Snapshot>& snapshot, const Directory&, const BackendMap&) override {
    bool wanted = snapshot->steering != api::Steering::kHash;
    for (const api::Listener& listener : snapshot->listeners) wanted = wanted || listener.delivery == api::Delivery::kConnect;
    if (wanted && !std::exchange(told_, true)) spdlog::warn("connect delivery and steering: {}", kWithout);
  }
  void Tick() override {}
  void Leave() override {}
  void Stop() override {}
  ConnectCount OfListener(const std::string&) const override { return {}; }
  ConnectCount OfEndpoint(const std::string&, const api::Endpoint&) const override { return {}; }
  SteerCount Steered() const override { return {}; }
  std::vector<ProgramState> States() const override { return {{"connect", "refused", kWithout}, {"steer", "refused", kWithout}}; }

 private:
  bool told_ = false;
};

}  // namespace

std::unique_ptr<SocketPrograms> SocketPrograms::Make(std::vector<WorkerShared*>, const std::string&, std::string) { return std::make_unique<NoPrograms>(); }

}  // namespace ringway::dp
