// A client of the simulation: one connection with a few requests, or one TCP session, and the bad habits the seed gives it.
// It judges every response: order, content, framing, headers, whether it may end here.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "tests/sim/ledger.h"
#include "tests/sim/message_reader.h"
#include "tests/sim/network.h"
#include "tests/sim/stream_end.h"

namespace ringway::sim {

struct ClientTarget {
  dp::IpAddress listener;
  bool tcp = false;
  bool trusted = false;  // clients of this listener are trusted proxies
  uint32_t service = 0;  // tcp
  std::vector<uint32_t> services;
  std::vector<bool> holds;  // by service
  uint32_t head_timeout_ms = 0;
};

class Client : public Actor {
 public:
  Client(Network& network, Ledger& ledger, uint32_t number, const ClientTarget& target);
  void Wake() override;
  bool done() const { return done_; }
  std::string Describe() const;

 private:
  enum class Habit : uint8_t { kNone, kReset, kHalfClose, kStallWriting, kStallReading, kCloseEarly, kPauseReading, kGiveUp };
  struct Part {
    std::string text;
    size_t at = 0;
    uint32_t request = 0;
    bool after_continue = false;  // waits for 100, or a second
    bool first = false, last = false;
  };

  void Connect();
  void Later(uint64_t us);
  void AddRequest();
  void AddInvalid();
  void AddBody(Request& r, std::string head, bool chunked);
  std::string Head(Request& r, bool chunked);
  void Read();
  void Write();
  void OnBytes(const char* data, size_t size);
  void OnHead();
  void JudgeHeaders();
  void OnDone();
  void OnOver();
  void OnGone();
  void Misbehave();
  void GiveUp();
  bool Counts() const { return habit_ != Habit::kNone && habit_ != Habit::kPauseReading && habit_ != Habit::kGiveUp; }
  bool GoesOn() const;
  void Reconnect();
  void Finish(bool reset);
  bool Demanding(const Request& r) const { return ledger_.mood.calm && !r.touched; }

  Network& network_;
  Ledger& ledger_;
  Random& random_;
  const uint32_t number_;
  const ClientTarget target_;
  dp::IpAddress address_;
  SocketId socket_ = kNoSocket;
  uint32_t connects_left_ = 5;
  bool done_ = false;

  uint64_t wake_at_ = 0;
  uint64_t pace_us_ = 0;
  size_t pace_bytes_ = 0;
  bool bytewise_heads_ = false;
  uint64_t byte_us_ = 0;
  uint64_t quiet_us_ = 0;  // when the last response was read

  Habit habit_ = Habit::kNone;
  uint64_t habit_at_ = 0;  // bytes written, or read
  uint64_t give_up_us_ = 0;
  bool misbehaved_ = false;
  bool paused_ = false;
  uint64_t written_ = 0, read_ = 0;

  uint32_t requests_left_ = 0;
  uint32_t depth_ = 1;
  bool invalid_last_ = false;
  bool half_close_ = false;  // ends its side after the last request
  int invalid_status_ = 0;
  std::deque<Part> out_;
  std::deque<uint32_t> waiting_;  // requests without final response, oldest first
  bool invalid_sent_ = false;
  uint64_t continue_deadline_ = 0;
  bool continued_ = false;
  MessageReader reader_;
  bool deaf_ = false;
  bool closing_ = false;  // the last response said so
  bool half_closed_ = false;
  std::unique_ptr<StreamEnd> stream_;
};

}  // namespace ringway::sim
