// Cost of parsing and of forwarding the heads that small requests have.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "dataplane/core/forward.h"
#include "dataplane/core/http_head.h"

namespace ringway::dp {
namespace {

constexpr std::string_view kCurl = "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n";
constexpr std::string_view kBrowser =
    "GET /shop/item?id=42 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n";
constexpr std::string_view kApache =
    "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nServer: Apache/2.4.62 (Debian)\r\n"
    "Vary: Accept-Encoding\r\nContent-Length: 200\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n"
    "Content-Type: text/html; charset=UTF-8\r\n\r\n";
constexpr RequestRules kRules{{16384, 8192}, false, true};

void ParseRequest(benchmark::State& state, std::string_view text) {
  for (auto _ : state) {
    RequestHead head;
    uint32_t scanned = 0;
    benchmark::DoNotOptimize(ParseRequestHead(text.data(), static_cast<uint32_t>(text.size()), kRules, scanned, head));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK_CAPTURE(ParseRequest, curl, kCurl);
BENCHMARK_CAPTURE(ParseRequest, browser, kBrowser);

void ParseResponse(benchmark::State& state) {
  for (auto _ : state) {
    ResponseHead head;
    uint32_t scanned = 0;
    benchmark::DoNotOptimize(ParseResponseHead(kApache.data(), static_cast<uint32_t>(kApache.size()), 16384, scanned, head));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kApache.size()));
}
BENCHMARK(ParseResponse);

void Forward(benchmark::State& state) {
  std::string text(kBrowser);
  RequestHead head;
  uint32_t scanned = 0;
  ParseRequestHead(text.data(), static_cast<uint32_t>(text.size()), kRules, scanned, head);
  Slice slices[kSlicesMax];
  for (auto _ : state) {
    benchmark::DoNotOptimize(ForwardRequest(text.data(), head, "X-Forwarded-For: 10.0.0.1\r\n", 0, slices));
  }
}
BENCHMARK(Forward);

}  // namespace
}  // namespace ringway::dp
