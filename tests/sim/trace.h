// What happened, for people: the last lines are kept and shown when a run fails; all of them with --trace.
// And the one way a run fails: Fail throws, main prints seed, reason and trace.
#pragma once

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>

namespace ringway::sim {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Trace {
 public:
  explicit Trace(bool print) : print_(print) {}
  void Set(const uint64_t* now_us) { now_us_ = now_us; }

  [[gnu::format(printf, 2, 3)]] void Say(const char* format, ...);
  // Shows every `--trace` line at once; else what is kept.
  void PrintTail() const;

 private:
  static constexpr size_t kKept = 120;
  const bool print_;
  const uint64_t* now_us_ = nullptr;
  std::deque<std::string> lines_;
};

[[noreturn, gnu::format(printf, 1, 2)]] void Fail(const char* format, ...);

}  // namespace ringway::sim
