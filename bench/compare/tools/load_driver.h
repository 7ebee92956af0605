// Sends the requests and takes the answers: one thread, one ring. A connection has at most one chain of operations under way
// (connect, send, receive) whose last one completes, or the one that failed; so its slot is safe to reuse after that completion.
// Bodies are dropped in the kernel (MSG_TRUNC, tcp(7)) once the head has said how long they are.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "bench/compare/tools/load_options.h"
#include "bench/compare/tools/load_report.h"
#include "bench/compare/tools/response_reader.h"
#include "bench/compare/tools/ring.h"
#include "bench/compare/tools/watch.h"

namespace ringway::bench {

class LoadDriver {
 public:
  explicit LoadDriver(const LoadOptions& options);
  // Until the time is over and what was under way has ended, or a signal.
  LoadReport Run();

 private:
  enum Op : uint8_t { kOwn, kConnect, kSend, kRecv, kSkip };
  enum class State : uint8_t {
    kClosed,      // no descriptor
    kConnecting,  // without a request
    kFree,        // connected, nothing under way
    kWaiting,     // a request is under way
    kEnding,      // its answer came; the peer is to close
    kDropping,    // shut down by us; its completion is to come
  };
  enum class Phase : uint8_t { kPrepare, kMeasure, kDrain, kOver };

  struct Connection {
    int fd = -1;
    State state = State::kClosed;
    bool idle = false;         // one of --idle
    uint64_t begun_ns = 0;     // of the request: when it was due
    uint64_t sent_ns = 0;      // when it was sent, for the time-out
    uint64_t received = 0;     // of a message's answer
    ResponseReader reader;
  };

  void OnCompleted(Tag tag, const io_uring_cqe& cqe);
  void OnConnected(uint32_t index, int32_t result);
  void OnSendFailed(uint32_t index, int32_t result);
  void OnReceived(uint32_t index, const io_uring_cqe& cqe);
  void OnSkipped(uint32_t index, int32_t result);
  void OnPeerClosed(uint32_t index);

  void Open(uint32_t index);  // without a request
  const Address& TargetOf(uint32_t index) const { return options_.targets[index % options_.targets.size()]; }
  bool MakeSocket(Connection& connection);
  void Ready(uint32_t index);
  void Begin(uint32_t index, uint64_t due_ns);
  void Receive(uint32_t index);
  ResponseReader::Result TakeMessage(Connection& connection, uint32_t size);
  void Continue(uint32_t index, ResponseReader::Result result);
  void Answered(uint32_t index);
  void Judge(const Connection& connection);
  void Fail(Failure failure) { ++report_.failures[static_cast<size_t>(failure)]; }
  void Failed(uint32_t index, Failure failure);
  void CloseAndReopen(uint32_t index, uint64_t at_ns);
  void Reopen(uint32_t index);

  void Advance();  // from phase to phase
  void Start();
  void EndMeasuring();
  void Issue();    // what is due
  void Sweep();    // time-outs
  void CheckIdle(const Connection& connection);
  uint64_t NextWakeNs() const;
  uint64_t DueNs(uint64_t number) const { return begun_ns_ + static_cast<uint64_t>(static_cast<double>(number) * interval_ns_); }
  bool issuing() const { return started_ && phase_ != Phase::kDrain && phase_ != Phase::kOver; }

  const LoadOptions& options_;
  const bool open_loop_;
  const double interval_ns_;
  Ring ring_;
  BufferPool& pool_;
  void* nowhere_ = nullptr;
  HeadCache heads_;
  LoadReport report_;
  Watch watch_;
  std::vector<Connection> connections_;
  std::vector<uint32_t> free_;  // connections a due request may take, the one used last first
  std::deque<std::pair<uint64_t, uint32_t>> reopen_;  // when, and which; by time
  Phase phase_ = Phase::kPrepare;
  bool started_ = false;  // all of --idle are there, the clock runs
  uint64_t now_ns_ = 0;   // when the completions of this turn came
  uint64_t begun_ns_ = 0, measure_ns_ = 0, end_ns_ = 0;
  uint64_t sweep_ns_ = 0;
  uint64_t cpu_at_measure_ns_ = 0;
  uint64_t issued_ = 0;   // --rate: requests sent so far, in the order they were due
  bool was_free_ = false; // --rate: a connection was free when the last turn ended
  uint32_t under_way_ = 0;
  uint32_t idle_begun_ = 0, idle_ready_ = 0;
  uint32_t next_source_ = 0;
};

}  // namespace ringway::bench
