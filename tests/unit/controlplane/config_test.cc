// ringway.json: what a good file gives, and what each wrong one is told.
#include "controlplane/config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "controlplane/config/default_config.h"

namespace ringway::cp {
namespace {

using testing::HasSubstr;

Loaded Good(std::string_view text) {
  auto loaded = ParseConfig(text, "f.json", "");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? *loaded : Loaded{};
}

std::string Errors(std::string_view text) {
  const auto loaded = ParseConfig(text, "f.json", "");
  EXPECT_FALSE(loaded.ok());
  return std::string(loaded.status().message());
}

constexpr char kDesignExample[] = R"({ // ringway.json: all a first user needs
  "catalog":   { "type": "embedded", "listen": "0.0.0.0:8500", "data_dir": "/var/lib/ringway" },
  // or        { "type": "consul", "address": "http://consul:8500" }
  "listeners": [
    { "name": "web",   "bind": "0.0.0.0:80",   "protocol": "http", "routes": [ { "service": "web" } ] },
    { "name": "mysql", "bind": "0.0.0.0:3306", "protocol": "tcp",  "service": "mysql" } ],
  "services":  { "web": { "balance": "round_robin",
                          "health_check": { "method": "HEAD", "path": "/", "host": "localhost", "interval": "2s", "rise": 2, "fall": 3 } } },
  "stats":     { "bind": "0.0.0.0:9000", "user": "admin", "password": "admin" } }
)";

TEST(Config, ReadsTheExampleOfTheDesign) {
  const Loaded loaded = Good(kDesignExample);
  const Config& config = loaded.config;
  ASSERT_EQ(config.listeners.size(), 2u);
  EXPECT_EQ(config.listeners[0].name, "mysql");
  EXPECT_EQ(config.listeners[0].protocol, api::Protocol::kTcp);
  EXPECT_EQ(config.listeners[0].routes, (std::vector<api::Route>{{"", "", "mysql"}}));
  EXPECT_EQ(config.listeners[1].bind, "0.0.0.0:80");
  EXPECT_EQ(config.services.at("web").health_check, HealthCheck{});
  EXPECT_EQ(config.services.at("mysql").health_check, std::nullopt);
  EXPECT_EQ(config.services.at("mysql").settings.name, "mysql");
  EXPECT_TRUE(loaded.warnings.empty());
}

TEST(Config, WithNoFileOneServiceWorks) {
  const auto loaded = ParseConfig(kDefaultConfig, std::string(kDefaultConfigName), "");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.catalog, CatalogConfig{});
  ASSERT_EQ(loaded->config.listeners.size(), 1u);
  EXPECT_EQ(loaded->config.listeners[0].bind, "0.0.0.0:80");
  EXPECT_EQ(loaded->config.listeners[0].routes[0].service, "web");
  EXPECT_EQ(loaded->config.stats.bind, "0.0.0.0:9000");
  EXPECT_EQ(loaded->config.services.at("web").health_check->type, HealthCheck::Type::kTcp);
}

TEST(Config, TheEnvironmentNamesACatalogOnlyWhereTheFileDoesNot) {
  const auto named = ParseConfig(kDefaultConfig, "f.json", "http://a:8500,https://b:8501");
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->config.catalog.type, CatalogConfig::Type::kConsul);
  EXPECT_EQ(named->config.catalog.consul.addresses, (std::vector<std::string>{"http://a:8500", "https://b:8501"}));
  EXPECT_EQ(ParseConfig(kDesignExample, "f.json", "http://consul:8500")->config.catalog, CatalogConfig{});
  EXPECT_EQ(ParseConfig(kDefaultConfig, "f.json", "embedded")->config.catalog, CatalogConfig{});
  const auto refused = ParseConfig(kDefaultConfig, "f.json", "consul:8500");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("RINGWAY_CATALOG: wanted \"embedded\", or a URL like \"http://consul:8500\""));
}

TEST(Config, ReadsEverythingAnOperatorMaySet) {
  const Config config = Good(R"({
    "listeners": [ { "name": "w", "bind": "[::]:80", "head_timeout": "5s", "client_idle": "30s", "head_bytes_max": 8192, "target_bytes_max": 4096,
        "trusted_proxies": ["10.0.0.0/8", "::1"], "routes": [ { "host": "Example.ORG", "path": "/api/", "service": "api" }, { "path": "/", "service": "web" } ] } ],
    "services": {
      "api": { "balance": "least_requests", "retries_max": 0, "upstreams_idle_max": 0, "retry_after": "3s",
        "timeouts": { "connect": "1s", "response": "2s", "idle": "3s", "tunnel": "4s", "upstream_idle": "1500ms" },
        "health_check": { "type": "tcp", "port": 81, "interval": "5s", "timeout": "1s", "rise": 1, "fall": 1 } },
      "web": { "balance": "random_of_two", "endpoints": [ "10.0.0.5:80", { "address": "[fd00::1]:8080", "weight": 3 } ],
        "health_check": { "method": "GET", "path": "/ok", "host": "a", "expect_status": "2xx, 301,400-404" } } },
    "limits": { "sessions_max": 1000 }, "shutdown_timeout": "1m", "run_dir": "/tmp/x", })").config;
  const api::Listener& listener = config.listeners[0];
  EXPECT_EQ(listener.head_timeout_ms, 5000u);
  EXPECT_EQ(listener.client_idle_ms, 30000u);
  EXPECT_EQ(listener.head_bytes_max, 8192u);
  EXPECT_EQ(listener.target_bytes_max, 4096u);
  EXPECT_EQ(listener.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "::1"}));
  EXPECT_EQ(listener.routes, (std::vector<api::Route>{{"example.org", "/api", "api"}, {"", "", "web"}}));
  const ServiceConfig& api = config.services.at("api");
  EXPECT_EQ(api.settings.balance, api::Balance::kLeastRequests);
  EXPECT_EQ(api.settings.timeouts, (api::Timeouts{1000, 2000, 3000, 4000, 1500}));
  EXPECT_EQ(api.settings.retries_max, 0u);
  EXPECT_EQ(api.settings.retry_after_s, 3u);
  EXPECT_EQ(api.health_check->port, 81);
  const ServiceConfig& web = config.services.at("web");
  EXPECT_EQ(web.endpoints, (std::vector<StaticEndpoint>{{"10.0.0.5", 80, 1}, {"fd00::1", 8080, 3}}));
  EXPECT_EQ(web.health_check->expect_status, (std::vector<StatusRange>{{200, 299}, {301, 301}, {400, 404}}));
  EXPECT_EQ(config.sessions_max, 1000u);
  EXPECT_EQ(config.shutdown_timeout_ms, 60000u);
  EXPECT_EQ(config.run_dir, "/tmp/x");
}

TEST(Config, ReadsWhatAServiceDoesInBadTimes) {
  const Config config = Good(R"({
    "listeners": [ { "name": "w", "bind": "0.0.0.0:80", "service": "web" }, { "name": "b", "bind": "0.0.0.0:81", "service": "bare" } ],
    "services": {
      "web": { "passive_health": { "failures": 5, "responses_5xx": 7, "eject_time": "1s", "eject_time_max": "1m" },
        "retry_budget": { "percent": 10, "per_second_min": 3 }, "ejected_percent_max": 30, "slow_start": "20s",
        "endpoint_limit": { "in_flight_max": 150, "queue_max": 20, "queue_timeout": "3s" },
        "hold": { "timeout": "10s", "requests_max": 99 }, "empty_hold": "0s", "flap_hold_max": "5m" },
      "bare": { "passive_health": false } },
    "handover_timeout": "48h" })").config;
  const ServiceConfig& web = config.services.at("web");
  EXPECT_EQ(web.settings.passive_health, (api::PassiveHealth{5, 7, 1000, 60000}));
  EXPECT_EQ(web.settings.retry_budget, (api::RetryBudget{10, 3}));
  EXPECT_EQ(web.settings.ejected_percent_max, 30u);
  EXPECT_EQ(web.settings.slow_start_ms, 20000u);
  EXPECT_EQ(web.settings.endpoint_limit, (api::EndpointLimit{150, 20, 3000}));
  EXPECT_EQ(web.settings.hold, (api::Hold{10000, 99}));
  EXPECT_EQ(web.empty_hold_ms, 0u);
  EXPECT_EQ(web.flap_hold_max_ms, 300000u);
  const ServiceConfig& bare = config.services.at("bare");
  EXPECT_EQ(bare.settings.passive_health.failures_max, 0u);
  EXPECT_EQ(bare.settings.passive_health.responses_5xx_max, 0u);
  EXPECT_EQ(bare.settings.retry_budget, api::RetryBudget{});
  EXPECT_EQ(config.handover_timeout_ms, 48u * 3600 * 1000);
}

TEST(Config, ReadsTheAccessLog) {
  const Config config = Good(R"({ "access_log": { "path": "/var/log/ringway/access.log", "format": "combined" },
    "listeners": [ { "name": "a", "bind": "0.0.0.0:80", "service": "web", "access_log": true }, { "name": "b", "bind": "0.0.0.0:81", "service": "web" } ] })").config;
  EXPECT_EQ(config.access_log, (api::AccessLog{"/var/log/ringway/access.log", api::AccessFormat::kCombined}));
  EXPECT_TRUE(config.listeners[0].access_log);
  EXPECT_FALSE(config.listeners[1].access_log);
  EXPECT_EQ(Good("{" R"("listeners": [ { "name": "a", "bind": "0.0.0.0:80", "service": "web", "access_log": true } ] })").config.access_log, api::AccessLog{});
  const auto unused = Good(R"({ "access_log": {}, "listeners": [ { "name": "a", "bind": "0.0.0.0:80", "service": "web" } ] })");
  EXPECT_THAT(unused.warnings, testing::ElementsAre(HasSubstr("no listener has \"access_log\": true")));
}

TEST(Config, ReadsAConsul) {
  const Config config = Good(R"({
    "catalog": { "type": "consul", "address": ["https://a:8501", "https://10.0.0.2:8501/base"], "token_file": "/run/token", "datacenter": "dc2",
      "stale": false, "wait": "30s", "resync": "1m", "data_dir": "/d",
      "tls": { "ca_file": "/ca", "cert_file": "/cert", "key_file": "/key", "server_name": "server.dc2.consul", "verify": false } },
    "listeners": [ { "name": "w", "bind": "0.0.0.0:8500", "service": "web" } ] })").config;
  EXPECT_EQ(config.catalog.type, CatalogConfig::Type::kConsul);
  EXPECT_EQ(config.catalog.data_dir, "/d");
  EXPECT_EQ(config.catalog.consul, (ConsulConfig{{"https://a:8501", "https://10.0.0.2:8501/base"}, "", "/run/token", "dc2", false, 30000, 60000,
                                                 "/ca", "/cert", "/key", "server.dc2.consul", false}));
  EXPECT_EQ(CatalogName(config.catalog), "consul https://a:8501, https://10.0.0.2:8501/base");
}

TEST(Config, ReadsTheLease) {
  const Config config = Good(R"({ "catalog": { "lease": { "timeout": "1s", "deregister_after": "1m" } },
    "listeners": [ { "name": "w", "bind": "0.0.0.0:80", "service": "web" } ] })").config;
  EXPECT_EQ(config.catalog.lease, (LeaseConfig{1000, 60000}));
}

TEST(Config, AnEjectTimeAboveTheDefaultMaximumRaisesIt) {
  const Config config = Good(R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}],
    "services": {"web": {"passive_health": {"eject_time": "10m"}}}})").config;
  EXPECT_EQ(config.services.at("web").settings.passive_health.eject_max_ms, 600000u);
}

TEST(Config, AHealthCheckCanBeTurnedOff) {
  const Config config = Good(R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}], "services": {"web": {"health_check": false}}})").config;
  EXPECT_EQ(config.services.at("web").health_check, std::nullopt);
}

TEST(Config, AServiceNoListenerNamesIsAWarning) {
  const Loaded loaded = Good("{\"listeners\": [{\"name\": \"w\", \"bind\": \"0.0.0.0:80\", \"service\": \"web\"}],\n \"services\": {\"wbe\": {}}}");
  EXPECT_THAT(loaded.warnings, testing::ElementsAre("f.json:2:15 services.wbe: no listener routes to this service"));
}

TEST(Config, ShowsEveryErrorAtOnceInTheOrderOfTheFile) {
  const std::string errors = Errors(R"({
  "listners": [],
  "listeners": [
    { "name": "a", "bind": "0.0.0.0:80", "service": "web", "head_timeout": 5 },
    { "name": "a", "bind": "127.0.0.1:80", "routes": [] } ],
  "stats": { "bind": "0.0.0.0:8500" } })");
  EXPECT_EQ(errors,
            "f.json:2:3 listners: unknown key \"listners\"; did you mean \"listeners\"?\n"
            "f.json:4:76 listeners[0].head_timeout: wanted a duration with its unit in quotes, got the number 5; write \"5s\" for seconds or \"5ms\" for milliseconds\n"
            "f.json:5:15 listeners[1].name: \"a\" is the name of listeners[0] too; wanted a name of its own\n"
            "f.json:5:28 listeners[1].bind: \"127.0.0.1:80\" clashes with listeners[0].bind \"0.0.0.0:80\"; wanted a port of its own\n"
            "f.json:5:54 listeners[1].routes: a listener that leads nowhere; wanted at least one route\n"
            "f.json:6:22 stats.bind: \"0.0.0.0:8500\" clashes with catalog.listen \"0.0.0.0:8500\"; wanted a port of its own");
}

struct Wrong {
  std::string text;
  const char* message;
};
class WrongConfig : public testing::TestWithParam<Wrong> {};

TEST_P(WrongConfig, IsToldWhereAndWhatWasWanted) { EXPECT_THAT(Errors(GetParam().text), HasSubstr(GetParam().message)); }

#define LISTENER "\"listeners\": [{\"name\": \"w\", \"bind\": \"0.0.0.0:80\", \"service\": \"web\"}]"
INSTANTIATE_TEST_SUITE_P(
    Syntax, WrongConfig,
    testing::Values(Wrong{"{\n \"listeners\" [] }", "f.json:2:14 listeners: wanted ':' after the key"},
                    Wrong{"{ \"limits\": { \"sessions_max\": 1x } }", "f.json:1:32 (file): wanted JSON"},
                    Wrong{"{ \"stats\": { \"user\": \"\xff\" } }", "f.json:1:23 (file): wanted UTF-8 text, got another byte here"},
                    Wrong{"\xff\xfe{", "f.json:1:1 (file): wanted UTF-8 text, this file is UTF-16"},
                    Wrong{std::string("{ \"stats\":\n ") + '\0' + " }", "f.json:2:2 (file): wanted UTF-8 text, got a zero byte"},
                    Wrong{"[]", "f.json:1:1 (file): wanted an object, got an array"}, Wrong{"{}", "listeners: wanted at least one listener"},
                    Wrong{"{ " LISTENER ", \"access_log\": {\"path\": \"access.log\"} }", "access_log.path: wanted \"stdout\" or the absolute path of a file, got \"access.log\""},
                    Wrong{"{ " LISTENER ", \"access_log\": {\"format\": \"clf\"} }", "access_log.format: wanted"},
                    Wrong{"{ " LISTENER ", \"access_log\": true }", "access_log: wanted an object"},
                    Wrong{"{ \"stats\": {}, \"stats\": {} }", "f.json:1:16 stats: wanted a key only once"}));
INSTANTIATE_TEST_SUITE_P(
    Listeners, WrongConfig,
    testing::Values(Wrong{R"({"listeners": [5]})", "f.json:1:16 listeners[0]: wanted an object, got the number 5"},
                    Wrong{R"({"listeners": [{"bind": "0.0.0.0:80", "service": "w"}]})", "listeners[0]: wanted a \"name\""},
                    Wrong{R"({"listeners": [{"name": "w", "service": "w"}]})", "listeners[0]: wanted a \"bind\""},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "80", "service": "w"}]})", "f.json:1:38 listeners[0].bind: wanted \"ADDRESS:PORT\""},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "localhost:80", "service": "w"}]})", "got \"localhost:80\""},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:70000", "service": "w"}]})", "a port from 1 to 65535"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "protocol": "htp", "service": "w"}]})",
                          "protocol: wanted \"http\", \"tcp\" or \"udp\", got \"htp\"; did you mean \"http\"?"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80"}]})", "leads nowhere"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "protocol": "tcp", "routes": [{"service": "a"}]}]})",
                          "a tcp or udp listener has no routes"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "routes": [{"path": "/x"}]}]})", "routes[0]: wanted a \"service\""},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "routes": [{"service": ""}]}]})", "wanted the name of a service"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "routes": [{"service": "a"}, {"service": "b"}]}]})",
                          "routes[1]: the same host and path as listeners[0].routes[0]"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "w", "head_bytes_max": 99999}]})",
                          "wanted an integer from 1024 to 16384, got the number 99999"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "w", "trusted_proxies": ["10.0.0.0/33"]}]})",
                          "trusted_proxies[0]: wanted an address or network"},
                    Wrong{R"({"listeners": [{"name": "w", "bind": "0.0.0.0:8500", "service": "w"}]})", "clashes with"}));
INSTANTIATE_TEST_SUITE_P(
    Services, WrongConfig,
    testing::Values(Wrong{"{" LISTENER R"(, "services": {"web": {"balanc": "x"}}})", "unknown key \"balanc\"; did you mean \"balance\"?"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"zzz": 1}}})", "unknown key \"zzz\"; wanted one of balance, timeouts, retries_max"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"timeouts": {"connect": "0s"}}}})", "services.web.timeouts.connect: wanted a duration from 10ms to 24h, got \"0s\""},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"retries_max": -1}}})", "wanted an integer from 0 to 16, got the number -1"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"retries_max": 1.5}}})", "wanted an integer"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"endpoints": ["web:80"]}}})", "services.web.endpoints[0]: wanted \"ADDRESS:PORT\""},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"endpoints": ["10.0.0.1:80", "10.0.0.1:80"]}}})", "given twice"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"endpoints": [{"weight": 2}]}}})", "wanted an \"address\""},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"health_check": {"interval": "1s", "timeout": "2s"}}}})", "no more than the interval"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"health_check": {"expect_status": "2xx,abc"}}}})", "wanted statuses like"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"health_check": {"method": "get"}}}})", "HTTP method in capitals"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"health_check": {"path": "/a b"}}}})", "wanted a path"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"health_check": {"type": "tcp", "path": "/"}}}})", "only an http check has this"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"health_check": true}}})", "health_check: wanted an object, got true"}));
INSTANTIATE_TEST_SUITE_P(
    Rest, WrongConfig,
    testing::Values(Wrong{"{" LISTENER R"(, "handover_timeout": "1000h"})", "handover_timeout: wanted at most 576h"},
                    Wrong{"{" LISTENER R"(, "stats": {"user": "a:b"}})", "without ':'"},
                    Wrong{"{" LISTENER R"(, "stats": {"bind": 9000}})", "stats.bind: wanted a string, got the number 9000"},
                    Wrong{"{" LISTENER R"(, "limits": {"sessions_max": 0}})", "limits.sessions_max: wanted an integer from 1"},
                    Wrong{"{" LISTENER R"(, "shutdown_timeout": "1d"})", "wanted a duration like"}));

INSTANTIATE_TEST_SUITE_P(
    Resilience, WrongConfig,
    testing::Values(Wrong{"{" LISTENER R"(, "services": {"web": {"passive_health": true}}})", "services.web.passive_health: wanted an object, got true"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"passive_health": {"failures": 0}}}})", "passive_health.failures: wanted an integer from 1 to 1000"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"passive_health": {"eject_time": "5s", "eject_time_max": "1s"}}}})",
                          "eject_time_max: wanted at least eject_time"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"retry_budget": {"percent": 101}}}})", "retry_budget.percent: wanted an integer from 0 to 100"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"ejected_percent_max": 101}}})", "wanted an integer from 0 to 100"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"slow_start": 5}}})", "services.web.slow_start: wanted a duration with its unit"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"endpoint_limit": {"queue_max": 5}}}})", "a queue without a limit never fills"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"endpoint_limit": {"in_flight_max": 5, "queue_timeout": "0s"}}}})",
                          "queue_timeout: wanted a duration from 10ms to 1h"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"hold": {"timeout": "2h"}}}})", "hold.timeout: wanted a duration from 0s to 1h"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"hold": {"request_max": 1}}}})", "did you mean \"requests_max\"?"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"empty_hold": false}}})", "services.web.empty_hold: wanted a duration like"},
                    Wrong{"{" LISTENER R"(, "services": {"web": {"flap_hold_max": "25h"}}})", "flap_hold_max: wanted a duration from 0s to 24h"}));
#define CONSUL(more) "{" LISTENER ", \"catalog\": {\"type\": \"consul\"" more "}}"
#define AT_HTTP ", \"address\": \"http://c:8500\""
INSTANTIATE_TEST_SUITE_P(
    Catalog, WrongConfig,
    testing::Values(Wrong{CONSUL(""), "catalog: wanted the \"address\" of a Consul"},
                    Wrong{CONSUL(R"(, "address": "consul")"), "catalog.address: wanted a URL like \"http://consul:8500\" or \"https://consul:8501\", got \"consul\""},
                    Wrong{CONSUL(R"(, "address": [])"), "catalog.address: wanted at least one address"},
                    Wrong{CONSUL(R"(, "address": ["http://c:8500", 5])"), "catalog.address[1]: wanted a URL"},
                    Wrong{CONSUL(R"(, "address": ["http://c:8500", "http://c:8500"])"), "given twice"},
                    Wrong{CONSUL(AT_HTTP R"(, "namespace": "team")"), "catalog.namespace: namespaces are a feature of Consul Enterprise and not supported"},
                    Wrong{CONSUL(AT_HTTP R"(, "listen": "0.0.0.0:1")"), "catalog.listen: only the embedded catalog has this"},
                    Wrong{CONSUL(AT_HTTP R"(, "lease": {})"), "catalog.lease: only the embedded catalog has this"},
                    Wrong{CONSUL(AT_HTTP R"(, "token": "a", "token_file": "/t")"), "catalog.token_file: wanted either \"token\" or \"token_file\", got both"},
                    Wrong{CONSUL(AT_HTTP R"(, "token": "a b")"), "catalog.token: wanted an ACL token without blanks"},
                    Wrong{CONSUL(AT_HTTP R"(, "token_file": "t")"), "catalog.token_file: wanted an absolute path"},
                    Wrong{CONSUL(AT_HTTP R"(, "stale": "yes")"), "catalog.stale: wanted true or false, got \"yes\""},
                    Wrong{CONSUL(AT_HTTP R"(, "wait": "11m")"), "catalog.wait: wanted a duration from 1s to 10m"},
                    Wrong{CONSUL(AT_HTTP R"(, "tls": {})"), "catalog.tls: \"http://c:8500\" does not use TLS"},
                    Wrong{CONSUL(R"(, "address": "https://c:8501", "tls": {"cert_file": "/c"})"), "wanted both \"cert_file\" and \"key_file\""},
                    Wrong{"{" LISTENER R"(, "catalog": {"address": "http://consul:8500"}})", "catalog.address: only a Consul has this; wanted \"type\": \"consul\""},
                    Wrong{"{" LISTENER R"(, "catalog": {"lease": {"timeout": "1ms"}}})", "catalog.lease.timeout: wanted a duration from 300ms to 10m"},
                    Wrong{"{" LISTENER R"(, "catalog": {"data_dir": "x"}})", "wanted an absolute path"}));

TEST(LoadConfig, AMissingFileIsNamed) {
  const auto loaded = LoadConfig("/nonexistent/ringway.json");
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("/nonexistent/ringway.json: wanted a config file"));
}

constexpr char kPacketExample[] = R"({
  "listeners": [
    { "name": "dns", "bind": "0.0.0.0:53", "protocol": "udp", "delivery": "packet", "service": "dns" },
    { "name": "dns-tcp", "bind": "0.0.0.0:53", "protocol": "tcp", "delivery": "packet", "fallback": "refuse", "service": "dns" },
    { "name": "local", "bind": "127.0.0.2:80", "delivery": "connect", "service": "web" } ],
  "packet": { "interfaces": [ "br-*", { "name": "eth0", "mode": "xdp" } ], "nat": "nat", "snat_addresses": [ "10.0.0.5" ],
              "snat_ports": "20000-30000", "on_dead": "silence", "on_stop": "keep", "flows_max": 5000,
              "timeouts": { "syn": "3s", "established": "1h", "udp": "9s" }, "pin_dir": "/sys/fs/bpf/rw" } })";

TEST(Config, ReadsPacketDelivery) {
  const Config config = Good(kPacketExample).config;
  ASSERT_EQ(config.listeners.size(), 3u);
  EXPECT_EQ(config.listeners[0].protocol, api::Protocol::kUdp);
  EXPECT_EQ(config.listeners[0].delivery, api::Delivery::kPacket);
  EXPECT_EQ(config.listeners[0].fallback, api::Fallback::kRefuse);
  EXPECT_EQ(config.listeners[1].fallback, api::Fallback::kRefuse);
  EXPECT_EQ(config.listeners[2].delivery, api::Delivery::kConnect);
  EXPECT_EQ(config.listeners[2].fallback, api::Fallback::kProxy);
  api::Packet wanted;
  wanted.interfaces = {{"br-*", api::PacketMode::kAuto}, {"eth0", api::PacketMode::kXdp}};
  wanted.snat_addresses = {"10.0.0.5"};
  wanted.snat_port_first = 20000;
  wanted.snat_port_last = 30000;
  wanted.on_dead = api::OnDead::kSilence;
  wanted.on_stop = api::OnStop::kKeep;
  wanted.flows_max = 5000;
  wanted.timeouts.syn_ms = 3000;
  wanted.timeouts.established_ms = 3600000;
  wanted.timeouts.udp_ms = 9000;
  wanted.pin_dir = "/sys/fs/bpf/rw";
  EXPECT_EQ(config.packet, wanted);
}

TEST(Config, TheDefaultsOfPacketDeliveryAreThoseOfTheFeed) {
  const Config config = Good(R"({"listeners": [{"name": "a", "bind": "0.0.0.0:1", "protocol": "tcp", "delivery": "packet", "service": "s"}], "packet": {}})").config;
  EXPECT_EQ(config.packet, api::Packet());
  EXPECT_EQ(config.listeners[0].fallback, api::Fallback::kProxy);
}

TEST(Config, RefusesWhatDoesNotGoWithPacketDelivery) {
  const std::string errors = Errors(R"({ "listeners": [
    { "name": "a", "bind": "0.0.0.0:1", "protocol": "udp", "service": "s" },
    { "name": "b", "bind": "0.0.0.0:2", "delivery": "packet", "service": "s" },
    { "name": "c", "bind": "0.0.0.0:3", "protocol": "tcp", "fallback": "proxy", "service": "s" },
    { "name": "d", "bind": "0.0.0.0:4", "protocol": "udp", "delivery": "packet", "fallback": "proxy", "service": "s" },
    { "name": "e", "bind": "0.0.0.0:4", "protocol": "udp", "delivery": "packet", "service": "s" } ],
  "packet": { "interfaces": [ "eth0", "eth0", "a/b", { "mode": "tc" }, { "name": "eth1", "mode": "fast" }, "eth0:1" ], "nat": "direct",
              "snat_ports": "30000-20000", "pin_dir": "ringway", "flows_max": 1, "timeouts": { "syn": "1ms" } } })");
  for (const char* wanted : {
           "f.json:2:53 listeners[0].protocol: the proxy does not carry udp; wanted \"delivery\": \"packet\" or \"connect\" beside it",
           "listeners[1].delivery: packets are delivered without reading HTTP; wanted \"protocol\": \"tcp\" beside it",
           "listeners[2].fallback: the proxy has nothing to fall back from",
           "listeners[3].fallback: the proxy does not carry udp; wanted \"refuse\"",
           "listeners[4].bind: \"0.0.0.0:4\" clashes with listeners[3].bind",
           "packet.interfaces[1]: \"eth0\" stands here twice",
           "packet.interfaces[2]: wanted the name of an interface like \"eth0\", or its beginning like \"br-*\", got \"a/b\"",
           "packet.interfaces[5]: wanted the name of an interface, which is \"eth0\" here; \"eth0:1\" is the label of an address at it",
           "packet.interfaces[3]: wanted the \"name\" of an interface",
           "packet.interfaces[4].mode: wanted",
           "packet.snat_ports: endpoints see the client's own address; wanted \"nat\": \"nat\", or this key gone",
           "packet.snat_ports: wanted ports from 1024 to 65535 like \"10240-32767\", got \"30000-20000\"",
           "packet.pin_dir: wanted an absolute path on a bpf file system, got \"ringway\"",
           "packet.flows_max: wanted",
           "packet.timeouts.syn: wanted"}) {
    EXPECT_THAT(errors, HasSubstr(wanted));
  }
}

TEST(Config, ReadsConnectDelivery) {
  const Config config = Good(R"({"listeners": [{"name": "a", "bind": "10.0.0.1:1", "protocol": "tcp", "delivery": "connect", "fallback": "refuse", "service": "s"}],
    "connect": {"cgroups": ["/sys/fs/cgroup/a"], "on_stop": "keep", "pin_dir": "/sys/fs/bpf/x"}, "steering": "least_sessions"})").config;
  EXPECT_EQ(config.listeners[0].delivery, api::Delivery::kConnect);
  EXPECT_EQ(config.connect, (api::Connect{{"/sys/fs/cgroup/a"}, api::OnStop::kKeep, "/sys/fs/bpf/x"}));
  EXPECT_EQ(config.steering, api::Steering::kLeastSessions);
  EXPECT_EQ(Good(R"({"listeners": [{"name": "a", "bind": "10.0.0.1:1", "service": "s"}], "steering": "local"})").config.steering, api::Steering::kLocal);
}

TEST(Config, RefusesWhatDoesNotGoWithConnectDelivery) {
  const std::string errors = Errors(R"({ "listeners": [
    { "name": "a", "bind": "0.0.0.0:1", "delivery": "connect", "routes": [ { "path": "/x", "service": "s" } ] } ],
  "connect": { "cgroups": [ "here", "/sys/fs/cgroup/a", "/sys/fs/cgroup/a" ], "pin_dir": "x", "on_stop": "stay" }, "steering": "random" })");
  for (const char* wanted : {"listeners[0].delivery: connect delivery cannot choose by host or path; wanted one \"service\"",
                             "connect.cgroups[0]: wanted a directory of a cgroup v2 file system",
                             "connect.cgroups[2]: \"/sys/fs/cgroup/a\" stands here twice", "connect.pin_dir: wanted an absolute path",
                             "connect.on_stop: wanted", "steering: wanted"}) {
    EXPECT_THAT(errors, HasSubstr(wanted));
  }
}

TEST(Config, WarnsOfPacketEndpointsThatNobodyChecks) {
  const Loaded loaded = Good(R"({ "listeners": [{"name": "a", "bind": "0.0.0.0:1", "protocol": "tcp", "delivery": "packet", "service": "s"}],
    "services": { "s": { "endpoints": [ "10.0.0.1:1" ] } } })");
  ASSERT_EQ(loaded.warnings.size(), 1u);
  EXPECT_THAT(loaded.warnings[0], HasSubstr("services.s: endpoints named here, reached by packet delivery and never checked"));
}

}  // namespace
}  // namespace ringway::cp
