// Cost of parsing and of rewriting the heads that small requests and their answers have.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "bench/micro/scenarios.h"
#include "dataplane/core/forward.h"
#include "dataplane/core/http_head.h"

namespace ringway::dp {
namespace {

using bench::kApacheHead, bench::kBrowserHead, bench::kCurlHead, bench::kShortResponseHead;

constexpr RequestRules kRules{{16384, 8192}, false, true};

void ParseRequest(benchmark::State& state, std::string_view text) {
  for (auto _ : state) {
    RequestHead head;
    uint32_t scanned = 0;
    benchmark::DoNotOptimize(ParseRequestHead(text.data(), static_cast<uint32_t>(text.size()), kRules, scanned, head));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK_CAPTURE(ParseRequest, curl, kCurlHead);
BENCHMARK_CAPTURE(ParseRequest, browser, kBrowserHead);

void ParseResponse(benchmark::State& state, std::string_view text) {
  for (auto _ : state) {
    ResponseHead head;
    uint32_t scanned = 0;
    benchmark::DoNotOptimize(ParseResponseHead(text.data(), static_cast<uint32_t>(text.size()), 16384, scanned, head));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK_CAPTURE(ParseResponse, short, kShortResponseHead);
BENCHMARK_CAPTURE(ParseResponse, apache, kApacheHead);

// Rewriting changes the head and its bytes, so each time both are copied first: CopyHead is what that alone costs.
template <class Head, class Rewrite>
void RewriteCopies(benchmark::State& state, std::string_view text, const Head& parsed, Rewrite&& rewrite) {
  char bytes[1024];
  Slice slices[kSlicesMax];
  for (auto _ : state) {
    std::memcpy(bytes, text.data(), text.size());
    Head head = parsed;
    benchmark::DoNotOptimize(bytes);
    benchmark::DoNotOptimize(rewrite(bytes, head, slices));
    benchmark::DoNotOptimize(slices);
  }
}

RequestHead Parsed(std::string_view text) {
  RequestHead head;
  uint32_t scanned = 0;
  if (ParseRequestHead(text.data(), static_cast<uint32_t>(text.size()), kRules, scanned, head) != HeadError::kNone) std::abort();
  return head;
}

void CopyHead(benchmark::State& state, std::string_view text) {
  RewriteCopies(state, text, Parsed(text), [](char*, RequestHead&, Slice*) { return 0u; });
}
BENCHMARK_CAPTURE(CopyHead, curl, kCurlHead);
BENCHMARK_CAPTURE(CopyHead, browser, kBrowserHead);

// `inserted` is empty where the worker has written the lines behind the head already.
void RewriteRequest(benchmark::State& state, std::string_view text, std::string_view inserted) {
  RewriteCopies(state, text, Parsed(text), [&](char* bytes, RequestHead& head, Slice* slices) {
    return ForwardRequest(bytes, head, inserted, 0, slices);
  });
}
BENCHMARK_CAPTURE(RewriteRequest, curl, kCurlHead, "");
BENCHMARK_CAPTURE(RewriteRequest, browser, kBrowserHead, "");
BENCHMARK_CAPTURE(RewriteRequest, browser_inserted, kBrowserHead, "X-Forwarded-For: 10.0.0.1\r\n");

void RewriteResponse(benchmark::State& state, std::string_view text) {
  ResponseHead parsed;
  uint32_t scanned = 0;
  if (ParseResponseHead(text.data(), static_cast<uint32_t>(text.size()), 16384, scanned, parsed) != HeadError::kNone) std::abort();
  RewriteCopies(state, text, parsed, [](char* bytes, ResponseHead& head, Slice* slices) {
    return ForwardResponse(bytes, head, "", 0, slices);
  });
}
BENCHMARK_CAPTURE(RewriteResponse, apache, kApacheHead);

}  // namespace
}  // namespace ringway::dp
