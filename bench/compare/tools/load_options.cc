#include "bench/compare/tools/load_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace ringway::bench {
namespace {

constexpr char kAbout[] =
    "Sends HTTP/1.1 requests (or messages) over many connections and prints counts and latencies as one JSON object. Closed loop: each "
    "connection sends its next request when the last was answered. With --rate: requests are due by the clock, and latency counts from "
    "the moment each was due. Answers are checked by status (2xx) and length; a failure is counted by kind, never retried; the "
    "connection is opened anew after 10 ms. --connections are shared by all due requests. One thread.";

constexpr uint32_t kDatagramMax = 65507;  // over IPv4

constexpr std::string_view kCurl = "User-Agent: curl/8.5.0\r\nAccept: */*\r\n";
constexpr std::string_view kBrowser =
    "Connection: keep-alive\r\n"
    "sec-ch-ua: \"Not)A;Brand\";v=\"99\", \"Chromium\";v=\"127\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: none\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-User: ?1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "Cookie: session=6f1d2c84b0a94e5f8c37d9a2e1b40657; theme=dark\r\n";

}  // namespace

std::string BuildRequest(const std::string& authority, const std::string& path, bool browser, uint64_t post, bool close) {
  std::string request = (post > 0 ? "POST " : "GET ") + path + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  std::string_view fields = browser ? kBrowser : kCurl;
  if (close) {
    if (browser) fields.remove_prefix(fields.find('\n') + 1);
    request += "Connection: close\r\n";
  }
  request += fields;
  if (post > 0) request += "Content-Type: application/octet-stream\r\nContent-Length: " + std::to_string(post) + "\r\n";
  return request + "\r\n" + std::string(post, 'p');
}

std::optional<uint64_t> BodyBytesOf(const std::string& path) {
  for (const std::string_view prefix : {"/b/", "/chunked/", "/close/"}) {
    if (!path.starts_with(prefix)) continue;
    uint64_t bytes = 0;
    const char* end = path.data() + path.size();
    const auto [last, error] = std::from_chars(path.data() + prefix.size(), end, bytes);
    if (error == std::errc() && last == end) return bytes;
  }
  return std::nullopt;
}

LoadOptions ParseLoadOptions(int argc, char** argv) {
  CLI::App app{kAbout};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  LoadOptions options;
  std::vector<std::string> targets;
  std::string path = "/b/200", headers = "browser";
  uint64_t post = 0;
  bool json = false;
  app.add_option("--target", targets, "ADDRESS:PORT, or several with commas, which share the connections")
      ->required()->delimiter(',')->check(CheckAddress)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--connections", options.connections, "how many at once")->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_option("--seconds", options.seconds, "how long to measure")->check(CLI::Range(0.01, 86400.0))->capture_default_str();
  app.add_option("--warmup", options.warmup, "seconds before that whose requests do not count; their failures do")
      ->check(CLI::Range(0.0, 3600.0))->capture_default_str();
  app.add_option("--requests", options.requests, "end after so many counted requests, if that comes first");
  app.add_option("--timeout", options.timeout, "seconds for one request, and for those under way at the end")
      ->check(CLI::Range(0.1, 3600.0))->capture_default_str();
  app.add_option("--rate", options.rate, "requests per second (open loop)")->check(CLI::Range(0.1, 1e7));
  app.add_option("--path", path, "what to ask for; of /b/N, /chunked/N and /close/N the length of the answer is checked")
      ->capture_default_str();
  app.add_option("--post", post, "send a body of so many bytes")->check(CLI::Range(1, 1 << 30));
  app.add_option("--headers", headers, "a request head as curl sends it (82 bytes) or a browser (655)")
      ->check(CLI::IsMember({"curl", "browser"}))->capture_default_str();
  app.add_flag("--new-connections", options.new_connections,
               "a connection for each request, which asks with Connection: close and waits for the close");
  app.add_option("--sources", options.sources, "with that, to 127.0.0.0/8: how many source addresses 127.0.1.x, so that ports do not run out")
      ->check(CLI::Range(1, 254))->capture_default_str();
  app.add_option("--idle", options.idle, "further connections that each did one request and stay open")->check(CLI::Range(1, 1000000));
  auto* tcp = app.add_flag("--tcp", options.messages, "plain messages: each of --request bytes is answered by --response bytes");
  app.add_flag("--udp", options.udp, "datagrams of --request bytes, each sent back; one that does not come back is a timeout")
      ->excludes(tcp);
  app.add_option("--request", options.request_bytes, "with --tcp and --udp")->check(CLI::Range(1, 1 << 30))->capture_default_str();
  app.add_option("--response", options.response_bytes, "with --tcp")->check(CLI::Range(1, 1 << 30))->capture_default_str();
  app.add_option("--watch", options.watch, "processes, with commas: what they and the machine spent while it was measured is told too")
      ->delimiter(',')->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->check(CLI::PositiveNumber);
  app.add_flag("--json", json, "the output is JSON in any case");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  for (const std::string& target : targets) options.targets.push_back(ParseAddresses(target).front());
  if (options.udp) {
    if (options.request_bytes > kDatagramMax) {
      std::fprintf(stderr, "--request: a datagram has at most %u bytes\n", kDatagramMax);
      std::exit(2);
    }
    options.messages = true;
    options.response_bytes = options.request_bytes;
  }
  options.request = options.messages ? std::string(options.request_bytes, 'q')
                                : BuildRequest(targets.front(), path, headers == "browser", post, options.new_connections);
  if (post == 0) options.body_bytes = BodyBytesOf(path);
  return options;
}

}  // namespace ringway::bench
