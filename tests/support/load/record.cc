// See record.h.
#include "tests/support/load/record.h"

namespace ringway::load {
namespace {

template <typename Clock>
int64_t Us(std::chrono::time_point<Clock> when) {
  return std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count();
}

// What the peer sent may hold anything: a line stays a line.
std::string OneField(std::string text) {
  for (char& c : text) {
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

}  // namespace

Recorder::Recorder(const std::string& path)
    : on_(!path.empty()), unix_minus_steady_us_(Us(std::chrono::system_clock::now()) - Us(std::chrono::steady_clock::now())) {
  if (on_) file_.open(path, std::ios::trunc);
}

int64_t Recorder::UnixUs(std::chrono::steady_clock::time_point when) const { return Us(when) + unix_minus_steady_us_; }

void Recorder::Write(const Job& job, const Outcome& outcome) {
  if (!on_) return;
  file_ << job.id << '\t' << UnixUs(job.intended) << '\t' << UnixUs(outcome.sent_at) << '\t' << UnixUs(std::chrono::steady_clock::now())
        << '\t' << Name(job.kind) << '\t' << (job.new_connection ? 1 : 0) << '\t' << outcome.races << '\t' << outcome.status << '\t'
        << outcome.failure << '\t' << OneField(outcome.endpoint) << '\t' << OneField(outcome.retry_after) << '\t'
        << OneField(outcome.detail) << '\n';
}

bool Recorder::Close() {
  if (!on_) return true;
  file_.close();
  return !file_.fail();
}

}  // namespace ringway::load
