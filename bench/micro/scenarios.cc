#include "bench/micro/scenarios.h"

namespace ringway::bench {
namespace {

std::string Body(uint32_t bytes) { return std::string(bytes, 'x'); }

Scenario Get(std::string name, std::string_view head, std::string_view response_head) {
  Scenario s;
  s.name = std::move(name);
  s.request = head;
  s.response_body = 200;
  s.response = std::string(response_head) + Body(s.response_body);
  return s;
}

Scenario Post1KB() {
  Scenario s = Get("post_1kb", "", kShortResponseHead);
  s.request_body = 1024;
  s.request =
      "POST /form HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\nContent-Length: 1024\r\n"
      "Content-Type: application/x-www-form-urlencoded\r\n\r\n" + Body(s.request_body);
  return s;
}

Scenario Response10KB() {
  Scenario s = Get("response_10kb", kCurlHead, "");
  s.response_body = 10240;
  s.response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10240\r\n\r\n" + Body(s.response_body);
  return s;
}

// 2 KB in eight chunks.
Scenario ChunkedResponse() {
  Scenario s = Get("chunked_response", kCurlHead, "");
  std::string body;
  for (int chunk = 0; chunk < 8; ++chunk) body += "100\r\n" + Body(256) + "\r\n";
  body += "0\r\n\r\n";
  s.response_body = static_cast<uint32_t>(body.size());
  s.response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
  return s;
}

Scenario NewConnection() {
  Scenario s = Get("new_connection",
                   "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n"
                   "Connection: close\r\n\r\n",
                   kShortResponseHead);
  s.keep_alive = false;
  return s;
}

}  // namespace

std::vector<Scenario> AllScenarios() {
  std::vector<Scenario> all = {
      Get("curl", kCurlHead, kShortResponseHead),
      Get("curl_apache", kCurlHead, kApacheHead),
      Get("browser", kBrowserHead, kShortResponseHead),
      Get("browser_apache", kBrowserHead, kApacheHead),
      Get("curl_one_connection", kCurlHead, kShortResponseHead),
      Post1KB(),
      Response10KB(),
      ChunkedResponse(),
      NewConnection(),
  };
  all[4].connections = 1;
  for (const std::string_view head : {kCurlHead, kBrowserHead}) {
    all.push_back(Get(head == kCurlHead ? "curl_access_log" : "browser_access_log", head, kShortResponseHead));
    all.back().access_log = true;
  }
  const std::pair<const char*, dp::Balance> policies[] = {{"round_robin", dp::Balance::kRoundRobin},
                                                          {"least_requests", dp::Balance::kLeastRequests},
                                                          {"random_of_two", dp::Balance::kRandomOfTwo},
                                                          {"least_latency", dp::Balance::kLeastLatency}};
  for (const auto& [name, balance] : policies) {
    for (const uint32_t endpoints : {1u, 10u, 1000u, 10000u}) {
      Scenario s = Get(std::string(name) + "_" + std::to_string(endpoints), kCurlHead, kShortResponseHead);
      s.balance = balance;
      s.endpoints = endpoints;
      all.push_back(s);
    }
  }
  return all;
}

}  // namespace ringway::bench
