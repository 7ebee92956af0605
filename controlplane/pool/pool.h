// The pool of one service: what its instances become in the snapshot, given what the catalog, the active checks and the
// dataplanes say of them. Holds what a look at one moment cannot tell: who was ready before, who flaps, since when someone is
// down. Pure: no I/O, the time is given. The rules, in the order they are applied: docs/reference/config.md, "Who gets requests".
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "controlplane/discovery/instance.h"
#include "controlplane/health/check_failure.h"
#include "controlplane/pool/ejected.h"
#include "controlplane/pool/flap_damper.h"

namespace ringway::cp {

// The reverse of what Pool writes, for what was known before a restart: the instance as the catalog must have named it, and why
// its active check had taken it down, if it had.
Instance InstanceOf(const api::Endpoint& endpoint);
std::optional<std::string> CheckFailureOf(const api::Endpoint& endpoint);

class Pool {
 public:
  using Time = FlapDamper::Time;

  struct Rules {
    std::chrono::milliseconds empty_hold{10000};
    std::chrono::milliseconds flap_hold_max{60000};
    uint32_t ejected_percent_max = 50;
  };
  struct Evidence {
    const std::vector<Instance>& instances;  // sorted by id, with usable addresses
    const CheckFailures& failing;
    const EjectedEndpoints& ejected;
    std::function<bool(const std::string& id)> left_by_itself;  // asked of those that are not among `instances` any more
  };

  // The endpoints now, sorted by id. `before` is what the last call returned; at the first call it is empty, or what was known
  // before a restart.
  std::vector<api::Endpoint> Judge(const Rules& rules, const Evidence& evidence, const std::vector<api::Endpoint>& before, Time now);

  // When the pool changes by itself; Time::max(): never.
  Time next_look() const { return next_look_; }
  // Endpoints that stay ready although the catalog does not say so any more, and until when.
  size_t held() const { return held_; }
  Time held_until() const { return held_until_; }
  // Did the catalog call any endpoint ready in its last answer?
  bool catalog_ready() const { return catalog_ready_; }
  // Endpoints that stay ready although their checks fail, because too many do.
  size_t kept() const { return kept_; }
  // When the `index`-th endpoint of the last answer, which flaps, is let back; nullopt when nothing keeps it out for that.
  std::optional<Time> FlapsUntil(size_t index) const;

 private:
  // What is remembered of an endpoint from one look to the next.
  struct Member {
    bool seen = false;         // false: this is the first look at this generation
    bool ready = false;        // the catalog called it ready, or it is held
    bool held = false;
    bool healthy = true;       // by the catalog and the active check
    bool out = false;          // by its active check, for flapping, or ejected by a dataplane
    bool flapping = false;     // healthy, and waits
    Time out_since{};
    FlapDamper flap;
    std::string flap_reason;
    std::string newer_claim;   // the id of the instance that registered its address later
  };
  enum class Word : uint8_t { kReady, kLeaving, kCritical, kGone, kOutdated };  // the catalog's
  struct Candidate {
    const Instance* instance = nullptr;      // null: the catalog does not name it any more
    const api::Endpoint* before = nullptr;   // of the same generation
    const CheckFailure* failure = nullptr;
    Word word = Word::kGone;
    bool ejected = false;
    bool kept = false;
    Member member;
    const std::string& id() const { return instance != nullptr ? instance->id : before->id; }
  };
  using Candidates = std::vector<Candidate>;

  Candidates Merge(const Evidence& evidence, const std::vector<api::Endpoint>& before);
  static void SettleClaims(Candidates& candidates);
  static Word WordOf(const Candidate& candidate);
  static void HearWitnesses(Candidate& candidate, const Evidence& evidence);
  void Doubt(Candidates& candidates, const Rules& rules, const Evidence& evidence, Time now);
  void EndHold(Candidates& candidates);
  static void JudgeHealth(Candidate& candidate, const Rules& rules, Time now);
  void Cap(Candidates& candidates, uint32_t percent_max);
  static api::Endpoint MakeEndpoint(const Candidate& candidate);

  std::vector<Member> members_;  // of the endpoints of the last answer, in its order
  std::optional<Time> held_since_;
  Time held_until_{};
  bool catalog_ready_ = false;
  size_t held_ = 0;
  size_t kept_ = 0;
  Time next_look_ = Time::max();
};

}  // namespace ringway::cp
