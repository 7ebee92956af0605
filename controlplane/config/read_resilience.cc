// The part of "services" for bad times: which endpoints are taken out and how soon they are back, what a retry may cost, what
// waits when every endpoint is full or none is there.
#include <boost/json/value.hpp>

#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

constexpr uint32_t kHourMs = 3600 * 1000;
constexpr uint32_t kWaitingMax = 1000000;  // requests in a queue

void ReadPassiveHealth(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::PassiveHealth& out) {
  if (value.is_bool() && !value.get_bool()) {
    out.failures_max = 0;
    out.responses_5xx_max = 0;
    return;
  }
  ObjectReader reader(value, path, diagnostics);
  reader.Integer("failures", 1, 1000, out.failures_max);
  reader.Integer("responses_5xx", 0, 1000, out.responses_5xx_max);
  const bool given = reader.Duration("eject_time", 100, kHourMs, out.eject_ms);
  if (reader.Duration("eject_time_max", 100, 24 * kHourMs, out.eject_max_ms)) {
    if (out.eject_max_ms < out.eject_ms) diagnostics.Error(reader.PathOf("eject_time_max"), "wanted at least eject_time, which it grows from");
  } else if (given && out.eject_max_ms < out.eject_ms) {
    out.eject_max_ms = out.eject_ms;  // only the first was given, and is longer than the default of the second
  }
}

void ReadRetryBudget(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::RetryBudget& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Integer("percent", 0, 100, out.percent);
  reader.Integer("per_second_min", 0, 100000, out.per_second_min);
}

void ReadEndpointLimit(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::EndpointLimit& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Integer("in_flight_max", 0, 1000000, out.in_flight_max);
  const bool queues = reader.Integer("queue_max", 0, kWaitingMax, out.queue_max);
  const bool waits = reader.Duration("queue_timeout", 10, kHourMs, out.queue_timeout_ms);
  if ((queues || waits) && out.in_flight_max == 0 && value.is_object()) {
    diagnostics.Error(path, "a queue without a limit never fills; wanted an \"in_flight_max\" above 0");
  }
}

void ReadHold(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Hold& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Duration("timeout", 0, kHourMs, out.timeout_ms);
  reader.Integer("requests_max", 1, kWaitingMax, out.requests_max);
}

}  // namespace

void ReadResilience(ObjectReader& reader, ServiceConfig& service) {
  api::Service& settings = service.settings;
  const auto section = [&reader](std::string_view key, auto read, auto& out) {
    if (const auto* value = reader.Find(key)) read(*value, reader.PathOf(key), reader.diagnostics(), out);
  };
  section("passive_health", ReadPassiveHealth, settings.passive_health);
  section("retry_budget", ReadRetryBudget, settings.retry_budget);
  reader.Integer("ejected_percent_max", 0, 100, settings.ejected_percent_max);
  reader.Duration("slow_start", 0, kHourMs, settings.slow_start_ms);
  section("endpoint_limit", ReadEndpointLimit, settings.endpoint_limit);
  section("hold", ReadHold, settings.hold);
  reader.Duration("empty_hold", 0, 24 * kHourMs, service.empty_hold_ms);
  reader.Duration("flap_hold_max", 0, 24 * kHourMs, service.flap_hold_max_ms);
}

}  // namespace ringway::cp
