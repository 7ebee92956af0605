// The fixed scripts of requests that instructions are counted for, and the heads that stand for real ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/backend_map.h"

namespace ringway::bench {

inline constexpr std::string_view kCurlHead =
    "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n";
inline constexpr std::string_view kBrowserHead =
    "GET /shop/item?id=42 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n";
inline constexpr std::string_view kShortResponseHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n\r\n";
inline constexpr std::string_view kApacheHead =
    "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nServer: Apache/2.4.62 (Debian)\r\n"
    "Vary: Accept-Encoding\r\nContent-Length: 200\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n"
    "Content-Type: text/html; charset=UTF-8\r\n\r\n";

struct Scenario {
  std::string name;
  std::string request;         // head and body
  uint32_t request_body = 0;   // bytes of it that are body
  std::string response;
  uint32_t response_body = 0;
  dp::Balance balance = dp::Balance::kRoundRobin;
  uint32_t endpoints = 1;
  uint32_t connections = 64;   // of clients, all busy all the time
  bool access_log = false;
  bool keep_alive = true;      // else a new connection for each request
};

std::vector<Scenario> AllScenarios();

}  // namespace ringway::bench
