#include "bench/compare/tools/load_report.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <numeric>

namespace ringway::bench {
namespace {

double Us(double ns) { return std::round(ns / 10) / 100; }

boost::json::object Percentiles(const Histogram& histogram) {
  boost::json::object out;
  const std::pair<const char*, double> shares[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}};
  for (const auto& [name, share] : shares) out[name] = Us(static_cast<double>(histogram.Percentile(share)));
  out["max"] = Us(static_cast<double>(histogram.max()));
  out["mean"] = Us(histogram.mean());
  return out;
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
  boost::json::object kinds;
  for (size_t kind = 0; kind < kFailures; ++kind) {
    if (failures[kind] > 0) kinds[NameOf(static_cast<Failure>(kind))] = failures[kind];
  }
  boost::json::object out;
  out["requests"] = latency.count();
  out["failures"] = std::move(kinds);
  out["seconds"] = std::round(seconds * 1e6) / 1e6;
  out["bytes"] = bytes;
  out["rate"] = seconds > 0 ? std::round(static_cast<double>(latency.count()) / seconds * 10) / 10 : 0;
  out["latency_us"] = Percentiles(latency);
  if (late.count() > 0) out["late_us"] = Percentiles(late);
  out["connections_opened"] = connections_opened;
  out["cpu_us"] = cpu_ns / 1000;
  return boost::json::serialize(out);
}

}  // namespace ringway::bench
