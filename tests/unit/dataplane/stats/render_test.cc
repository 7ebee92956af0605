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
  ASSERT_EQ(rows.size(), 6u);  // header, FRONTEND, three servers, BACKEND
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
  EXPECT_EQ(rows[5][1], "BACKEND");
  EXPECT_EQ(rows[5][column.at("act")], "1");
  EXPECT_EQ(rows[5][column.at("type")], "1");
  // Ejected: down by what was seen of it.
  EXPECT_EQ(rows[4][column.at("status")], "DOWN");
  EXPECT_EQ(rows[4][column.at("act")], "0");
  EXPECT_EQ(rows[4][column.at("check_status")], "HANA");
  EXPECT_EQ(rows[4][column.at("last_chk")], "connections fail");
  EXPECT_EQ(rows[4][column.at("hanafail")], "6");
  EXPECT_EQ(rows[2][column.at("check_status")], "");
  EXPECT_EQ(rows[2][column.at("slim")], "30");
  EXPECT_EQ(rows[3][column.at("slim")], "");
  // Requests that wait stand in the service's queue.
  EXPECT_EQ(column.at("qcur"), 2u);
  EXPECT_EQ(column.at("qmax"), 3u);
  EXPECT_EQ(rows[5][column.at("qcur")], "11");
  EXPECT_EQ(rows[5][column.at("qmax")], "12");
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
  EXPECT_THAT(text, HasSubstr("\",reason=\"host\"} 3\n"));
  EXPECT_THAT(text, Not(HasSubstr("=\"\"}")));
}

TEST(RenderPrometheus, WhatHappensInBadTimes) {
  const std::string text = RenderPrometheus(SampleModel());
  for (const char* line : {"ringway_service_waiting{service=\"web\"} 11\n", "ringway_service_waited_total{service=\"web\"} 13\n",
                           "ringway_service_wait_timeouts_total{service=\"web\"} 14\n",
                           "ringway_service_wait_full_total{service=\"web\"} 15\n",
                           "ringway_service_retries_denied_total{service=\"web\"} 16\n",
                           "ringway_service_ejections_denied_total{service=\"web\"} 17\n",
                           "ringway_service_endpoints{service=\"web\",state=\"ejected\"} 1\n",
                           "ringway_service_endpoints{service=\"web\",state=\"ready\"} 1\n",
                           "ringway_endpoint_ejected{service=\"web\",endpoint=\"n/ejected\",address=\"127.0.0.1:82\",generation=\"0\"} 2\n",
                           "ringway_endpoint_ejections_total{service=\"web\",endpoint=\"n/ejected\",address=\"127.0.0.1:82\",generation=\"0\"} 6\n",
                           "ringway_endpoint_ready{service=\"web\",endpoint=\"n/ejected\",address=\"127.0.0.1:82\",generation=\"0\"} 0\n",
                           "ringway_leaving 0\n", "ringway_catalog_up 1\n", "ringway_catalog_age_seconds 1.5\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(RenderPrometheus, WhatTheKernelDeliversIsThereWhileItIsAskedFor) {
  StatsModel model = SampleModel();
  model.packet.trouble = "trouble";
  const std::string text = RenderPrometheus(model);
  for (const char* sample : {"ringway_packet_active 1", "ringway_packet_trouble 1", "ringway_packet_packets_total{reason=\"no_port\"} 31",
                             "ringway_packet_bytes_total{reason=\"no_port\"} 32", "ringway_packet_events_total{event=\"raced\"} 33",
                             "ringway_packet_table_entries{table=\"flows\"} 35", "ringway_packet_service_flows{service=\"web\"} 1",
                             "ringway_packet_service_flows_refused_total{service=\"web\"} 5",
                             "ringway_packet_service_syn_repeated_total{service=\"web\"} 10", "ringway_packet_service_handshake_to_endpoint_seconds_count{service=\"web\"} 11",
                             "ringway_packet_service_handshake_to_client_seconds_sum{service=\"web\"} 0.015",
                             "ringway_packet_interface_attached{interface=\"eth1\",how=\"none\"} 0"}) {
    EXPECT_THAT(text, HasSubstr(std::string(sample) + "\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr("ringway_packet_packets_total{reason=\"raced\"}")));
  model.packet = {};
  EXPECT_THAT(RenderPrometheus(model), Not(HasSubstr("ringway_packet_")));
}

TEST(RenderCsv, TheProxysAndTheKernelsAreOneSum) {
  StatsModel model = SampleModel();
  model.services[0].endpoints[0].packet = model.services[0].packet;
  const auto rows = ParseCsv(RenderCsv(model));
  EXPECT_EQ(rows[2][7], std::to_string(1234567 + 2));  // stot
  EXPECT_EQ(rows[5][4], "1");                          // scur of BACKEND: flows
}

TEST(RenderPage, PacketDeliveryThatIsNotPossibleSaysWhy) {
  StatsModel model = SampleModel();
  model.packet.active = false;
  model.packet.trouble = "<trouble>";
  const std::string page = RenderPage(model);
  EXPECT_THAT(page, HasSubstr("packet delivery <span class=\"state bad\">not possible</span>"));
  EXPECT_THAT(page, HasSubstr("&lt;trouble&gt;"));
  EXPECT_THAT(page, HasSubstr("proxy instead of packet"));
}

TEST(RenderPage, AnEndpointThatGetsNoPacketsSaysWhy) {
  StatsModel model = SampleModel();
  const std::string before = RenderPage(model);
  model.services[0].endpoints[0].packet_trouble = "<own>";
  EXPECT_THAT(RenderPage(model), HasSubstr("<span class=\"state bad\">&lt;own&gt;</span>"));
  EXPECT_THAT(before, Not(HasSubstr("&lt;own&gt;")));
  EXPECT_THAT(RenderJson(model), HasSubstr("\"packet_trouble\":\"<own>\""));
}

TEST(RenderPrometheus, ACatalogOfWhichNothingIsKnownHasNoAge) {
  StatsModel model = SampleModel();
  model.catalog = {};
  EXPECT_THAT(RenderPrometheus(model), Not(HasSubstr("catalog_")));
  EXPECT_THAT(RenderJson(model), HasSubstr("\"catalog\":null"));
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
  EXPECT_THAT(page, HasSubstr("1 of 3 ready"));
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
}

TEST(RenderPage, AnEjectedEndpointStandsOutWithReasonAndTime) {
  StatsModel model = SampleModel();
  EXPECT_THAT(RenderPage(model), HasSubstr("<span class=\"state bad\">ejected</span></td><td class=\"reason\">connections fail; back in "
                                           "<span data-k=\"services/0/endpoints/2/ejected_ms\" data-f=\"d\">1 min 5 s</span>"));
  model.services[0].endpoints[2].state = "ready";
  EXPECT_THAT(RenderPage(model), HasSubstr("<span class=\"state warn\">ejected in part</span>"));
}

TEST(RenderPage, AnEndpointThatIsKeptAgainstItsChecksIsInDoubt) {
  StatsModel model = SampleModel();
  auto& endpoints = model.services[0].endpoints;
  endpoints.resize(1);
  endpoints[0].state = "ready";
  endpoints[0].reason = "";
  EXPECT_THAT(RenderPage(model), HasSubstr("<span class=\"state good\">1 of 1 ready</span>"));
  endpoints[0].reason = "kept: too many fail their checks";
  const std::string page = RenderPage(model);
  EXPECT_THAT(page, HasSubstr("<span class=\"state warn\">1 of 1 ready, 1 in doubt</span>"));
  EXPECT_THAT(page, HasSubstr("<span class=\"state warn\">ready</span></td><td class=\"reason\">kept: too many fail their checks"));
}

TEST(RenderPage, TheCatalogIsLoudOnlyWhenSomethingIsWrong) {
  StatsModel model = SampleModel();
  EXPECT_THAT(RenderPage(model), HasSubstr("Catalog <span class=\"state good\">answers</span>"));
  EXPECT_THAT(RenderPage(model), Not(HasSubstr("class=\"alarm\"")));
  model.catalog.up = false;
  model.catalog.trouble = "connection refused";
  EXPECT_THAT(RenderPage(model), HasSubstr("<p class=\"alarm\"><b>Catalog http://consul:8500: connection refused</b>"));
  model.catalog = {};
  EXPECT_THAT(RenderPage(model), HasSubstr("nothing was said of it yet"));
  model.feed.used = false;
  EXPECT_THAT(RenderPage(model), Not(HasSubstr("Catalog")));
}

TEST(RenderPage, OneThatLeavesSaysHowManySessionsItFinishes) {
  StatsModel model = SampleModel();
  model.leaving = true;
  model.ready = false;
  model.sessions_open = 1234;
  EXPECT_THAT(RenderPage(model), HasSubstr("finishing: <span data-k=\"sessions_open\" data-f=\"n\">1 234</span> sessions"));
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
  other.catalog.up = false;
  EXPECT_NE(LayoutOf(other), before);
  other = model;
  other.services[0].endpoints[2].ejected = 1;
  EXPECT_NE(LayoutOf(other), before);
  other.services[0].endpoints[2].ejected = 2;
  other.services[0].endpoints[2].ejected_ms = 1;
  other.catalog.age_ms = 1;
  EXPECT_EQ(LayoutOf(other), before);
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
