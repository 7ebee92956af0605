// Records as lines, both formats.
#include "dataplane/access_log/line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

namespace ringway::dp {
namespace {

constexpr int64_t kZero = 1700000000000000;  // 2023-11-14T22:13:20Z

struct Sample {
  AccessRecord record{};
  std::string texts[kAccessTexts] = {"GET /a?b=\"c HTTP/1.1", "example.org", "", "http://from/", "curl/8"};
  HandleNames names;

  Sample() {
    record.start_us = 1500123;
    record.end_us = 1502357;
    record.queue_us = 7;
    record.connect_us = 120;
    record.response_us = 2000;
    record.head_bytes_sent = 100;
    record.bytes_received = 77;
    record.bytes_sent = 1123;
    record.service = 3;
    record.endpoint = 9;
    record.client.bytes = {10, 1, 2, 3};
    record.client.port = 4242;
    record.listener = 1;
    record.status = 200;
    record.attempts = 2;
    names.SetListener(1, "front");
    names.SetService(3, "web");
    api::Endpoint endpoint;
    endpoint.id = "n1/web1";
    endpoint.address = "fd00::7";
    endpoint.port = 80;
    names.SetEndpoint(9, endpoint);
  }

  std::string Line(api::AccessFormat format) {
    std::string text;
    for (uint32_t i = 0; i < kAccessTexts; ++i) {
      record.sizes[i] = static_cast<uint16_t>(texts[i].size());
      text += texts[i];
    }
    std::string out;
    LineWriter().Append(format, record, text.data(), HandleNames::Reader(names), kZero, out);
    EXPECT_EQ(out.find('\n'), out.size() - 1);
    return out;
  }
  std::string Json() { return Line(api::AccessFormat::kJson); }
  std::string Combined() { return Line(api::AccessFormat::kCombined); }
};

TEST(AccessLogLine, JsonOfARequest) {
  Sample sample;
  EXPECT_EQ(sample.Json(),
            R"({"time":"2023-11-14T22:13:21.500123Z","listener":"front","protocol":"http","client":"10.1.2.3","client_port":4242,)"
            R"("method":"GET","target":"/a?b=\"c","version":"1.1","host":"example.org","status":200,"end":"done","service":"web",)"
            R"("endpoint":"n1/web1","endpoint_address":"[fd00::7]:80","retries":1,"reused":false,"total_ms":2.234,"queue_ms":0.007,)"
            R"("connect_ms":0.120,"response_ms":1.880,"received_bytes":77,"sent_bytes":1123,"forwarded_for":null,)"
            R"("referer":"http://from/","user_agent":"curl/8"})"
            "\n");
}

TEST(AccessLogLine, CombinedOfARequest) {
  Sample sample;
  EXPECT_EQ(sample.Combined(),
            R"(10.1.2.3 - - [14/Nov/2023:22:13:21 +0000] "GET /a?b=\x22c HTTP/1.1" 200 1023 "http://from/" "curl/8")"
            "\n");
}

TEST(AccessLogLine, WhatDidNotHappenIsNull) {
  Sample sample;
  sample.record.service = sample.record.endpoint = kNoHandle;
  sample.record.queue_us = sample.record.connect_us = sample.record.response_us = kNever;
  sample.record.attempts = 0;
  sample.record.status = 0;
  sample.record.end = End::kClientGone;
  sample.texts[3] = sample.texts[4] = "";
  const boost::json::value line = boost::json::parse(sample.Json());
  for (const char* key : {"service", "endpoint", "endpoint_address", "queue_ms", "connect_ms", "response_ms", "status", "referer", "user_agent"}) {
    EXPECT_TRUE(line.at(key).is_null()) << key;
  }
  EXPECT_EQ(line.at("retries"), 0);
  EXPECT_EQ(line.at("end"), "client_gone");
  EXPECT_EQ(sample.Combined(), R"(10.1.2.3 - - [14/Nov/2023:22:13:21 +0000] "GET /a?b=\x22c HTTP/1.1" 000 1023 "-" "-")" "\n");
}

TEST(AccessLogLine, ARequestThatWasNotUnderstoodIsATarget) {
  Sample sample;
  sample.texts[0] = std::string("\x16\x03\x01\0\n", 5);
  const boost::json::value line = boost::json::parse(sample.Json());
  EXPECT_TRUE(line.at("method").is_null());
  EXPECT_TRUE(line.at("version").is_null());
  EXPECT_EQ(line.at("target").as_string(), boost::json::string("\x16\x03\x01\0\n", 5));
  EXPECT_NE(sample.Combined().find(R"("\x16\x03\x01\x00\x0A" 200)"), std::string::npos);
}

TEST(AccessLogLine, ACutTargetHasNoVersionAndSaysSo) {
  Sample sample;
  sample.texts[0] = "GET /" + std::string(1019, 'x');
  sample.record.truncated = 0b10001;
  const boost::json::value line = boost::json::parse(sample.Json());
  EXPECT_EQ(line.at("target").as_string(), "/" + std::string(1019, 'x'));
  EXPECT_TRUE(line.at("version").is_null());
  EXPECT_EQ(line.at("truncated"), (boost::json::array{"target", "user_agent"}));
}

TEST(AccessLogLine, ATcpSession) {
  Sample sample;
  sample.record.tcp = true;
  sample.record.status = 0;
  sample.record.head_bytes_sent = 0;
  for (std::string& text : sample.texts) text.clear();
  const boost::json::value line = boost::json::parse(sample.Json());
  EXPECT_EQ(line.at("protocol"), "tcp");
  EXPECT_FALSE(line.as_object().contains("status"));
  EXPECT_FALSE(line.as_object().contains("target"));
  EXPECT_EQ(sample.Combined(), "10.1.2.3 - - [14/Nov/2023:22:13:21 +0000] \"TCP front\" 000 1123 \"-\" \"-\"\n");
}

// RFC 3164 and friends aside: a header must not be able to write a line of its own, nor close a quote.
TEST(AccessLogLine, NobodyWritesLinesFromOutside) {
  Sample sample;
  for (std::string& text : sample.texts) text = "x\" 200 5\r\n1.2.3.4 - - [\\\"\x1b[2J";
  EXPECT_TRUE(boost::json::parse(sample.Json()).is_object());
  const std::string line = sample.Combined();
  EXPECT_EQ(std::count(line.begin(), line.end(), '"'), 6);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST(AccessLogLine, EveryEndHasAName) {
  for (const char* name : kEndNames) EXPECT_GT(std::string(name).size(), 3u);
  EXPECT_STREQ(kEndNames[static_cast<size_t>(End::kStopped)], "stopped");
  EXPECT_STREQ(kEndNames[static_cast<size_t>(End::kNoRoute)], "no_route");
  EXPECT_STREQ(kEndNames[static_cast<size_t>(End::kEndpointCut)], "endpoint_cut");
  EXPECT_STREQ(kEndNames[static_cast<size_t>(End::kClientStalled)], "client_stalled");
}

TEST(AccessLogLine, LongSessionsAndOldTimes) {
  Sample sample;
  sample.record.end_us = sample.record.start_us + uint64_t{86400} * 1000000 * 3;
  EXPECT_NE(sample.Json().find(R"("total_ms":259200000.000)"), std::string::npos);
  std::string out;
  Calendar calendar;
  calendar.AppendIso(0, out);
  EXPECT_EQ(out, "1970-01-01T00:00:00.000000Z");
}

}  // namespace
}  // namespace ringway::dp
