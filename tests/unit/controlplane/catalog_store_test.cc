// What survives: restart, kill -9, a power cut's worth of lost writes, a damaged file, a file that
// is not ours.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "controlplane/catalog/store.h"

namespace ringway::cp {
namespace {

class CatalogStore : public testing::Test {
 protected:
  CatalogStore() {
    std::string name = testing::TempDir() + "catalog-store-XXXXXX";
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/catalog.db";
  }
  ~CatalogStore() override { std::filesystem::remove_all(folder_); }

  static void AddService(Catalog& model, const std::string& name) {
    Registration registration;
    registration.node.name = "host";
    registration.node.address = "10.0.0.1";
    ServiceRecord& service = registration.service.emplace();
    service.id = service.name = name;
    service.tags = {"a"};
    service.meta = {{"k", "v"}};
    service.tagged_addresses = {{"lan", {"1.2.3.4", 5}}};
    service.port = 80;
    CheckRecord& check = registration.checks.emplace_back();
    check.id = check.name = "c-" + name;
    check.service_id = name;
    check.status = "warning";
    check.output = "seen \"this\"\n";
    check.fresh_output = "and this";
    check.spec.ttl = std::chrono::seconds(7);
    check.spec.headers = {{"X", {"1", "2"}}};
    std::string error;
    EXPECT_TRUE(model.Register(std::move(registration), &error)) << error;
  }
  static absl::Status Save(Store& store, Catalog& model) {
    return store.Write(model, model.TakeDirty());
  }
  std::string Bytes() const {
    std::ifstream file(path_, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string folder_, path_;
};

TEST_F(CatalogStore, BringsEverythingBack) {
  Catalog before;
  {
    auto store = Store::Open(path_, "boot");
    ASSERT_TRUE(store.ok()) << store.status();
    AddService(before, "web");
    AddService(before, "gone");
    ASSERT_TRUE(Save(**store, before).ok());
    before.DeregisterService("host", "gone");
    ASSERT_TRUE(Save(**store, before).ok());
  }
  auto store = Store::Open(path_, "boot");
  ASSERT_TRUE(store.ok()) << store.status();
  Catalog after;
  ASSERT_TRUE((*store)->Load(after).ok());
  EXPECT_EQ(after.index(), before.index());
  EXPECT_EQ(after.named_indexes(), before.named_indexes());
  ASSERT_EQ(after.InstancesOf("web").size(), 1u);
  EXPECT_TRUE(after.InstancesOf("gone").empty());
  const ServiceRecord& service = *after.InstancesOf("WEB")[0].second;
  EXPECT_EQ(service.meta.at("k"), "v");
  EXPECT_EQ(service.tagged_addresses.at("lan").port, 5);
  EXPECT_EQ(service.generation, before.InstancesOf("web")[0].second->generation);
  const CheckRecord& check = after.FindNode("host")->checks.at("c-web");
  EXPECT_EQ(check.status, "warning");
  EXPECT_EQ(check.output, "seen \"this\"\n");
  EXPECT_EQ(check.fresh_output, "and this");
  EXPECT_EQ(check.spec, before.FindNode("host")->checks.at("c-web").spec);
  EXPECT_EQ(after.HealthServiceView("gone").index, before.HealthServiceView("gone").index);
}

TEST_F(CatalogStore, SurvivesKillMinusNine) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = Store::Open(path_, "boot");
    Catalog model;
    for (int i = 0; store.ok() && i < 50; ++i) {
      AddService(model, "s" + std::to_string(i));
      if (!Save(**store, model).ok()) _exit(1);
    }
    const uint64_t index = model.index();
    if (write(ready[1], &index, sizeof index) != sizeof index) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  uint64_t index = 0;
  ASSERT_EQ(read(ready[0], &index, sizeof index), static_cast<ssize_t>(sizeof index));
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  close(ready[0]);
  auto store = Store::Open(path_, "boot");
  ASSERT_TRUE(store.ok()) << store.status();
  Catalog after;
  ASSERT_TRUE((*store)->Load(after).ok());
  EXPECT_EQ(after.index(), index);
  EXPECT_EQ(after.services().size(), 50u);
}

TEST_F(CatalogStore, IndexJumpsAheadAfterABootWithoutACleanClose) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = Store::Open(path_, "boot 1");
    _exit(store.ok() ? 0 : 1);  // no destructor: as a power cut leaves it
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  {
    auto store = Store::Open(path_, "boot 2");
    ASSERT_TRUE(store.ok()) << store.status();
    Catalog model;
    ASSERT_TRUE((*store)->Load(model).ok());
    EXPECT_GT(model.index(), Store::kIndexGap);
  }
  auto store = Store::Open(path_, "boot 3");  // closed cleanly before: no jump
  ASSERT_TRUE(store.ok());
  Catalog model;
  ASSERT_TRUE((*store)->Load(model).ok());
  EXPECT_LT(model.index(), 2 * Store::kIndexGap);
}

TEST_F(CatalogStore, DamagedFileIsNamedAndLeftAlone) {
  {
    std::ofstream file(path_, std::ios::binary);
    file << "this is no database, and long enough to be read as one: " << std::string(200, 'x');
  }
  const std::string before = Bytes();
  const auto store = Store::Open(path_, "boot");
  ASSERT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_NE(store.status().message().find(path_), absl::string_view::npos);
  EXPECT_EQ(Bytes(), before);
}

TEST_F(CatalogStore, ForeignAndNewerDatabasesAreRefused) {
  ASSERT_TRUE(Store::Open(path_, "boot").ok());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const auto newer = Store::Open(path_, "boot");
  EXPECT_NE(newer.status().message().find("schema version 99"), absl::string_view::npos)
      << newer.status();
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA application_id=5", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const auto foreign = Store::Open(path_, "boot");
  EXPECT_NE(foreign.status().message().find("not a Ringway catalog"), absl::string_view::npos)
      << foreign.status();
}

}  // namespace
}  // namespace ringway::cp
