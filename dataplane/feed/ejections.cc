// Endpoints that passive health keeps out; see ejections.h.
#include "dataplane/feed/ejections.h"

#include <time.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace ringway::dp {
namespace {

std::string Seconds(uint64_t us) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f s", static_cast<double>(us) / 1e6);
  return text;
}

const char* ReasonName(uint64_t reason) {
  return reason < kEjectionReasonNames.size() ? kEjectionReasonNames[reason] : "";
}

}  // namespace

uint64_t MonotonicNowUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

EjectionState EjectionOf(EndpointHandle handle, const std::vector<const WorkerShared*>& workers, uint64_t now_us) {
  EjectionState state;
  uint64_t last_us = 0;
  for (const WorkerShared* worker : workers) {
    const EndpointCounters& c = worker->counters.endpoints[handle];
    const uint64_t until_us = c.ejected_until_us.Get();
    state.times += c.ejections_total.Get();
    if (until_us > now_us) ++state.workers;
    if (until_us <= last_us) continue;
    last_us = until_us;
    state.reason = ReasonName(c.ejection_reason.Get());
  }
  if (last_us > now_us) state.remaining_us = last_us - now_us;
  return state;
}

std::vector<std::string> EjectionWatch::Poll(uint64_t now_us) {
  std::vector<std::string> lines;
  uint64_t total = 0;
  for (const WorkerShared* worker : workers_) total += worker->counters.worker.ejections_total.Get();
  const bool grown = total != total_;
  total_ = total;
  if (grown || look_again_) FindNew(now_us);
  look_again_ = grown;
  if (!watched_.empty()) Follow(now_us, lines);
  if (now_us - window_us_ >= kWindowUs) {
    if (unsaid_ > 0) {
      lines.push_back(absl::StrCat("passive health: ", unsaid_, " more ejections and returns of endpoints in ",
                                   Seconds(now_us - window_us_), "; ", watched_.size(), " endpoints are kept out now"));
    }
    window_us_ = now_us;
    said_ = 0;
    unsaid_ = 0;
  }
  return lines;
}

void EjectionWatch::FindNew(uint64_t now_us) {
  for (const auto& [handle, record] : directory_.endpoints) {
    const bool out = std::any_of(workers_.begin(), workers_.end(), [&, h = handle](const WorkerShared* worker) {
      return worker->counters.endpoints[h].ejected_until_us.Get() > now_us;
    });
    if (out) watched_.try_emplace(handle);
  }
}

void EjectionWatch::Follow(uint64_t now_us, std::vector<std::string>& lines) {
  for (auto it = watched_.begin(); it != watched_.end();) {
    auto& [handle, watched] = *it;
    const bool known = directory_.endpoints.contains(handle);
    const EjectionState state = known ? EjectionOf(handle, workers_, now_us) : EjectionState{};
    const bool ready = Ready(handle);
    if (state.workers == 0) {
      if (ready && watched.since_us != 0) {
        Say(absl::StrCat(Name(handle), " takes requests again after ", Seconds(now_us - watched.since_us)), now_us, lines);
      }
      changes_ += watched.shown ? 1 : 0;
      it = watched_.erase(it);
      continue;
    }
    // Over, and ejected anew before this poll: on probation one failure is enough.
    const bool again = watched.since_us != 0 && watched.until_us <= now_us;
    if (watched.since_us == 0 || again) {
      watched.since_us = now_us;
      if (ready) Say(EjectedLine(handle, state, again), now_us, lines);
    }
    const EjectionState& told = watched.state;
    const bool same = told.workers == state.workers && told.times == state.times && told.reason == state.reason;
    changes_ += watched.shown != ready || (ready && !same) ? 1 : 0;
    watched.state = state;
    watched.until_us = now_us + state.remaining_us;
    watched.shown = ready;
    ++it;
  }
}

std::vector<api::Ejection> EjectionWatch::Ejected(uint64_t now_us) const {
  std::vector<api::Ejection> ejected;
  for (const auto& [handle, watched] : watched_) {
    if (!watched.shown || !Ready(handle)) continue;
    const EndpointRecord& record = directory_.endpoints.at(handle);
    const EjectionState state = EjectionOf(handle, workers_, now_us);
    if (state.workers == 0) continue;
    // Rounded up: what is kept out has time left.
    const uint32_t remaining_ms = static_cast<uint32_t>(std::min<uint64_t>((state.remaining_us + 999) / 1000, UINT32_MAX));
    ejected.push_back({record.service, record.endpoint.id, record.endpoint.generation, state.workers, remaining_ms,
                       state.times, state.reason});
  }
  return ejected;
}

bool EjectionWatch::Ready(EndpointHandle handle) const {
  const auto found = directory_.endpoints.find(handle);
  return found != directory_.endpoints.end() && !found->second.left &&
         found->second.endpoint.state == api::EndpointState::kReady;
}

void EjectionWatch::Say(std::string line, uint64_t now_us, std::vector<std::string>& lines) {
  if (said_ == 0) window_us_ = now_us;
  if (said_ >= kLinesMax) {
    ++unsaid_;
    return;
  }
  ++said_;
  lines.push_back(std::move(line));
}

std::string EjectionWatch::EjectedLine(EndpointHandle handle, const EjectionState& state, bool again) const {
  return absl::StrCat(Name(handle), again ? " ejected again for " : " ejected for ", Seconds(state.remaining_us), ": ",
                      state.reason, " (ejections so far, all workers: ", state.times, ")");
}

std::string EjectionWatch::Name(EndpointHandle handle) const {
  const EndpointRecord& record = directory_.endpoints.at(handle);
  return absl::StrCat("service ", record.service, ": endpoint ", record.endpoint.id, " (", record.endpoint.address, " port ",
                      record.endpoint.port, ")");
}

}  // namespace ringway::dp
