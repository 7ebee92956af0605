// The forms of the stats: escaping, columns where scrapers look for them, quantiles.
#include "dataplane/stats/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/unit/dataplane/stats/stats_samples.h"

namespace ringway::dp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// RFC 4180, as csv modules read it.
std::vector<std::vector<std::string>> ParseCsv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, std::vector<std::string>(1));
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      rows.back().back() += c;
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ',') {
      rows.back().emplace_back();
    } else if (!quoted && c == '\n') {
      rows.emplace_back(1);
    } else {
      rows.back().back() += c;
    }
  }
  rows.pop_back();
  return rows;
}

TEST(RenderCsv, EveryRowHasEveryColumnAndScrapersFindTheirs) {
  const auto rows = ParseCsv(RenderCsv(SampleModel()));
  ASSERT_EQ(rows.size(), 5u);  // header, FRONTEND, two servers, BACKEND
  EXPECT_EQ(rows[0][0], "# pxname");
  std::map<std::string, size_t> column;
  for (size_t i = 0; i < rows[0].size(); ++i) column[rows[0][i]] = i;
  for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size());
  // Positions that scrapers hard-wire (HAProxy management guide 9.1).
  EXPECT_EQ(column.at("svname"), 1u);
  EXPECT_EQ(column.at("stot"), 7u);
  EXPECT_EQ(column.at("status"), 17u);
  EXPECT_EQ(column.at("type"), 32u);
  EXPECT_EQ(column.at("hrsp_5xx"), 43u);
  EXPECT_EQ(column.at("req_tot"), 48u);
  EXPECT_EQ(rows[1][0], kNasty);
  EXPECT_EQ(rows[1][1], "FRONTEND");
  EXPECT_EQ(rows[1][column.at("ereq")], "3");
  EXPECT_EQ(rows[2][1], kNasty);
  EXPECT_EQ(rows[2][column.at("status")], "UP");
  EXPECT_EQ(rows[2][column.at("stot")], "1234567");
  EXPECT_EQ(rows[2][column.at("econ")], "5");
  EXPECT_EQ(rows[3][column.at("status")], "DOWN");
  EXPECT_EQ(rows[4][1], "BACKEND");
  EXPECT_EQ(rows[4][column.at("act")], "1");
  EXPECT_EQ(rows[4][column.at("type")], "1");
}

TEST(RenderPrometheus, FamiliesAreWellFormedAndDeclaredOnce) {
  const std::string text = RenderPrometheus(SampleModel());
  const std::regex sample(R"(^(ringway_[a-z_]+?)(_bucket|_sum|_count)?(\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)*\})? -?[0-9.e+-]+$)");
  std::set<std::string> helped, typed;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, kind, name;
    words >> hash >> kind >> name;
    if (kind == "HELP" && hash == "#") {
      EXPECT_TRUE(helped.insert(name).second) << name;
    } else if (kind == "TYPE" && hash == "#") {
      EXPECT_TRUE(typed.insert(name).second) << name;
    } else {
      std::smatch match;
      ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
      EXPECT_TRUE(typed.contains(match[1]) || typed.contains(match[1].str() + match[2].str())) << line;
    }
  }
  EXPECT_EQ(helped, typed);
  EXPECT_THAT(text, HasSubstr("endpoint=\"a<b>&\\\"'\\\\,\\n\""));
  EXPECT_THAT(text, HasSubstr("ringway_worker_limits_total{worker=\"1\",limit=\"open_files\"} 4\n"));
}

TEST(RenderPrometheus, HistogramIsCumulativeAndInSeconds) {
  const std::string text = RenderPrometheus(SampleModel());
  EXPECT_THAT(text, HasSubstr("ringway_service_response_time_seconds_bucket{service=\"web\",le=\"0.001024\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("ringway_service_response_time_seconds_bucket{service=\"web\",le=\"0.002048\"} 90\n"));
  EXPECT_THAT(text, HasSubstr("ringway_service_response_time_seconds_bucket{service=\"web\",le=\"2.097152\"} 100\n"));
  EXPECT_THAT(text, HasSubstr("ringway_service_response_time_seconds_bucket{service=\"web\",le=\"+Inf\"} 100\n"));
  EXPECT_THAT(text, HasSubstr("ringway_service_response_time_seconds_sum{service=\"web\"} 0.2\n"));
  EXPECT_THAT(text, HasSubstr("ringway_service_response_time_seconds_count{service=\"web\"} 100\n"));
}

TEST(RenderPage, NothingFromOutsideBecomesMarkup) {
  const std::string page = RenderPage(SampleModel());
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(page, HasSubstr("a&lt;b&gt;&amp;&quot;&#39;\\,"));
  EXPECT_THAT(page, HasSubstr("1 of 2 ready"));
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
}

TEST(RenderPage, EveryNumberNamesAPlaceThatTheJsonHas) {
  const StatsModel model = SampleModel();
  const std::string page = RenderPage(model);
  const boost::json::value document = boost::json::parse(RenderJson(model));
  const std::regex key("data-k=\"([^\"]+)\"");
  size_t keys = 0;
  for (std::sregex_iterator it(page.begin(), page.end(), key), end; it != end; ++it, ++keys) {
    boost::system::error_code error;
    const std::string pointer = "/" + (*it)[1].str();
    EXPECT_NE(document.find_pointer(boost::json::string_view(pointer), error), nullptr) << pointer;
  }
  EXPECT_GT(keys, 50u);
}

TEST(Layout, ChangesWithRowsAndStatesNotWithNumbers) {
  StatsModel model = SampleModel();
  const std::string before = LayoutOf(model);
  model.services[0].requests += 1;
  model.uptime_ms += 1;
  EXPECT_EQ(LayoutOf(model), before);
  StatsModel other = model;
  other.services[0].endpoints[1].state = "ready";
  EXPECT_NE(LayoutOf(other), before);
  other = model;
  other.services[0].endpoints.pop_back();
  EXPECT_NE(LayoutOf(other), before);
}

TEST(Quantiles, InterpolateWithinTheBucket) {
  const ServiceStats service = SampleModel().services[0];
  EXPECT_NEAR(service.LatencyQuantileMs(0.45), 1.536, 0.001);  // the middle of the first bucket
  EXPECT_GT(service.LatencyQuantileMs(0.99), 1048.0);
  EXPECT_LT(service.LatencyQuantileMs(0.99), 2098.0);
  EXPECT_NEAR(service.LatencyMeanMs(), 2.0, 0.001);
  EXPECT_EQ(ServiceStats().LatencyQuantileMs(0.5), 0);
}

}  // namespace
}  // namespace ringway::dp
