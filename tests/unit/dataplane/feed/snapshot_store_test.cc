// The kept snapshot: comes back as it was, a bad file is moved aside, a crash in between leaves the old one.
#include "dataplane/feed/snapshot_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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
  EXPECT_FALSE(fs::exists(path_.string() + ".new"));
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
  std::ofstream(path_.string() + ".new") << "{\"type\":\"snap";
  EXPECT_EQ(*SnapshotStore(io_, path_).Load()->snapshot, WebSnapshot(3));
}

TEST_F(SnapshotStoreTest, AFolderThatIsNotThereIsSaid) {
  const absl::Status status = WriteSnapshotFile(folder_ / "no" / "x", WebSnapshot());
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace ringway::dp
