// An endpoint of the simulation: listens at an address, answers requests with content that the client can check, checks what
// the proxy made of them, and fails in the ways the seed gives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/ledger.h"
#include "tests/sim/message_reader.h"
#include "tests/sim/network.h"
#include "tests/sim/stream_end.h"

namespace ringway::sim {

class Endpoint;

// Which endpoints a map let new requests go to; the scenario knows.
class Membership {
 public:
  virtual ~Membership() = default;
  virtual bool Ready(uint64_t map_version, uint32_t endpoint) const = 0;
};

class EndpointConnection : public Actor {
 public:
  EndpointConnection(Endpoint& endpoint, SocketId socket);
  void Wake() override;
  void Die(bool reset);
  void NotePartial();
  bool over() const { return over_; }
  bool idle() const { return !reader_.begun() && out_.empty() && stream_ == nullptr; }

 private:
  enum class Fault : uint8_t {
    kNone, kDieAtOnce, kDieAfterRequest, kDieInHead, kDieInBody, kInvalid, kExtra, kStall, kStallInBody, kEarly, kSlow,
    kUnasked101, kEarlyClose, kBlind
  };
  void Later(uint64_t us);
  void Read();
  void OnHead();
  void JudgeHead(Request& r);
  void OnWhole();
  void Answer();
  std::string AnswerHead(Attempt& attempt, Request& r, MessageReader::Framing framing);
  void BeginStream();
  void Write();
  void OnAnswered();

  Endpoint& endpoint_;
  Network& network_;
  Ledger& ledger_;
  Random& random_;
  const SocketId socket_;
  bool over_ = false;
  uint64_t wake_at_ = 0;
  uint64_t offset_ = 0;        // bytes of complete requests taken
  uint64_t request_begin_ = 0; // of the current one
  uint32_t served_ = 0;
  MessageReader reader_;
  uint32_t request_ = 0;
  uint32_t attempt_ = 0;
  bool answered_ = false;      // its response is being written
  bool continue_sent_ = false;
  bool ignores_ = false;       // reads no more
  bool switched_ = false;     // a 101 without having looked: a stream, as far as anybody can tell
  bool stalled_ = false;
  Fault fault_ = Fault::kNone;
  std::string out_;
  size_t out_at_ = 0;
  size_t die_at_ = ~size_t{0}; // after so many bytes of `out_`
  bool die_reset_ = false;
  bool until_close_ = false;   // its response is
  size_t extra_ = 0;           // where in `out_` what nobody asked for begins
  bool stall_at_end_ = false;
  bool close_after_ = false;
  uint64_t idle_close_us_ = 0;
  std::string early_;          // stream bytes
  std::unique_ptr<StreamEnd> stream_;
};

class Endpoint : public Server {
 public:
  Endpoint(Network& network, Ledger& ledger, const Membership& membership, uint32_t number, uint32_t service, bool tcp,
           const dp::IpAddress& address);
  Answer OnKnock() override;
  void OnConnection(SocketId socket) override;
  // Gone: listens no more; connections die, or end when they are idle.
  void Stop(bool at_once);

  Network& network;
  Ledger& ledger;
  const Membership& membership;
  const uint32_t number;
  const uint32_t service;
  const bool tcp;
  const dp::IpAddress address;
  uint32_t handle = ~0u;
  bool stopped = false;
  uint32_t hang_percent = 0, refuse_percent = 0;

 private:
  std::vector<std::unique_ptr<EndpointConnection>> connections_;
};

}  // namespace ringway::sim
