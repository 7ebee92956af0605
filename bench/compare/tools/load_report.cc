#include "bench/compare/tools/load_report.h"

#include <cstdio>
#include <numeric>

namespace ringway::bench {
namespace {

// Two digits after the point, and no exponent.
std::string Number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string Us(double ns) { return Number(ns / 1000); }

std::string Percentiles(const Histogram& histogram) {
  const std::pair<const char*, double> shares[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}};
  std::string out = "{";
  for (const auto& [name, share] : shares) {
    out += "\"" + std::string(name) + "\": " + Us(static_cast<double>(histogram.Percentile(share))) + ", ";
  }
  return out + "\"max\": " + Us(static_cast<double>(histogram.max())) + ", \"mean\": " + Us(histogram.mean()) + "}";
}

}  // namespace

const char* NameOf(Failure failure) {
  switch (failure) {
    case Failure::kRefused: return "refused";
    case Failure::kConnect: return "connect";
    case Failure::kReset: return "reset";
    case Failure::kClosed: return "closed";
    case Failure::kLength: return "length";
    case Failure::kStatus: return "status";
    case Failure::kMalformed: return "malformed";
    case Failure::kTimeout: return "timeout";
    case Failure::kUnsent: return "unsent";
    case Failure::kIdleClosed: return "idle_closed";
    case Failure::kOther: return "other";
  }
  return "other";
}

uint64_t LoadReport::failed() const { return std::accumulate(failures.begin(), failures.end(), uint64_t{0}); }

std::string LoadReport::Json() const {
  std::string kinds;
  for (size_t kind = 0; kind < kFailures; ++kind) {
    if (failures[kind] == 0) continue;
    kinds += std::string(kinds.empty() ? "" : ", ") + "\"" + NameOf(static_cast<Failure>(kind)) + "\": " + std::to_string(failures[kind]);
  }
  const double rate = seconds > 0 ? static_cast<double>(latency.count()) / seconds : 0;
  std::string out = "{\"requests\": " + std::to_string(latency.count()) + ", \"failures\": {" + kinds + "}";
  out += ", \"seconds\": " + Number(seconds) + ", \"bytes\": " + std::to_string(bytes) + ", \"rate\": " + Number(rate);
  out += ", \"latency_us\": " + Percentiles(latency);
  if (late.count() > 0) out += ", \"late_us\": " + Percentiles(late);
  out += ", \"connections_opened\": " + std::to_string(connections_opened) + ", \"cpu_us\": " + std::to_string(cpu_ns / 1000);
  if (!watched.empty()) out += ", " + watched;
  return out + "}";
}

}  // namespace ringway::bench
