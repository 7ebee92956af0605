// dataplane/core's Io over the simulated network: what the ring may do to a Worker, chosen by the seed. Operations run when the
// kernel would run them: at once if they can, else in a later turn; sends read their memory only then. Completions come in
// order, but a turn may hand out only the first few. Bulk is moved within the call, before what has only been submitted; a pipe
// holds what it was given, in order, until it is taken out or closed. What the Worker must never do is a violation and ends
// the run.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "dataplane/core/io.h"
#include "tests/sim/network.h"

namespace ringway::sim {

struct SimIoOptions {
  uint32_t buffers_small = 64;
  uint32_t buffers_large = 4;
  uint32_t pipes_max = 4;
  uint32_t pipe_bytes = 65536;
  uint32_t buffer_small_size = 16384;
  uint32_t buffer_large_size = 65536;
  uint32_t files_max = 1000;
  uint64_t hang_us = 0;             // a connection without progress for longer is a violation
  uint32_t again_per_mille = 0;     // spurious EAGAIN and EINTR
  uint32_t short_percent = 0;       // reads and writes that take less than they could
  uint32_t late_percent = 0;        // operations that are ready and held back
  uint32_t partial_percent = 0;     // turns that hand out only a part of the completions
  bool crumbs = false;              // multishot receives bring 8 bytes at a time, until there are none
  uint32_t many_ends_percent = 0;   // multishot accepts and receives that end by themselves, at each completion
  uint32_t accept_error_per_mille = 0;
  uint32_t no_buffers_per_mille = 0; // ENOBUFS though some are free again
  uint32_t connect_error_percent = 0;
  uint64_t splice_refused_at_us = ~uint64_t{0};  // from this time on
  uint32_t no_pipe_percent = 0;     // no descriptor is free for one
  uint32_t stuck_per_mille = 0;     // connections that from some moment on take none of what is sent at once, and say nothing
  uint32_t jump_per_mille = 0;      // turns after which the clock is seconds or minutes ahead
};

// What the scenario sees of the Worker's doings.
class IoWatch {
 public:
  virtual ~IoWatch() = default;
  virtual void OnConnecting(const dp::IpAddress& to) = 0;
  virtual uint64_t MapVersion() const = 0;
};

class SimIo {
 public:
  SimIo(Network& network, IoWatch& watch, const SimIoOptions& options);

  uint64_t NowUs() const { return sampled_us_; }
  int OpenSocket(const dp::IpAddress& address);
  bool PeerOf(int fd, dp::IpAddress& out);
  bool SamplePath(int fd, dp::PathSample& out);
  void Accept(int fd, dp::Tag tag);
  void Connect(int fd, const dp::IpAddress& address, dp::Tag tag);
  void RecvSelect(int fd, dp::Tag tag, bool many);
  void Send(int fd, const dp::Slice* slices, uint32_t count, dp::Tag tag, bool end_follows);
  void PollIn(int fd, dp::Tag tag) { Poll(fd, tag); }
  void PollOut(int fd, dp::Tag tag) { Poll(fd, tag); }
  int32_t ReceiveNow(int fd, char* data, uint32_t size);
  int32_t SendNow(int fd, const dp::Slice* slices, uint32_t count, bool more_follows);
  int32_t SpliceIn(int fd, uint16_t pipe, uint32_t size);
  int32_t SpliceOut(uint16_t pipe, int fd, uint32_t size);
  int32_t TakePipe();
  void ReturnPipe(uint16_t id, bool empty);
  uint16_t TakeLarge();
  void Cancel(dp::Tag tag);
  void Shutdown(int fd);
  void Close(int fd);
  void Reset(int fd);
  char* BufferData(dp::Group group, uint16_t id);
  uint32_t BufferSize(dp::Group group) const { return PoolOf(group).size; }
  uint32_t BuffersFree(dp::Group group) const { return static_cast<uint32_t>(PoolOf(group).free.size()); }
  void ReturnBuffer(dp::Group group, uint16_t id);

  template <class Handler>
  void Turn(uint32_t timeout_ms, Handler&& handler) {
    Wait(timeout_ms);
    for (size_t left = Ready(); left > 0; --left) {
      const dp::Completion c = completed_.front();
      completed_.pop_front();
      Show(c);
      handler(c);
    }
  }

  // A listening socket at `address`, which the Worker then owns.
  int OpenListener(const dp::IpAddress& address);
  // The same as another dataplane has, as it comes with SCM_RIGHTS.
  int TakeListener(const SimIo& from, int fd);
  // Turns sleep no longer than this: another dataplane wants to run.
  void LimitWait(uint64_t us) { wait_us_max_ = us; }
  // When this dataplane began to leave; zero until then.
  uint64_t left_us = 0;

  // A service has left: what is in flight for it lives by default time-outs, an hour for streams.
  void AllowDefaults() { defaults_us_ = 3800 * uint64_t{1000000}; }

  // For the end of a run. What was submitted last is done when the ring is given up.
  void Flush() { Issue(); }
  // Listening sockets of a map that the worker never took are not its own.
  void CheckNothingLeft(bool last_map_taken) const;
  struct Totals {
    uint64_t operations = 0, faults = 0;
    uint64_t client_in = 0, client_out = 0, upstream_in = 0, upstream_out = 0;
    uint64_t accepted = 0, connects = 0;
    uint64_t spliced = 0, received_now = 0;  // bytes
    uint64_t splice_refused = 0, no_pipe = 0, stuck = 0;  // times
  };
  const Totals& totals() const { return totals_; }

 private:
  static constexpr uint16_t kLargeBit = 0x4000;
  struct Pool {
    std::string memory;
    uint32_t size = 0;
    std::vector<uint16_t> free;
    std::vector<bool> held;
  };
  struct File {
    bool open = false;
    bool listening = false;
    bool connected = false;
    bool upstream = false;
    SocketId socket = kNoSocket;
    ListeningId listening_id = 0;
    uint64_t progress_us = 0;
    bool stuck = false;
    uint64_t end_due_us = 0;       // all was sent in the expectation of an end
    uint64_t silent_since_us = 0;  // stuck, and an endpoint's that has not said anything yet
    uint32_t serial = 0;  // tells one use of the number from the next
  };
  struct Operation {
    dp::Tag tag;
    int fd = -1;
    bool many = false;
    bool poll = false;
    bool canceled = false;
    bool end_follows = false;  // send: nothing may be sent behind it
    bool knocked = false;  // connect: answered by the server
    bool hangs = false;
    ListeningId listening_id = 0;  // accept: held until it has completed
    uint32_t slices = 0;
    std::array<dp::Slice, dp::kSlicesMax> slice;
    dp::IpAddress to;
    uint64_t not_before_us = 0;
  };
  struct Pipe {
    bool held = false;
    std::string bytes;
  };
  struct Submission {
    enum class Kind : uint8_t { kOperation, kCancel, kClose, kReset } kind;
    Operation operation;
  };

  Pool& PoolOf(dp::Group group) { return pools_[static_cast<size_t>(group)]; }
  const Pool& PoolOf(dp::Group group) const { return pools_[static_cast<size_t>(group)]; }
  File& FileOf(int fd, const char* what);
  int NewFile(bool limited = true);
  int AddListener(ListeningId id);
  void Free(int fd);
  Submission& Submit(Submission::Kind kind, int fd, dp::Tag tag);
  void CheckAlone(const Operation& operation) const;
  void CheckNone(int fd, bool receive, const char* what) const;
  void Poll(int fd, dp::Tag tag);
  int32_t TakeBytes(int fd, char* data, size_t room);
  void NoteMap(int fd);
  int32_t SendOf(const Operation& o);
  int32_t SendAtOnce(const Operation& o);
  size_t MayMove(size_t size);

  void Wait(uint32_t timeout_ms);
  size_t Ready();
  void Issue();
  void IssueClose(int fd, bool reset);
  void IssueCancel(dp::Tag tag);
  bool RunPending();
  // True when the operation has completed for good.
  bool Run(Operation& o, bool first);
  bool RunAccept(Operation& o);
  bool RunConnect(Operation& o);
  bool RunPoll(Operation& o);
  bool RunRecv(Operation& o);
  bool ReceiveOnce(Operation& o, bool exposed);
  bool RunSend(Operation& o);
  bool Complete(const Operation& o, int32_t result, uint16_t buffer = dp::kNoBuffer, bool more = false);
  void CheckMemory(const char* data, size_t size, const char* what) const;
  void CheckHangs();
  void Show(const dp::Completion& c);

  Network& network_;
  IoWatch& watch_;
  const SimIoOptions options_;
  Random& random_;
  uint64_t sampled_us_;
  uint64_t defaults_us_ = 0;
  uint64_t wait_us_max_ = ~uint64_t{0};
  std::array<Pool, dp::kGroups> pools_;
  std::vector<Pipe> pipes_;
  std::vector<File> files_;
  std::vector<Submission> submitted_;
  std::vector<Operation> pending_;
  std::deque<dp::Completion> completed_;
  bool refused_ = false;  // the last send, for no reason
  Totals totals_;
};

}  // namespace ringway::sim
