// Consul's definition files: the demo's, the documented forms, and that nothing is dropped in silence.
#include "sidecar/register/definition.h"

#include <gmock/gmock.h>

namespace ringway::sidecar {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using Kind = CheckDefinition::Kind;

absl::StatusOr<Definitions> Read(std::string_view text) {
  DefinitionReader reader;
  const absl::Status added = reader.Add("web.json", text);
  if (!added.ok()) return added;
  return reader.Finish();
}

std::string ErrorOf(std::string_view text) {
  absl::StatusOr<Definitions> read = Read(text);
  return read.ok() ? "accepted" : std::string(read.status().message());
}

TEST(Definition, TheDemosFileWorksUnchanged) {
  absl::StatusOr<Definitions> read = Read(R"({"service": {"name": "web", "port": 80, "tags": ["apache"],
      "check": {"script": "curl localhost >/dev/null 2>&1", "interval": "10s"}}, "leave_on_terminate": true})");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->services.size(), 1u);
  EXPECT_EQ(read->services[0].name, "web");
  EXPECT_EQ(read->services[0].port, 80);
  EXPECT_THAT(read->services[0].tags, ElementsAre("apache"));
  EXPECT_THAT(read->services[0].checks[0].args, ElementsAre("/bin/sh", "-c", "curl localhost >/dev/null 2>&1"));
  EXPECT_TRUE(read->leave_on_terminate);
  EXPECT_THAT(read->warnings, IsEmpty());
}

TEST(Definition, ReadsEveryFieldItHonours) {
  absl::StatusOr<Definitions> read = Read(R"({"services": [{"id": "w1", "name": "web", "port": 8080, "address": "10.0.0.9",
      "meta": {"v": "2"}, "weights": {"passing": 5, "warning": 2}, "enable_tag_override": true, "token": "t",
      "checks": [
        {"id": "h", "name": "up", "http": "http://localhost/", "method": "HEAD", "header": {"Host": ["a.b"]},
         "interval": "2s", "timeout": "1s", "success_before_passing": 3, "DeregisterCriticalServiceAfter": "2m"},
        {"tcp": "localhost:8080", "status": "passing", "notes": "n"},
        {"args": ["/bin/check", "-x"], "timeout": 5000000000},
        {"ttl": "30s"}]}]})");
  ASSERT_TRUE(read.ok()) << read.status();
  const ServiceDefinition& web = read->services[0];
  EXPECT_EQ(web.id, "w1");
  EXPECT_EQ(web.address, "10.0.0.9");
  EXPECT_THAT(web.meta, ElementsAre(Pair("v", "2")));
  EXPECT_EQ(*web.weights, std::make_pair(5, 2));
  EXPECT_TRUE(web.enable_tag_override);
  EXPECT_EQ(web.token, "t");
  ASSERT_EQ(web.checks.size(), 4u);
  EXPECT_EQ(web.checks[0].kind, Kind::kHttp);
  EXPECT_EQ(web.checks[0].method, "HEAD");
  EXPECT_THAT(web.checks[0].headers, ElementsAre(Pair("Host", "a.b")));
  EXPECT_EQ(web.checks[0].interval.count(), 2000);
  EXPECT_EQ(web.checks[0].success_before_passing, 3);
  EXPECT_EQ(web.checks[0].deregister_after->count(), 120000);
  EXPECT_EQ(web.checks[1].initial_status, CheckStatus::kPassing);
  EXPECT_EQ(web.checks[2].kind, Kind::kScript);
  EXPECT_EQ(web.checks[2].timeout.count(), 5000);
  EXPECT_EQ(web.checks[3].kind, Kind::kTtl);
  EXPECT_THAT(read->warnings, IsEmpty());
}

TEST(Definition, EveryFieldItDoesNotHonourIsNamed) {
  absl::StatusOr<Definitions> read = Read(R"({"retry_join": ["c"], "service": {"name": "web", "kind": "connect-proxy",
      "check": {"http": "https://localhost/x", "tls_skip_verify": true}, "checks": [{"grpc": "a:1"}]}})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->warnings, Contains(HasSubstr("web.json: retry_join: not honoured")));
  EXPECT_THAT(read->warnings, Contains("web.json: service.kind: not honoured"));
  EXPECT_THAT(read->warnings, Contains(HasSubstr("web.json: service.check.http: https is not spoken here")));
  EXPECT_THAT(read->warnings, Contains("web.json: service.check.tls_skip_verify: not honoured"));
  EXPECT_THAT(read->warnings, Contains(HasSubstr("web.json: service.checks[0]: no http, tcp")));
  ASSERT_EQ(read->services[0].checks.size(), 1u);
  EXPECT_EQ(read->services[0].checks[0].target, "localhost:443");
}

TEST(Definition, TopLevelChecksBelongToTheirServiceOrToAll) {
  absl::StatusOr<Definitions> read = Read(R"({"services": [{"name": "a"}, {"name": "b"}],
      "check": {"tcp": "x:1"}, "checks": [{"tcp": "y:1", "service_id": "b"}, {"tcp": "z:1", "service_id": "none"}]})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->services[0].checks.size(), 1u);
  EXPECT_EQ(read->services[1].checks.size(), 2u);
  EXPECT_THAT(read->warnings, ElementsAre(HasSubstr("web.json: checks[1]: belongs to no service")));
}

TEST(Definition, BrokenJsonNamesLineAndColumn) {
  EXPECT_EQ(ErrorOf("{\"service\":\n  {\"name\": }}").substr(0, 33), "web.json:2:12: not valid JSON: sy");
  EXPECT_THAT(ErrorOf("{} {}"), HasSubstr("web.json:1:4: not valid JSON"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("web.json:1:1: not valid JSON"));
}

TEST(Definition, WrongTypesNameThePath) {
  EXPECT_EQ(ErrorOf(R"({"service": {"name": "web", "port": "80"}})"),
            "web.json: service.port: wanted a number from 0 to 65535");
  EXPECT_EQ(ErrorOf(R"({"service": {"port": 80}})"), "web.json: service.name: wanted the service's name");
  EXPECT_EQ(ErrorOf(R"({"services": {"name": "web"}})"), "web.json: services: wanted a list");
  EXPECT_EQ(ErrorOf(R"({"service": {"name": "w", "check": {"tcp": "a:1", "interval": "5"}}})"),
            "web.json: service.check.interval: wanted a duration such as \"10s\", got \"5\"");
  EXPECT_EQ(ErrorOf(R"({"service": {"name": "w", "weights": {"passing": 0}}})"),
            "web.json: service.weights: wanted passing 1..65535 and warning 0..65535");
  EXPECT_EQ(ErrorOf("[]"), "web.json: : wanted an object");
  EXPECT_THAT(ErrorOf(R"({"services": [{"name": "a"}, {"name": "a"}]})"), HasSubstr("\"a\" is defined twice"));
}

TEST(Definition, HclIsRefused) {
  EXPECT_THAT(std::string(ReadDefinitions({}, {"web.hcl"}).status().message()), HasSubstr("web.hcl: HCL is not read"));
}

}  // namespace
}  // namespace ringway::sidecar
