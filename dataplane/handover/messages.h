// What two dataplanes say to each other at a handover, one JSON object a record. Unknown keys are ignored and missing ones have
// their defaults, so that older and newer releases understand each other; what they cannot is a matter of `protocol`.
//
//   successor                      predecessor
//   take {protocol, ...}     ──▶
//                            ◀──   offer {protocol, workers, sockets, ...}   with the snapshot as a file, if there is one
//                            ◀──   sockets [...]                            with one file for each, until offer.sockets are there
//   ready                    ──▶   accepts no more, from here on it is leaving
//                            ◀──   left
//
// `refuse {reason}` ends it from either side. Before `ready` nothing has happened: whoever goes away leaves the other as it was.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace ringway::dp {

inline constexpr uint32_t kHandoverProtocol = 1;     // spoken by this release
inline constexpr uint32_t kHandoverProtocolMin = 1;  // the oldest it understands

struct Take {
  uint32_t protocol = kHandoverProtocol;
  uint32_t protocol_min = kHandoverProtocolMin;
  int64_t pid = 0;
  std::string release;
};

struct Offer {
  uint32_t protocol = kHandoverProtocol;  // the one both speak from here on
  int64_t pid = 0;
  std::string release;
  uint32_t workers = 0;
  uint32_t sockets = 0;    // that follow, of listeners and stats
  bool snapshot = false;   // a file comes with this record: the snapshot that runs, as feed.md's message
  bool partial = false;    // but for its listeners: those are of an earlier version
  int64_t snapshot_unix_ms = 0;  // when it was pushed or written
};

// A listening socket by what it is for. A snapshot's listener is found by `bind` and `protocol`.
struct SocketName {
  std::string bind;
  std::string protocol;  // "http", "tcp", or "stats"
  uint32_t worker = 0;
  bool operator==(const SocketName&) const = default;
};
struct Sockets {
  std::vector<SocketName> sockets;
};

struct Ready {};
struct Left {};
struct Refused {
  std::string reason;
};

using HandoverMessage = std::variant<Take, Offer, Sockets, Ready, Left, Refused>;

std::string Encode(const HandoverMessage& message);
// InvalidArgument says what was wanted.
absl::StatusOr<HandoverMessage> Decode(const std::string& bytes);

// The highest protocol both sides speak, or in words why there is none.
absl::StatusOr<uint32_t> ChooseProtocol(uint32_t theirs, uint32_t their_min);

}  // namespace ringway::dp
