// The kept snapshot: comes back as it was, a bad file is moved aside, a crash in between leaves the old one.
#include "dataplane/feed/snapshot_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/api/feed_json.h"
#include "tests/unit/dataplane/feed/feed_test_support.h"

namespace ringway::dp {
namespace {

namespace fs = std::filesystem;

class SnapshotStoreTest : public ::testing::Test {
 protected:
  SnapshotStoreTest() {
    std::string pattern = fs::temp_directory_path() / "ringway_store_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ / "snapshot.json";
  }
  ~SnapshotStoreTest() override { fs::remove_all(folder_); }
  boost::asio::io_context io_;
  fs::path folder_, path_;
};

TEST_F(SnapshotStoreTest, TheNewestOfSeveralComesBack) {
  {
    SnapshotStore store(io_, path_);
    for (uint64_t version = 1; version <= 5; ++version) {
      store.Save(std::make_shared<const api::Snapshot>(WebSnapshot(version)));
    }
  }
  SnapshotStore store(io_, path_);
  const auto loaded = store.Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*loaded->snapshot, WebSnapshot(5));
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms(0600));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1) << "nothing temporary stays";
}

TEST_F(SnapshotStoreTest, AfterAStopTheFileIsTheSuccessors) {
  SnapshotStore store(io_, path_);
  store.Save(std::make_shared<const api::Snapshot>(WebSnapshot(1)));
  store.Save(std::make_shared<const api::Snapshot>(WebSnapshot(2)));  // waits for its second
  store.Stop();
  EXPECT_EQ(*ReadSnapshotFile(path_)->snapshot, WebSnapshot(1)) << "what was being written is written";
  ASSERT_TRUE(WriteSnapshotFile(path_, WebSnapshot(9)).ok());
  store.Save(std::make_shared<const api::Snapshot>(WebSnapshot(3)));
  io_.run();
  EXPECT_EQ(*ReadSnapshotFile(path_)->snapshot, WebSnapshot(9));
}

// As version 0.1 wrote it, before there were passive health, budgets, limits, holds and the handover.
TEST_F(SnapshotStoreTest, AFileOfAnOlderVersionGetsTheDefaults) {
  std::ofstream(path_) << R"({"type":"snapshot","epoch":"e","version":7,
    "listeners":[{"name":"front","bind":"127.0.0.1:0","protocol":"http","routes":[{"host":"","path":"","service":"web"}],
      "head_timeout_ms":10000,"client_idle_ms":60000,"head_bytes_max":16384,"target_bytes_max":8192,"trusted_proxies":[]}],
    "services":[{"name":"web","balance":"round_robin",
      "timeouts":{"connect_ms":2000,"response_ms":60000,"idle_ms":60000,"tunnel_ms":3600000,"upstream_idle_ms":2000},
      "upstreams_idle_max":64,"retries_max":5,"retry_after_s":1,
      "endpoints":[{"id":"a","generation":1,"address":"127.0.0.1","port":8001,"weight":1,"state":"ready","reason":""}]}],
    "stats":{"bind":"0.0.0.0:9000","user":"u","password":"p"},"sessions_max":0,"shutdown_timeout_ms":30000})";
  const auto loaded = SnapshotStore(io_, path_).Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->snapshot->handover_timeout_ms, api::Snapshot().handover_timeout_ms);
  api::Service expected;
  expected.name = "web";
  expected.retries_max = 5;
  expected.endpoints = {EndpointAt("a", 8001)};
  EXPECT_EQ(loaded->snapshot->services, std::vector<api::Service>{expected});
}

// A downgrade: at each level keys that nobody here knows.
TEST_F(SnapshotStoreTest, AFileOfANewerVersionIsReadWithoutWhatIsNew) {
  std::string text = api::EncodeMessage(WebSnapshot(7));
  const auto insert = [&](const std::string& before, const std::string& what) {
    const size_t at = text.find(before);
    ASSERT_NE(at, text.npos) << before;
    text.insert(at, what);
  };
  insert("\"epoch\"", R"("tls":{"versions":["1.3"]},)");
  insert("\"bind\"", R"("http2":true,)");
  insert("\"balance\"", R"("mirror":[1,2.5,null],)");
  insert("\"connect_ms\"", R"("connect_us":17,)");
  insert("\"generation\"", R"("zone":"b",)");
  std::ofstream(path_) << text;
  const auto loaded = SnapshotStore(io_, path_).Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*loaded->snapshot, WebSnapshot(7));
}

TEST_F(SnapshotStoreTest, WhatAKilledProcessLeftIsRemovedAfterAMinute) {
  const fs::path old = path_.string() + ".new.123", fresh = path_.string() + ".new.124";
  std::ofstream(old) << "{";
  std::ofstream(fresh) << "{";
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::minutes(2));
  EXPECT_EQ(SnapshotStore(io_, path_).Load().status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh)) << "another process may be writing it";
}

TEST_F(SnapshotStoreTest, NoFileIsNoTrouble) {
  EXPECT_EQ(SnapshotStore(io_, path_).Load().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SnapshotStoreTest, ABadFileIsMovedAside) {
  for (const char* text : {"{\"type\":\"snapshot\",\"services\":[{\"name", "{\"type\":\"ack\"}", ""}) {
    std::ofstream(path_) << text;
    SnapshotStore store(io_, path_);
    EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_FALSE(fs::exists(path_));
    EXPECT_TRUE(fs::exists(path_.string() + ".bad"));
  }
}

TEST_F(SnapshotStoreTest, AHalfWrittenTemporaryFileIsIgnored) {
  ASSERT_TRUE(WriteSnapshotFile(path_, WebSnapshot(3)).ok());
  std::ofstream(path_.string() + ".new.1") << "{\"type\":\"snap";
  EXPECT_EQ(*SnapshotStore(io_, path_).Load()->snapshot, WebSnapshot(3));
}

TEST_F(SnapshotStoreTest, AFolderThatIsNotThereIsSaid) {
  const absl::Status status = WriteSnapshotFile(folder_ / "no" / "x", WebSnapshot());
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace ringway::dp
