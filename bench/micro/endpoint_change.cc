// What one endpoint's change costs the control plane, from the embedded catalog's write to the delta that is pushed, by the
// number of endpoints that did not change; and what the parts of it cost. `bytes` is the delta's frame.
#include <benchmark/benchmark.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "common/api/feed_frame.h"
#include "common/api/feed_json.h"
#include "common/log/log.h"
#include "controlplane/catalog/embedded_catalog.h"
#include "controlplane/config/load.h"
#include "controlplane/resolver.h"

namespace {

using namespace ringway;
using namespace ringway::cp;

class Plane {
 public:
  explicit Plane(int64_t endpoints) {
    spdlog::set_level(spdlog::level::err);
    std::string name = (std::filesystem::temp_directory_path() / "ringway-change-XXXXXX").string();
    dir_ = mkdtemp(name.data());
    EmbeddedCatalogOptions options;
    options.data_dir = dir_;
    catalog_ = *EmbeddedCatalog::Open(io_, options);
    catalog_->Change([&](Agent& agent, Catalog&) {
      for (int64_t i = 0; i < endpoints; ++i) {
        const std::string number = std::to_string(i);
        const std::string address = "10." + std::to_string(i >> 16) + "." + std::to_string((i >> 8) & 255) + "." + std::to_string(i & 255);
        const std::string body = R"({"ID":"web-i)" + number + R"(","Name":"web","Address":")" + address +
                                 R"(","Port":80,"Tags":["ringway.route=/"],"Check":{"TTL":"1h","Status":"passing"}})";
        const auto definition = ParseServiceDefinition(body);
        (void)agent.RegisterService(*definition, false, Agent::Clock::now());
      }
    });
    checker_ = std::make_unique<Checker>(io_);
    state_ = std::make_unique<FeedState>(dir_);
    resolver_ = std::make_unique<Resolver>(io_, *catalog_, *checker_, *state_);
    resolver_->OnPublish([this](const api::Snapshot&, const api::Delta* delta) {
      ++published_;
      if (delta != nullptr) bytes_ = api::Frame(api::EncodeMessage(*delta)).size();
    });
    const auto loaded = ParseConfig(R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}], "services": {"web": {"health_check": false}}})", "f", "");
    resolver_->Configure(loaded->config);
    io_.poll();
  }
  ~Plane() {
    resolver_.reset();
    checker_.reset();
    catalog_.reset();
    std::filesystem::remove_all(dir_);
  }
  // One check turns: written, noticed, resolved, encoded. The resolver's gathering time is left out.
  void ChangeOne() {
    catalog_->Change([&](Agent& agent, Catalog&) {
      (void)agent.UpdateTtl("service:web-i5", flip_ ? kStatusPassing : kStatusCritical, "", Agent::Clock::now());
    });
    flip_ = !flip_;
    io_.restart();
    io_.poll();
    resolver_->Settle();
  }
  void TurnCatalogOnly() {
    catalog_->Change([&](Agent& agent, Catalog&) {
      (void)agent.UpdateTtl("service:web-i5", flip_ ? kStatusPassing : kStatusCritical, "", Agent::Clock::now());
    });
    flip_ = !flip_;
    io_.restart();
    io_.poll();
  }
  void StopResolver() { resolver_.reset(); }

  EmbeddedCatalog& catalog() { return *catalog_; }
  size_t bytes() const { return bytes_; }
  uint64_t published() const { return published_; }

 private:
  boost::asio::io_context io_;
  std::string dir_;
  std::unique_ptr<EmbeddedCatalog> catalog_;
  std::unique_ptr<Checker> checker_;
  std::unique_ptr<FeedState> state_;
  std::unique_ptr<Resolver> resolver_;
  bool flip_ = false;
  size_t bytes_ = 0;
  uint64_t published_ = 0;
};

void BM_OneEndpointChanges(benchmark::State& state) {
  Plane plane(state.range(0));
  for (auto unused : state) plane.ChangeOne();
  state.counters["bytes"] = static_cast<double>(plane.bytes());
  if (plane.published() < 2) state.SkipWithError("nothing was published");
}
BENCHMARK(BM_OneEndpointChanges)->Arg(10)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

void BM_CatalogAlone(benchmark::State& state) {
  Plane plane(state.range(0));
  plane.StopResolver();
  for (auto unused : state) plane.TurnCatalogOnly();
}
BENCHMARK(BM_CatalogAlone)->Arg(10)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

void BM_Instances(benchmark::State& state) {
  Plane plane(state.range(0));
  for (auto unused : state) benchmark::DoNotOptimize(plane.catalog().Instances("web"));
}
BENCHMARK(BM_Instances)->Arg(10)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

void BM_Judge(benchmark::State& state) {
  Plane plane(state.range(0));
  const std::vector<Instance> instances = plane.catalog().Instances("web");
  const CheckFailures failing;
  const EjectedEndpoints ejected;
  const Pool::Evidence evidence{instances, failing, ejected, [](const std::string&) { return false; }};
  Pool pool;
  std::vector<api::Endpoint> endpoints;
  for (auto unused : state) endpoints = pool.Judge({}, evidence, endpoints, std::chrono::steady_clock::now());
}
BENCHMARK(BM_Judge)->Arg(10)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

}  // namespace
