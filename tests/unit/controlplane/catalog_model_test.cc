// The catalog's index rules: which write moves which view, and whose watch it touches (consul.md
// section 1).
#include <gtest/gtest.h>

#include <algorithm>

#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/fold.h"
#include "controlplane/catalog/go_duration.h"

namespace ringway::cp {
namespace {

using std::chrono::nanoseconds;

class CatalogModel : public testing::Test {
 protected:
  CatalogModel() {
    Node("host", "10.0.0.1");
    model_.TakeTouched();
  }
  bool Node(const std::string& name, const std::string& address) {
    Registration registration;
    registration.node.name = name;
    registration.node.address = address;
    return Do(std::move(registration));
  }
  bool Service(const std::string& name, int64_t port = 80, const std::string& node = "host") {
    Registration registration;
    registration.node.name = node;
    registration.skip_node_update = true;
    ServiceRecord& service = registration.service.emplace();
    service.id = service.name = name;
    service.port = port;
    return Do(std::move(registration));
  }
  bool Check(const std::string& id, const std::string& service, const std::string& status) {
    Registration registration;
    registration.node.name = "host";
    registration.skip_node_update = true;
    CheckRecord& check = registration.checks.emplace_back();
    check.id = check.name = id;
    check.service_id = service;
    check.status = status;
    return Do(std::move(registration));
  }
  bool Do(Registration registration) {
    std::string error;
    const bool changed = model_.Register(std::move(registration), &error);
    EXPECT_EQ(error, "");
    return changed;
  }
  // Runs `change`; would a reader blocked on this view have been woken and answered?
  template <typename Change>
  bool Wakes(View (Catalog::*view)(std::string_view) const, const std::string& name,
             Change change) {
    const View before = (model_.*view)(name);
    model_.TakeTouched();
    change();
    const auto touched = model_.TakeTouched();
    const bool touches = std::any_of(before.watch.begin(), before.watch.end(),
                                     [&](const std::string& key) { return touched.contains(key); });
    return touches && (model_.*view)(name).index > before.index;
  }
  Catalog model_;
};

TEST_F(CatalogModel, IdenticalRegistrationMovesNothing) {
  EXPECT_TRUE(Service("web"));
  const uint64_t index = model_.index();
  EXPECT_FALSE(Service("web"));
  EXPECT_FALSE(Node("host", "10.0.0.1"));
  EXPECT_EQ(model_.index(), index);
}

TEST_F(CatalogModel, AnotherServiceWakesNobodyElse) {
  Service("web");
  EXPECT_FALSE(Wakes(&Catalog::HealthServiceView, "web", [&] { Service("other"); }));
  EXPECT_FALSE(Wakes(&Catalog::HealthServiceView, "web", [&] { Check("c", "other", "critical"); }));
  EXPECT_FALSE(Wakes(&Catalog::CatalogServiceView, "web",
                     [&] { model_.DeregisterService("host", "other"); }));
}

TEST_F(CatalogModel, OwnCheckWakesHealthButNotCatalog) {
  Service("web");
  EXPECT_TRUE(Wakes(&Catalog::HealthServiceView, "web", [&] { Check("c", "web", "critical"); }));
  const uint64_t before = model_.CatalogServiceView("web").index;
  EXPECT_FALSE(Wakes(&Catalog::CatalogServiceView, "web", [&] { Check("c", "web", "passing"); }));
  EXPECT_GT(model_.CatalogServiceView("web").index, before);  // a fresh read shows it all the same
}

TEST_F(CatalogModel, NodeCheckWakesHealthOfEveryServiceOnIt) {
  Service("web");
  Service("api");
  EXPECT_TRUE(Wakes(&Catalog::HealthServiceView, "web", [&] { Check("n", "", "critical"); }));
  EXPECT_TRUE(Wakes(&Catalog::HealthServiceView, "api", [&] { Check("n", "", "passing"); }));
  EXPECT_FALSE(Wakes(&Catalog::CatalogServiceView, "api", [&] { Check("n", "", "warning"); }));
}

TEST_F(CatalogModel, NodeAddressWakesBothAndIsANewGeneration) {
  Service("web");
  const uint64_t generation = model_.InstancesOf("web")[0].second->generation;
  EXPECT_TRUE(Wakes(&Catalog::CatalogServiceView, "web", [&] { Node("host", "10.0.0.2"); }));
  EXPECT_TRUE(Wakes(&Catalog::HealthServiceView, "web", [&] { Node("host", "10.0.0.3"); }));
  EXPECT_GT(model_.InstancesOf("web")[0].second->generation, generation);
}

TEST_F(CatalogModel, AbsentServiceBeforeAnyExtinctionWakesForEveryRegistration) {
  EXPECT_TRUE(Wakes(&Catalog::HealthServiceView, "none", [&] { Service("web"); }));
  EXPECT_TRUE(Wakes(&Catalog::CatalogServiceView, "none", [&] { Service("api"); }));
}

TEST_F(CatalogModel, AbsentServiceAfterAnExtinctionWakesForExtinctionsAndItself) {
  Service("web");
  model_.DeregisterService("host", "web");
  EXPECT_FALSE(Wakes(&Catalog::HealthServiceView, "none", [&] { Service("web"); }));
  EXPECT_TRUE(
      Wakes(&Catalog::HealthServiceView, "none", [&] { model_.DeregisterService("host", "web"); }));
  EXPECT_TRUE(Wakes(&Catalog::HealthServiceView, "none", [&] { Service("none"); }));
}

TEST_F(CatalogModel, LastInstanceLeavesAHigherIndexBehind) {
  Service("web");
  for (auto view : {&Catalog::HealthServiceView, &Catalog::CatalogServiceView}) {
    Service("web");
    EXPECT_TRUE(Wakes(view, "web", [&] { model_.DeregisterService("host", "web"); }));
    EXPECT_TRUE(model_.InstancesOf("web").empty());
  }
}

TEST_F(CatalogModel, RenamedServiceIsAnExtinctionOfTheOldName) {
  Service("web");
  Service("other");
  model_.DeregisterService("host", "other");
  EXPECT_TRUE(Wakes(&Catalog::HealthServiceView, "web", [&] {
    Registration registration;
    registration.node.name = "host";
    registration.skip_node_update = true;
    ServiceRecord& service = registration.service.emplace();
    service.id = "web";
    service.name = "renamed";
    Do(std::move(registration));
  }));
}

TEST_F(CatalogModel, ServicesViewFollowsServicesAndNotChecks) {
  Service("web");
  const uint64_t before = model_.ServicesView().index;
  Check("c", "web", "critical");
  EXPECT_EQ(model_.ServicesView().index, before);
  Service("web", 81);
  EXPECT_GT(model_.ServicesView().index, before);
}

TEST_F(CatalogModel, StateViewWakesForItsOwnStateOnly) {
  Service("web");
  Check("c", "web", "passing");
  EXPECT_FALSE(Wakes(&Catalog::StateView, "critical", [&] { Check("c", "web", "warning"); }));
  EXPECT_TRUE(Wakes(&Catalog::StateView, "critical", [&] { Check("c", "web", "critical"); }));
  EXPECT_TRUE(Wakes(&Catalog::StateView, "critical", [&] { Check("c", "web", "passing"); }));
  EXPECT_TRUE(Wakes(&Catalog::StateView, "any", [&] { Check("c", "web", "warning"); }));
}

TEST_F(CatalogModel, GenerationChangesWithPortAndAddressAndRebirthOnly) {
  const auto generation = [&] { return model_.InstancesOf("web")[0].second->generation; };
  Service("web");
  const uint64_t first = generation();
  Check("c", "web", "critical");
  EXPECT_EQ(generation(), first);
  Service("web", 81);
  const uint64_t second = generation();
  EXPECT_GT(second, first);
  model_.DeregisterService("host", "web");
  Service("web", 81);
  EXPECT_GT(generation(), second);
}

TEST_F(CatalogModel, RefusesACheckOfAnUnknownServiceWhole) {
  Registration registration;
  registration.node.name = "new";
  registration.checks.emplace_back().id = "c";
  registration.checks[0].service_id = "none";
  std::string error;
  EXPECT_FALSE(model_.Register(std::move(registration), &error));
  EXPECT_EQ(error, "Missing service registration");
  EXPECT_EQ(model_.FindNode("new"), nullptr);
}

TEST_F(CatalogModel, NodeTakesItsServicesAndChecksAlong) {
  Service("web");
  Check("c", "web", "critical");
  Check("n", "", "passing");
  EXPECT_TRUE(model_.DeregisterNode("HOST"));
  EXPECT_TRUE(model_.InstancesOf("web").empty());
  EXPECT_TRUE(model_.nodes().empty());
  EXPECT_FALSE(model_.DeregisterNode("host"));
}

TEST(Fold, LowersAllOfUnicodeAndLeavesBrokenBytesAlone) {
  EXPECT_EQ(Fold("Web-ÉTÉ-Ω"), "web-été-ω");
  EXPECT_EQ(Fold("A\xFF\xC3"), "a\xFF\xC3");
}

TEST(GoDuration, ReadsWhatGoReads) {
  EXPECT_EQ(ParseGoDuration("300ms"), nanoseconds(300'000'000));
  EXPECT_EQ(ParseGoDuration("1s200ms"), nanoseconds(1'200'000'000));
  EXPECT_EQ(ParseGoDuration("0.01m"), nanoseconds(600'000'000));
  EXPECT_EQ(ParseGoDuration("-1.5h"), nanoseconds(-5'400'000'000'000));
  EXPECT_EQ(ParseGoDuration("0"), nanoseconds(0));
  for (const char* wrong : {"", "5", "s", ".s", "1x", "1 s", "--1s", "9999999h"})
    EXPECT_FALSE(ParseGoDuration(wrong)) << wrong;
}

}  // namespace
}  // namespace ringway::cp
