// dataplane/core's Io over memory, for counting: every operation succeeds, whole, in the next turn, and the same run always
// does the same. What the far ends do is up to Peers, and is not measured. One thread's.
//
// An operation here does what UringIo's does in userspace, about: it notes its arguments. Its cost is told apart by the
// class's name (bench/micro/instructions).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/micro/work_meter.h"
#include "dataplane/core/io.h"

namespace ringway::bench {

// The clients and endpoints.
class Peers {
 public:
  virtual ~Peers() = default;
  virtual void OnSent(int fd, std::string_view bytes) = 0;
  virtual void OnClosed(int fd) = 0;
};

class MemoryIo {
 public:
  MemoryIo(Peers& peers, WorkMeter& meter);

  // What Peers do.
  int ConnectClient();  // to the one listening socket: its descriptor
  void Deliver(int fd, std::string_view bytes);
  void End(int fd);  // a FIN

  // What a Worker asks.
  uint64_t NowUs() const { return now_us_; }
  int OpenSocket(const dp::IpAddress& address);
  bool PeerOf(int fd, dp::IpAddress& out);
  bool SamplePath(int, dp::PathSample&) { return false; }
  void Accept(int fd, dp::Tag tag);
  void Connect(int fd, const dp::IpAddress& address, dp::Tag tag);
  void RecvSelect(int fd, dp::Tag tag, bool many);
  void Send(int fd, const dp::Slice* slices, uint32_t count, dp::Tag tag, bool);
  void Cancel(dp::Tag tag);
  void Shutdown(int) {}
  void Close(int fd);
  void Reset(int fd) { Close(fd); }
  // No scenario moves bulk.
  void PollIn(int, dp::Tag);
  void PollOut(int, dp::Tag);
  int32_t ReceiveNow(int, char*, uint32_t);
  int32_t SendNow(int, const dp::Slice*, uint32_t, bool);
  int32_t SpliceIn(int, uint16_t, uint32_t);
  int32_t SpliceOut(uint16_t, int, uint32_t);
  int32_t TakePipe();
  void ReturnPipe(uint16_t, bool);
  uint16_t TakeLarge();
  char* BufferData(dp::Group group, uint16_t id) {
    Pool& pool = pools_[static_cast<size_t>(group)];
    return pool.memory.data() + size_t{pool.size} * (id & ~kLargeBit);
  }
  uint32_t BufferSize(dp::Group group) const { return pools_[static_cast<size_t>(group)].size; }
  uint32_t BuffersFree(dp::Group group) const { return static_cast<uint32_t>(pools_[static_cast<size_t>(group)].free.size()); }
  void ReturnBuffer(dp::Group group, uint16_t id);

  template <class Handler>
  void Turn(uint32_t, Handler&& handler) {
    meter_.Stop();
    Play();
    meter_.Start();
    for (const dp::Completion& c : completed_) handler(c);
  }

 private:
  static constexpr uint16_t kLargeBit = 0x4000;
  static constexpr uint64_t kTurnUs = 100;
  struct Pool {
    std::string memory;
    uint32_t size = 0;
    std::vector<uint16_t> free;
  };
  struct Socket {
    bool open = false;
    bool ended = false;
    std::string inbox;
    size_t inbox_at = 0;
    bool receiving = false;
    bool many = false;
    dp::Tag receive_tag;
  };
  enum class Kind : uint8_t { kReceive, kSend, kConnect, kClose };
  struct Operation {
    Kind kind;
    int fd;
    const dp::Slice* slices;
    uint32_t count;
    dp::Tag tag;
  };

  Socket& Open(int fd);
  int NewSocket();
  void Play();
  void PlaySend(const Operation& o);
  void Receive(int fd);

  Peers& peers_;
  WorkMeter& meter_;
  uint64_t now_us_ = 1000000;
  Pool pools_[dp::kGroups];
  std::vector<Socket> sockets_;
  std::vector<int> free_;
  std::vector<int> ready_;  // sockets with something to receive, perhaps
  std::vector<int> connecting_;  // clients to be accepted
  dp::Tag accept_tag_;
  bool accepting_ = false;
  std::vector<Operation> submitted_;
  std::vector<Operation> running_;
  std::vector<dp::Completion> completed_;
};

}  // namespace ringway::bench
