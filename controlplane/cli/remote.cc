// The subcommands that talk to a running control plane over RUN_DIR/control.sock.
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstdio>
#include <iostream>

#include "common/http/client.h"
#include "common/http/percent.h"
#include "controlplane/cli/commands.h"
#include "controlplane/config/duration.h"
#include "controlplane/exit_codes.h"

namespace ringway::cp {
namespace {

absl::StatusOr<http::ClientResponse> Ask(const std::string& run_dir, const char* method, const std::string& target, std::chrono::milliseconds timeout) {
  http::Url url;
  url.unix_path = run_dir + "/control.sock";
  http::ClientRequest request;
  request.method = method;
  request.target = target;
  request.timeout = timeout;
  return http::FetchBlocking(url, request);
}

// 0 with `answer` set, or the exit code after an error message.
int Succeed(const absl::StatusOr<http::ClientResponse>& response, const std::string& run_dir, int refused) {
  if (!response.ok()) {
    std::cerr << "no control plane answers on " << run_dir << "/control.sock: " << response.status().message() << "\n";
    return kExitUnavailable;
  }
  if (response->status == 200) return 0;
  std::cerr << response->body;
  return refused;
}

}  // namespace

int ShowStatus(const std::string& run_dir, bool as_json) {
  const auto response = Ask(run_dir, "GET", "/status", std::chrono::seconds(5));
  if (const int code = Succeed(response, run_dir, kExitUnavailable); code != 0) return code;
  if (as_json) {
    std::cout << response->body;
    return 0;
  }
  const auto text = FormatStatus(response->body);
  if (!text.ok()) {
    std::cerr << text.status().message() << "\n";
    return kExitUnavailable;
  }
  std::cout << *text;
  return 0;
}

int Reload(const std::string& run_dir) {
  const auto response = Ask(run_dir, "POST", "/reload", std::chrono::seconds(30));
  const bool in_part = response.ok() && response->status == 409;
  if (const int code = Succeed(response, run_dir, in_part ? kExitUnavailable : kExitConfig); code != 0) return code;
  std::cout << response->body;
  return 0;
}

int Drain(const std::string& run_dir, const std::string& service, const std::string& endpoint, const std::string& timeout) {
  const auto wait_ms = ParseDurationMs(timeout);
  if (!wait_ms.ok()) {
    std::cerr << "--timeout: " << wait_ms.status().message() << "\n";
    return kExitUsage;
  }
  const std::string target = "/drain?service=" + http::PercentEncoded(service) + "&endpoint=" + http::PercentEncoded(endpoint) + "&timeout=" + timeout;
  const auto response = Ask(run_dir, "POST", target, std::chrono::milliseconds(*wait_ms) + std::chrono::seconds(5));
  if (const int code = Succeed(response, run_dir, kExitUsage); code != 0) return code;
  boost::json::error_code error;
  const boost::json::value answer = boost::json::parse(response->body, error);
  if (error || !answer.is_object()) return kExitUnavailable;
  const auto number = [&answer](const char* key) { return answer.at(key).to_number<uint64_t>(); };
  const std::string name = std::string(answer.at("service").as_string()) + " " + std::string(answer.at("endpoint").as_string());
  if (answer.at("drained").as_bool()) {
    std::cout << name << " is drained (" << number("dataplanes") << " dataplanes)\n";
    return 0;
  }
  std::cout << name << " gets no new requests, but is not drained yet: " << std::string_view(answer.at("why").as_string()) << "\n";
  return kExitTemporary;
}

int Undrain(const std::string& run_dir, const std::string& service, const std::string& endpoint) {
  const std::string target = "/undrain?service=" + http::PercentEncoded(service) + "&endpoint=" + http::PercentEncoded(endpoint);
  const auto response = Ask(run_dir, "POST", target, std::chrono::seconds(5));
  if (const int code = Succeed(response, run_dir, kExitUsage); code != 0) return code;
  std::cout << response->body;
  return 0;
}

}  // namespace ringway::cp
