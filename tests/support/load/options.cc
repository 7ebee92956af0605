#include "tests/support/load/options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <sstream>

namespace ringway::load {
namespace {

[[noreturn]] void Refuse(const std::string& what) {
  std::cerr << "ringway-load: " << what << "\n";
  std::exit(2);
}

// "http://HOST[:PORT][/]" into host, port and authority.
void ParseUrl(const std::string& url, Options& options) {
  const std::string scheme = "http://";
  if (url.rfind(scheme, 0) != 0) Refuse("--url '" + url + "': wanted http://HOST[:PORT]");
  std::string rest = url.substr(scheme.size());
  const size_t slash = rest.find('/');
  if (slash != std::string::npos) {
    if (slash + 1 != rest.size()) options.get_path = rest.substr(slash);
    rest.resize(slash);
  }
  options.authority = rest;
  const size_t bracket = rest.rfind(']');
  const size_t colon = rest.rfind(':');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    options.port = rest.substr(colon + 1);
    rest.resize(colon);
  }
  if (!rest.empty() && rest.front() == '[') rest = rest.substr(1, rest.size() - 2);
  if (rest.empty()) Refuse("--url '" + url + "': no host");
  options.host = rest;
}

Mix ParseMix(const std::string& text) {
  Mix mix{0, 0, 0, 0};
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equal = part.find('=');
    const std::string kind = part.substr(0, equal);
    char* end = nullptr;
    const double share = equal == std::string::npos ? -1 : std::strtod(part.c_str() + equal + 1, &end);
    if (share < 0 || end == nullptr || *end != '\0') Refuse("--mix '" + part + "': wanted KIND=SHARE");
    if (kind == "get") mix.get = share;
    else if (kind == "post") mix.post = share;
    else if (kind == "big") mix.big = share;
    else if (kind == "slow") mix.slow = share;
    else Refuse("--mix '" + kind + "': wanted get, post, big or slow");
  }
  if (mix.get + mix.post + mix.big + mix.slow <= 0) Refuse("--mix: all shares are zero");
  return mix;
}

}  // namespace

Options ParseCommandLine(int argc, char** argv) {
  CLI::App app{"Sends HTTP/1.1 requests at a fixed rate, checks every answer and accounts for every request."};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  Options options;
  std::string url, mix = "get=8,post=1,big=1";
  double duration_s = 10, timeout_s = 30;
  uint32_t progress_ms = 0, jitter_ms = 0;
  app.add_option("--url", url, "http://HOST[:PORT][/PATH]; PATH is what plain GETs ask for")->required();
  app.add_option("--rate", options.rate, "requests per second")->check(CLI::PositiveNumber);
  app.add_option("--connections", options.connections, "keep-alive connections")->check(CLI::Range(1, 100000));
  app.add_option("--new-connections", options.new_connections, "share of requests with a connection of their own")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--duration", duration_s, "seconds")->check(CLI::PositiveNumber);
  app.add_flag("--until-signal", options.until_signal, "run until SIGINT or SIGTERM");
  app.add_option("--burst", options.burst, "requests that come together, every BURST / RATE seconds")->check(CLI::Range(1, 100000));
  app.add_option("--jitter", jitter_ms, "milliseconds, at most, by which each burst comes later than the clock says, at random");
  app.add_option("--timeout", timeout_s, "seconds from a request's intended start")->check(CLI::PositiveNumber);
  app.add_option("--mix", mix, "shares, as get=8,post=1,big=1,slow=0");
  app.add_option("--post-bytes", options.post_bytes_max, "longest request body; lengths are random");
  app.add_option("--big-bytes", options.big_bytes_max, "longest big response; lengths are random");
  app.add_option("--slow-ms", options.slow_ms, "how long a slow request takes");
  app.add_option("--post-path", options.post_path, "where bodies are sent to; it answers as echo.php does");
  app.add_option("--endpoint-header", options.endpoint_header, "response header that names the endpoint");
  app.add_option("--seed", options.seed, "of kinds, lengths and contents");
  app.add_option("--samples", options.samples_max, "failed requests of each kind that are told one by one");
  app.add_option("--json", options.json_path, "where the report goes; - is stdout");
  app.add_option("--record", options.record_path, "one line for each request: what it was, when, how it ended (record.h)");
  app.add_option("--progress", progress_ms, "print a JSON line of counts every so many milliseconds");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  ParseUrl(url, options);
  options.mix = ParseMix(mix);
  options.duration = std::chrono::milliseconds(static_cast<int64_t>(duration_s * 1000));
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout_s * 1000));
  options.jitter = std::chrono::milliseconds(jitter_ms);
  options.progress = std::chrono::milliseconds(progress_ms);
  for (char& c : options.endpoint_header) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return options;
}

}  // namespace ringway::load
