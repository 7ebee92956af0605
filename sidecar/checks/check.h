// A health check as a service definition describes it, and one result of it.
// https://developer.hashicorp.com/consul/docs/v1.8.x/discovery/checks
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringway::sidecar {

enum class CheckStatus { kPassing = 0, kWarning = 1, kCritical = 2 };  // the worst is the greatest

inline std::string_view StatusName(CheckStatus status) {
  constexpr std::string_view kNames[] = {"passing", "warning", "critical"};
  return kNames[static_cast<int>(status)];
}

struct CheckResult {
  CheckStatus status = CheckStatus::kCritical;
  std::string output;  // at most kCheckOutputMax bytes
};
inline constexpr size_t kCheckOutputMax = 4096;

struct CheckDefinition {
  enum class Kind { kHttp, kTcp, kScript, kTtl };
  Kind kind = Kind::kTcp;
  std::string id;
  std::string name;
  std::string notes;
  std::string target;                                        // kHttp: URL; kTcp: HOST:PORT
  std::string method = "GET";                                // kHttp
  std::string body;                                          // kHttp
  std::vector<std::pair<std::string, std::string>> headers;  // kHttp
  std::vector<std::string> args;                             // kScript
  std::chrono::milliseconds interval{10000};
  std::chrono::milliseconds timeout{10000};
  std::chrono::milliseconds ttl{0};  // kTtl: the application reports to the catalog itself
  std::optional<std::chrono::milliseconds> deregister_after;
  std::optional<CheckStatus> initial_status;
  int success_before_passing = 0;
  int failures_before_critical = 0;
};

// success_before_passing and failures_before_critical: a change needs that many results in a row, except the first.
class Threshold {
 public:
  explicit Threshold(const CheckDefinition& check)
      : successes_needed_(check.success_before_passing), failures_needed_(check.failures_before_critical) {}

  // The status to show after `result`. A warning counts as a success, as in Consul.
  CheckStatus Take(CheckStatus result);
  void Reset();

 private:
  const int successes_needed_;
  const int failures_needed_;
  int in_a_row_ = 0;
  bool first_ = true;
  CheckStatus last_ = CheckStatus::kCritical;
  CheckStatus shown_ = CheckStatus::kCritical;
};

}  // namespace ringway::sidecar
