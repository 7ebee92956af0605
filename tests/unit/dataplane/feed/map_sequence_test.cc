// Any sequence of snapshots: each map is the one a dataplane that begins with that snapshot would build, whatever ran before;
// an instance that stays keeps its handle, and the directory says of each handle what it stands for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/feed/identity.h"
#include "dataplane/feed/map_builder.h"
#include "tests/unit/dataplane/feed/feed_test_support.h"

namespace ringway::dp {
namespace {

using Random = std::mt19937_64;
using Handles = std::map<std::string, EndpointHandle>;  // by identity

api::Snapshot RandomSnapshot(Random& random, uint64_t version) {
  api::Snapshot snapshot;
  snapshot.epoch = "e";
  snapshot.version = version;
  for (const char* name : {"api", "jobs", "web"}) {
    if (random() % 5 == 0) continue;
    api::Service service;
    service.name = name;
    service.retries_max = random() % 4 == 0 ? 1 : 2;
    for (int i = 0; i < 9; ++i) {
      if (random() % 3 == 0) continue;
      api::Endpoint endpoint = EndpointAt("e" + std::to_string(i), static_cast<uint16_t>(8000 + i), 1 + random() % 8 / 7);
      if (random() % 10 == 0) endpoint.address = "127.0.0.2";
      if (random() % 4 == 0) endpoint.weight = 1 + random() % 3;
      if (random() % 3 == 0) endpoint.state = static_cast<api::EndpointState>(random() % 3);
      service.endpoints.push_back(endpoint);
    }
    // A file written by hand need not be sorted.
    if (random() % 8 == 0) std::shuffle(service.endpoints.begin(), service.endpoints.end(), random);
    snapshot.services.push_back(service);
  }
  return snapshot;
}

// What a worker sees of an endpoint, the handle aside.
std::vector<std::pair<IpAddress, uint32_t>> Seen(const ServiceEntry& entry) {
  std::vector<std::pair<IpAddress, uint32_t>> seen;
  for (const EndpointEntry& endpoint : entry.ready) seen.emplace_back(endpoint.address, endpoint.weight);
  return seen;
}

void ExpectAsFresh(const api::Snapshot& snapshot, const Directory& directory, const BackendMap& map, WorkerShared& shared) {
  MapBuilder fresh({&shared});
  const auto expected = fresh.Build(std::make_shared<const api::Snapshot>(snapshot));
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_EQ(directory.services.size(), snapshot.services.size());
  for (const api::Service& service : snapshot.services) {
    const ServiceEntry& is = *map.services[directory.services.at(service.name)];
    const ServiceEntry& wanted = *(*expected)->services[fresh.directory().services.at(service.name)];
    ASSERT_EQ(Seen(is), Seen(wanted)) << service.name;
    ASSERT_EQ(is.schedule, wanted.schedule);
    ASSERT_EQ(is.ejections_max, wanted.ejections_max);
    ASSERT_EQ(is.retries_max, wanted.retries_max);
  }
}

Handles ExpectDirectory(const api::Snapshot& snapshot, const Directory& directory, const Handles& before) {
  Handles handles;
  for (const auto& [handle, record] : directory.endpoints) {
    const std::string identity = EndpointIdentity(record.service, record.endpoint);
    EXPECT_TRUE(handles.emplace(identity, handle).second) << "two handles for one instance";
    const bool ending = record.left || record.endpoint.state == api::EndpointState::kDraining;
    EXPECT_EQ(directory.ending.contains(handle), ending);
    const auto earlier = before.find(identity);
    EXPECT_TRUE(earlier == before.end() || earlier->second == handle);
  }
  size_t living = 0;
  for (const api::Service& service : snapshot.services) {
    for (const api::Endpoint& endpoint : service.endpoints) {
      const EndpointRecord& record = directory.endpoints.at(handles.at(EndpointIdentity(service.name, endpoint)));
      EXPECT_EQ(record.endpoint, endpoint);
      EXPECT_FALSE(record.left);
      ++living;
    }
  }
  const auto left = std::count_if(directory.endpoints.begin(), directory.endpoints.end(), [](const auto& e) { return e.second.left; });
  EXPECT_EQ(directory.endpoints.size(), living + static_cast<size_t>(left));
  return handles;
}

TEST(MapSequence, EachMapIsTheOneOfItsSnapshotWhateverRanBefore) {
  const auto shared = std::make_unique<WorkerShared>(), other = std::make_unique<WorkerShared>();
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    MapBuilder builder({shared.get()});
    Handles handles;
    for (uint64_t version = 1; version <= 20; ++version) {
      const api::Snapshot snapshot = RandomSnapshot(random, version);
      const auto map = builder.Build(std::make_shared<const api::Snapshot>(snapshot));
      ASSERT_TRUE(map.ok()) << map.status();
      ASSERT_NO_FATAL_FAILURE(ExpectAsFresh(snapshot, builder.directory(), **map, *other));
      handles = ExpectDirectory(snapshot, builder.directory(), handles);
      if (HasFailure()) return;
      if (random() % 3 != 0) continue;
      for (int i = 0; i < 2; ++i) builder.Sweep((*map)->version);
      std::erase_if(handles, [&](const auto& h) { return !builder.directory().endpoints.contains(h.second); });
    }
  }
}

}  // namespace
}  // namespace ringway::dp
