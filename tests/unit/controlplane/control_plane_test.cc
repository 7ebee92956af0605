// Reload, and the admin socket, on a real unix socket.
#include "controlplane/control_plane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json/parse.hpp>
#include <fstream>

#include "common/http/client.h"
#include "controlplane/admin_server.h"
#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

using testing::HasSubstr;

class ControlPlaneTest : public testing::Test {
 protected:
  ControlPlaneTest() {
    Write("");
    auto loaded = LoadConfig(File());
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    catalog_.Set("web", {MakeInstance("n/a", 1, 81), MakeInstance("n/b", 1, 82)});
    catalog_.Set("api", {MakeInstance("m/a", 1, 83)});
    plane_ = std::make_unique<ControlPlane>(io_, *std::move(loaded), dir_.path());
    EXPECT_TRUE(plane_->Listen().ok());
    plane_->Follow(catalog_);
    auto admin = ListenAdmin(io_, dir_.path(), *plane_);
    EXPECT_TRUE(admin.ok()) << admin.status();
    admin_ = std::move(*admin);
  }
  ~ControlPlaneTest() override {
    admin_.reset();
    plane_.reset();
    io_.restart();
    io_.poll();
  }
  std::string File() const { return dir_.path() + "/ringway.json"; }
  void Write(const std::string& more, const std::string& data_dir = "") {
    std::ofstream(File()) << R"({"catalog": {"data_dir": ")" << (data_dir.empty() ? dir_.path() : data_dir) << R"("},
      "listeners": [{"name": "w", "bind": "0.0.0.0:80", "routes": [{"service": "web"}, {"path": "/api", "service": "api"}]}],
      "services": {"web": {"health_check": false}, "api": {"health_check": false}})" << more << "}";
  }
  http::ClientResponse Ask(const std::string& method, const std::string& target) {
    std::optional<absl::StatusOr<http::ClientResponse>> answer;
    boost::asio::co_spawn(io_, [&]() -> boost::asio::awaitable<void> {
      http::Url url;
      url.unix_path = dir_.path() + "/control.sock";
      http::ClientRequest request;
      request.method = method;
      request.target = target;
      answer = co_await http::Fetch(url, request);
    }, boost::asio::detached);
    EXPECT_TRUE(RunUntil(io_, [&] { return answer.has_value(); }));
    EXPECT_TRUE(answer->ok()) << answer->status();
    return answer->ok() ? **answer : http::ClientResponse{};
  }
  boost::json::value Status() { return boost::json::parse(Ask("GET", "/status").body); }

  TempDir dir_;
  boost::asio::io_context io_;
  ScriptedSource catalog_{io_};
  std::unique_ptr<ControlPlane> plane_;
  std::unique_ptr<http::Server> admin_;
};

TEST_F(ControlPlaneTest, AGoodFileIsAppliedAndABadOneRefusedWhole) {
  Write(R"(, "shutdown_timeout": "5s")");
  const auto applied = Ask("POST", "/reload");
  EXPECT_EQ(applied.status, 200);
  EXPECT_EQ(applied.body, "applied version 2\n");
  Write(R"(, "shutdown_timeout": "9s", "stats": {"bnd": "x"})");
  const auto refused = Ask("POST", "/reload");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("stats.bnd: unknown key \"bnd\"; did you mean \"bind\"?"));
  const boost::json::value status = Status();
  EXPECT_EQ(status.at("version").to_number<int>(), 2);
  EXPECT_EQ(status.at("config").at("last_refusal").as_array().size(), 1u);
}

TEST_F(ControlPlaneTest, ReloadingTheSameFilePushesNothing) {
  EXPECT_EQ(Ask("POST", "/reload").body, "applied, nothing to push: version 1 stays\n");
}

TEST_F(ControlPlaneTest, AChangedCatalogWaitsForTheNextStartAndSaysSo) {
  Write("", "/somewhere/else");
  EXPECT_THAT(Ask("POST", "/reload").body, HasSubstr("the catalog section changed: that part takes effect at the next start"));
  EXPECT_EQ(Status().at("catalog").at("data_dir").as_string(), dir_.path());
}

TEST_F(ControlPlaneTest, StatusShowsServicesAndEndpoints) {
  const boost::json::value status = Status();
  const boost::json::array& services = status.at("services").as_array();
  ASSERT_EQ(services.size(), 2u);
  EXPECT_EQ(services[1].at("name").as_string(), "web");
  EXPECT_EQ(services[1].at("endpoints").as_array()[1].at("address").as_string(), "127.0.0.1:82");
  EXPECT_EQ(services[1].at("endpoints").as_array()[1].at("state").as_string(), "ready");
}

TEST_F(ControlPlaneTest, StatusTellsHowTheCatalogIs) {
  catalog_.state = {"http://c:8500", false, std::chrono::system_clock::now() - std::chrono::seconds(90), "connection refused"};
  const boost::json::value status = Status();
  EXPECT_FALSE(status.at("catalog").at("ok").as_bool());
  EXPECT_EQ(status.at("catalog").at("in_use").as_string(), "http://c:8500");
  EXPECT_GE(status.at("catalog").at("age_ms").to_number<int64_t>(), 90000);
  EXPECT_EQ(status.at("catalog").at("error").as_string(), "connection refused");
}

TEST_F(ControlPlaneTest, StatusTellsOfAPoolThatIsHeld) {
  catalog_.Set("api", {});
  ASSERT_TRUE(RunUntil(io_, [&] { return Status().at("services").as_array()[0].at("held").to_number<int>() == 1; }));
  EXPECT_GT(Status().at("services").as_array()[0].at("held_for_ms").to_number<int>(), 0);
}

TEST_F(ControlPlaneTest, OneInMaintenanceIsFoundAndUndrainSaysThatItStaysOut) {
  Instance serviced = MakeInstance("m/a", 1, 83);
  serviced.health = InstanceHealth::kMaintenance;
  catalog_.Set("api", {serviced, MakeInstance("m/b", 1, 84)});
  const auto answer = boost::json::parse(Ask("POST", "/drain?service=api&endpoint=m/a&timeout=10ms").body);
  EXPECT_EQ(answer.at("endpoint").as_string(), "m/a");
  EXPECT_THAT(Ask("POST", "/undrain?service=api&endpoint=m/a").body, HasSubstr("gets no requests yet: in maintenance"));
}

TEST_F(ControlPlaneTest, ARestartGoesOnWithWhatWasLastPublished) {
  admin_.reset();
  plane_.reset();
  io_.restart();
  io_.poll();
  catalog_.knows = false;
  catalog_.Set("web", {});
  plane_ = std::make_unique<ControlPlane>(io_, *LoadConfig(File()), dir_.path());
  ASSERT_TRUE(plane_->Listen().ok());
  plane_->Follow(catalog_);
  EXPECT_TRUE(plane_->Find("web", "n/a").ok());
}

TEST_F(ControlPlaneTest, AnEndpointIsFoundByIdTailOrAddress) {
  EXPECT_EQ(plane_->Find("", "n/a")->id, "n/a");
  EXPECT_EQ(plane_->Find("", "b")->id, "n/b");
  EXPECT_EQ(plane_->Find("", "127.0.0.1:83")->service, "api");
  EXPECT_EQ(plane_->Find("web", "a")->id, "n/a");
  EXPECT_EQ(plane_->Find("", "a").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(plane_->Find("api", "b").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ControlPlaneTest, TheAdminSocketRefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Ask("GET", "/reload").status, 404);
  EXPECT_EQ(Ask("POST", "/drain").status, 400);
  EXPECT_EQ(Ask("POST", "/drain?endpoint=zzz").status, 404);
  EXPECT_EQ(Ask("POST", "/drain?endpoint=a").status, 409);
  EXPECT_EQ(Ask("POST", "/drain?endpoint=b&timeout=5").status, 400);
}

TEST_F(ControlPlaneTest, TheAdminSocketIsForItsGroupOnly) {
  struct stat status {};
  ASSERT_EQ(stat((dir_.path() + "/control.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(ControlPlaneTest, DrainAndUndrainGoThroughTheSource) {
  const auto answer = boost::json::parse(Ask("POST", "/drain?endpoint=b&timeout=10ms").body);
  EXPECT_EQ(answer.at("endpoint").as_string(), "n/b");
  EXPECT_TRUE(catalog_.Instances("web")[1].draining);
  EXPECT_EQ(Ask("POST", "/undrain?endpoint=b").status, 200);
  EXPECT_FALSE(catalog_.Instances("web")[1].draining);
}

}  // namespace
}  // namespace ringway::cp
