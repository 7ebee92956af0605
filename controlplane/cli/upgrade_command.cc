// `ringway upgrade`: checks what it can before anything changes, asks the `ringway up` that runs, and tells what came of it. This
// is the new release's program already, so it judges the config file as the new control plane will.
#include <unistd.h>

#include <iostream>
#include <thread>

#include "common/http/client.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/up_socket.h"
#include "controlplane/config/duration.h"
#include "controlplane/config/load.h"
#include "controlplane/exit_codes.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr milliseconds kStatusTimeout{5000};
constexpr milliseconds kBeyond{15000};  // the control plane's stop and start, after the dataplane's
constexpr milliseconds kControlWait{10000};

std::string Text(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool ControlPlaneAnswers(const std::string& run_dir) {
  http::Url url;
  url.unix_path = run_dir + "/control.sock";
  http::ClientRequest request;
  request.target = "/status";
  request.timeout = milliseconds(1000);
  const auto end = std::chrono::steady_clock::now() + kControlWait;
  do {
    const auto response = http::FetchBlocking(url, request);
    if (response.ok() && response->status == 200) return true;
    std::this_thread::sleep_for(milliseconds(50));
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

int NoAnswer(const absl::Status& status) {
  std::cerr << "no `ringway up` answers: " << status.message() << "\n";
  return kExitUnavailable;
}

}  // namespace

int Upgrade(const std::string& run_dir, const std::string& timeout) {
  const auto wait_ms = ParseDurationMs(timeout);
  if (!wait_ms.ok()) {
    std::cerr << "--timeout: " << wait_ms.status().message() << "\n";
    return kExitUsage;
  }
  const auto status = AskUp(run_dir, {{"command", "status"}}, kStatusTimeout);
  if (!status.ok()) return NoAnswer(status.status());
  const auto config = LoadConfig(Text(*status, "config"));
  if (!config.ok()) {
    std::cerr << config.status().message() << "\nnothing was changed: this release refuses the config file\n";
    return kExitConfig;
  }
  const auto answer = AskUp(run_dir, {{"command", "upgrade"}, {"timeout_ms", *wait_ms}}, milliseconds(*wait_ms) + kBeyond);
  if (!answer.ok()) return NoAnswer(answer.status());
  const bool ok = IsOk(*answer);
  (ok ? std::cout : std::cerr) << Text(*answer, "words") << "\n";
  if (!ok) return kExitTemporary;
  if (ControlPlaneAnswers(run_dir)) return 0;
  std::cerr << "but the new control plane does not answer: see its log; the dataplane goes on with what it has\n";
  return kExitTemporary;
}

}  // namespace ringway::cp
