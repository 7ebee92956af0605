// Which requests are sent: kind, length and contents, from one seed. What a right answer looks like is decided here too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "tests/support/load/options.h"
#include "tests/support/load/response_reader.h"

namespace ringway::load {

enum class Kind : uint8_t { kGet, kPost, kBig, kSlow };
inline constexpr size_t kKinds = 4;
std::string_view Name(Kind kind);

struct Job {
  uint64_t id = 0;  // 1, 2, ...; sent as X-Load-Id: SEED-ID, so that an endpoint's log tells which requests it acted on
  Kind kind = Kind::kGet;
  bool new_connection = false;
  std::string target;
  std::string_view body;     // points into the workload's bytes
  size_t expected_bytes = 0;  // kBig: length of the response's body
  std::chrono::steady_clock::time_point intended;
  std::string_view Method() const { return kind == Kind::kPost ? "POST" : "GET"; }
};

// A reason why the answer is not the right one, first in words of the report's failure kinds.
struct Mismatch {
  std::string_view kind;  // "wrong_status", "short_body", "wrong_checksum"
  std::string detail;
};

class Workload {
 public:
  explicit Workload(const Options& options);
  Job Next(std::chrono::steady_clock::time_point intended);
  std::chrono::microseconds Delay();  // of the next burst, up to options.jitter
  std::string Head(const Job& job) const;

 private:
  size_t RandomLength(size_t longest);

  const Options& options_;
  std::mt19937_64 random_;
  uint64_t made_ = 0;
  std::discrete_distribution<int> kinds_;
  std::string bytes_;  // every body is a piece of this
};

// Nothing when `response`, complete, answers `job`.
std::optional<Mismatch> Compare(const Job& job, ResponseReader& response);

}  // namespace ringway::load
