// See pool.h.
#include "controlplane/pool/pool.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "controlplane/config/duration.h"

namespace ringway::cp {
namespace {

constexpr uint32_t kWeightMax = 256;
constexpr std::string_view kCheckFailed = "active check failed: ";

std::string WithReason(const char* bare, const char* with, const std::string& reason) { return reason.empty() ? bare : with + reason; }

std::string CriticalReason(const Instance& instance) {
  if (instance.health == InstanceHealth::kWarning) return WithReason("a check in the catalog warns", "catalog check warns: ", instance.reason);
  return WithReason("a check in the catalog is critical", "catalog check critical: ", instance.reason);
}

std::string LeavingReason(const Instance& instance) {
  if (instance.draining) return "draining: asked for by its sidecar or by hand";
  return WithReason("in maintenance", "in maintenance: ", instance.reason);
}

std::chrono::milliseconds operator""_ms(unsigned long long count) { return std::chrono::milliseconds(count); }

}  // namespace

std::optional<std::string> CheckFailureOf(const api::Endpoint& endpoint) {
  if (endpoint.state != api::EndpointState::kDown || !endpoint.reason.starts_with(kCheckFailed)) return std::nullopt;
  return endpoint.reason.substr(kCheckFailed.size());
}

Instance InstanceOf(const api::Endpoint& endpoint) {
  Instance instance;
  instance.id = endpoint.id;
  instance.generation = endpoint.generation;
  instance.address = endpoint.address;
  instance.port = endpoint.port;
  instance.weight = endpoint.weight;
  instance.draining = endpoint.state == api::EndpointState::kDraining;
  const bool down = endpoint.state == api::EndpointState::kDown && !CheckFailureOf(endpoint);
  instance.health = down ? InstanceHealth::kCritical : InstanceHealth::kPassing;
  return instance;
}

std::vector<api::Endpoint> Pool::Judge(const Rules& rules, const Evidence& evidence, const std::vector<api::Endpoint>& before, Time now) {
  Candidates candidates = Merge(evidence, before);
  SettleClaims(candidates);
  for (Candidate& candidate : candidates) {
    candidate.word = WordOf(candidate);
    HearWitnesses(candidate, evidence);
  }
  Doubt(candidates, rules, evidence, now);
  std::erase_if(candidates, [](const Candidate& one) { return one.word == Word::kGone && !one.member.held; });
  for (Candidate& candidate : candidates) JudgeHealth(candidate, rules, now);
  Cap(candidates, rules.ejected_percent_max);
  next_look_ = held_since_ ? held_until_ : Time::max();
  std::vector<api::Endpoint> endpoints;
  endpoints.reserve(candidates.size());
  members_.clear();
  for (Candidate& candidate : candidates) {
    endpoints.push_back(MakeEndpoint(candidate));
    if (candidate.member.flapping) next_look_ = std::min(next_look_, candidate.member.flap.returns_at());
    members_.push_back(std::move(candidate.member));
  }
  return endpoints;
}

std::optional<Pool::Time> Pool::FlapsUntil(size_t index) const {
  if (index >= members_.size() || !members_[index].flapping) return std::nullopt;
  return members_[index].flap.returns_at();
}

// Both lists are sorted by id. A new generation of an id is another endpoint, with nothing to remember.
Pool::Candidates Pool::Merge(const Evidence& evidence, const std::vector<api::Endpoint>& before) {
  if (members_.size() != before.size()) {  // the first look after a restart: what was known then counts
    members_.assign(before.size(), {});
    for (size_t i = 0; i < before.size(); ++i) {
      members_[i].seen = true;
      members_[i].ready = before[i].state == api::EndpointState::kReady;
      members_[i].healthy = before[i].state != api::EndpointState::kDown;
    }
  }
  Candidates candidates;
  candidates.reserve(std::max(evidence.instances.size(), before.size()));
  size_t old = 0;
  const auto keep_gone = [&] {
    Candidate& gone = candidates.emplace_back();
    gone.before = &before[old];
    gone.member = std::move(members_[old++]);
  };
  for (const Instance& instance : evidence.instances) {
    while (old < before.size() && before[old].id < instance.id) keep_gone();
    Candidate& candidate = candidates.emplace_back();
    candidate.instance = &instance;
    if (old == before.size() || before[old].id != instance.id) continue;
    if (before[old].generation == instance.generation) {
      candidate.before = &before[old];
      candidate.member = std::move(members_[old]);
    }
    ++old;
  }
  while (old < before.size()) keep_gone();
  return candidates;
}

// Of the instances that claim one address and port the newest registration has it: the others are leftovers.
void Pool::SettleClaims(Candidates& candidates) {
  const auto newer = [](const Instance& a, const Instance& b) {
    return std::tie(a.registered_index, a.generation, a.id) > std::tie(b.registered_index, b.generation, b.id);
  };
  absl::flat_hash_map<std::pair<std::string_view, uint16_t>, Candidate*> owners;
  owners.reserve(candidates.size());
  for (Candidate& candidate : candidates) {
    candidate.member.newer_claim.clear();
    if (candidate.instance == nullptr) continue;
    const auto [place, first] = owners.try_emplace({candidate.instance->address, candidate.instance->port}, &candidate);
    if (first) continue;
    Candidate*& owner = place->second;
    if (newer(*candidate.instance, *owner->instance)) {
      owner->member.newer_claim = candidate.id();
      owner = &candidate;
    } else {
      candidate.member.newer_claim = owner->id();
    }
  }
}

Pool::Word Pool::WordOf(const Candidate& candidate) {
  if (candidate.instance == nullptr) return Word::kGone;
  if (!candidate.member.newer_claim.empty()) return Word::kOutdated;
  const Instance& instance = *candidate.instance;
  if (instance.draining || instance.health == InstanceHealth::kMaintenance) return Word::kLeaving;
  return instance.health == InstanceHealth::kPassing ? Word::kReady : Word::kCritical;
}

void Pool::HearWitnesses(Candidate& candidate, const Evidence& evidence) {
  if (evidence.failing.empty() && evidence.ejected.empty()) return;
  const uint64_t generation = candidate.instance != nullptr ? candidate.instance->generation : candidate.before->generation;
  const auto failure = evidence.failing.find(candidate.id());
  if (failure != evidence.failing.end() && failure->second.generation == generation) candidate.failure = &failure->second;
  const auto ejected = evidence.ejected.find(candidate.id());
  candidate.ejected = ejected != evidence.ejected.end() && ejected->second == generation;
}

// An answer that takes the last ready endpoints away is doubted for a while, except for those that left by themselves, and those
// whose active check fails too. As soon as the catalog calls any endpoint ready it is believed again.
void Pool::Doubt(Candidates& candidates, const Rules& rules, const Evidence& evidence, Time now) {
  catalog_ready_ = std::any_of(candidates.begin(), candidates.end(), [](const Candidate& one) { return one.word == Word::kReady; });
  if (catalog_ready_ || (held_since_ && now >= *held_since_ + rules.empty_hold)) return EndHold(candidates);
  const bool begins = !held_since_ && rules.empty_hold > 0_ms;
  held_ = 0;
  for (Candidate& candidate : candidates) {
    Member& member = candidate.member;
    const bool was_ready = (begins ? member.ready : member.held) && candidate.failure == nullptr;
    member.held = was_ready && (candidate.word == Word::kCritical || (candidate.word == Word::kGone && !evidence.left_by_itself(candidate.id())));
    if (member.held) ++held_;
  }
  if (held_ == 0) return EndHold(candidates);
  if (begins) held_since_ = now;
  held_until_ = *held_since_ + rules.empty_hold;
  for (Candidate& candidate : candidates) candidate.member.ready = candidate.member.held;
}

void Pool::EndHold(Candidates& candidates) {
  held_since_.reset();
  held_ = 0;
  for (Candidate& candidate : candidates) {
    candidate.member.held = false;
    candidate.member.ready = candidate.word == Word::kReady;
  }
}

// What the catalog and the active check say together, and how often that changed of late.
void Pool::JudgeHealth(Candidate& candidate, const Rules& rules, Time now) {
  Member& member = candidate.member;
  if (candidate.word != Word::kLeaving && candidate.word != Word::kOutdated) {  // of those no health is known, or asked for
    const bool healthy = (candidate.word == Word::kReady || member.held) && candidate.failure == nullptr;
    if (member.seen && member.healthy && !healthy) member.flap.OnFell(now);
    if (member.seen && !member.healthy && healthy) {
      const auto wait = member.flap.OnRose(now, rules.flap_hold_max);
      member.flap_reason = "flapping: back in " + FormatDuration(static_cast<uint32_t>(wait.count()));
    }
    member.healthy = healthy;
    member.seen = true;
  }
  member.flapping = member.healthy && candidate.word != Word::kLeaving && candidate.word != Word::kOutdated && now < member.flap.returns_at();
  const bool out = candidate.failure != nullptr || candidate.ejected || member.flapping;
  if (out && !member.out) member.out_since = now;
  member.out = out;
}

// At most a share of the endpoints is taken out by what Ringway itself sees; the catalog's word is not capped, but counts. Who
// failed first stays out; those that are well and only wait for having flapped are the first to be let in.
void Pool::Cap(Candidates& candidates, uint32_t percent_max) {
  uint64_t in_pool = 0;
  uint64_t down_by_catalog = 0;
  std::vector<Candidate*> out;
  for (Candidate& candidate : candidates) {
    if (candidate.word == Word::kLeaving || candidate.word == Word::kOutdated) continue;
    ++in_pool;
    if (candidate.word != Word::kReady && !candidate.member.held) {
      ++down_by_catalog;
    } else if (candidate.member.out) {
      out.push_back(&candidate);
    }
  }
  kept_ = 0;
  const uint64_t allowed = in_pool * percent_max / 100;
  const uint64_t slots = allowed - std::min(allowed, down_by_catalog);
  if (out.size() <= slots) return;
  std::sort(out.begin(), out.end(), [](const Candidate* a, const Candidate* b) {
    return std::tie(a->member.flapping, a->member.out_since, a->id()) < std::tie(b->member.flapping, b->member.out_since, b->id());
  });
  for (size_t i = slots; i < out.size(); ++i) {
    out[i]->kept = out[i]->failure != nullptr || out[i]->member.flapping;  // an ejection is the dataplane's, and capped there
    if (out[i]->kept) ++kept_;
  }
}

api::Endpoint Pool::MakeEndpoint(const Candidate& candidate) {
  api::Endpoint endpoint;
  if (candidate.instance != nullptr) {
    const Instance& instance = *candidate.instance;
    endpoint.id = instance.id;
    endpoint.generation = instance.generation;
    endpoint.address = instance.address;
    endpoint.port = instance.port;
    endpoint.weight = std::clamp<uint32_t>(instance.weight, 1, kWeightMax);
  } else {
    endpoint = *candidate.before;
    endpoint.state = api::EndpointState::kReady;
    endpoint.reason.clear();
  }
  const Member& member = candidate.member;
  const auto set = [&endpoint](api::EndpointState state, std::string reason) {
    endpoint.state = state;
    endpoint.reason = std::move(reason);
  };
  using enum api::EndpointState;
  if (candidate.word == Word::kOutdated) {
    set(kDown, member.newer_claim + " has registered the same address later");
  } else if (candidate.word == Word::kLeaving) {
    set(kDraining, LeavingReason(*candidate.instance));
  } else if (candidate.word == Word::kCritical && !member.held) {
    set(kDown, CriticalReason(*candidate.instance));
  } else if (candidate.failure != nullptr && candidate.kept) {
    set(kReady, "kept: too many fail their checks; " + std::string(kCheckFailed) + candidate.failure->reason);
  } else if (candidate.failure != nullptr) {
    set(kDown, std::string(kCheckFailed) + candidate.failure->reason);
  } else if (member.flapping) {
    set(candidate.kept ? kReady : kDown, (candidate.kept ? "kept: too many fail their checks; " : "") + member.flap_reason);
  } else if (member.held) {
    set(kReady, "held: the catalog emptied the pool");
  }
  return endpoint;
}

}  // namespace ringway::cp
