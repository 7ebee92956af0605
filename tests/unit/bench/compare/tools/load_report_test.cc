#include "bench/compare/tools/load_report.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <set>

namespace ringway::bench {
namespace {

TEST(LoadReport, IsJson) {
  LoadReport report;
  for (uint64_t i = 1; i <= 1000; ++i) report.latency.Record(i * 1000);
  report.failures[static_cast<size_t>(Failure::kReset)] = 3;
  report.seconds = 2;
  report.bytes = 5000000000;
  report.cpu_ns = 1500000;
  const boost::json::value read = boost::json::parse(report.Json());
  EXPECT_EQ(read.at("requests").as_int64(), 1000);
  EXPECT_EQ(read.at("rate").as_double(), 500);
  EXPECT_EQ(read.at("bytes").as_int64(), 5000000000);
  EXPECT_EQ(read.at("cpu_us").as_int64(), 1500);
  EXPECT_EQ(read.at("failures").as_object().size(), 1u);
  EXPECT_EQ(read.at("failures").at("reset").as_int64(), 3);
  EXPECT_NEAR(read.at("latency_us").at("p50").as_double(), 500, 4);
  EXPECT_NEAR(read.at("latency_us").at("p999").as_double(), 999, 8);
  EXPECT_EQ(read.at("latency_us").at("max").as_double(), 1000);
  EXPECT_EQ(read.at("latency_us").at("mean").as_double(), 500.5);
  EXPECT_FALSE(read.as_object().contains("late_us"));
}

TEST(LoadReport, EveryKindOfFailureHasItsName) {
  std::set<std::string> names;
  for (size_t kind = 0; kind < kFailures; ++kind) names.insert(NameOf(static_cast<Failure>(kind)));
  EXPECT_EQ(names.size(), kFailures);
}

}  // namespace
}  // namespace ringway::bench
