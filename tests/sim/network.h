// The network of a simulated run: byte streams between two sockets with bounded queues, FIN and RST as TCP has them, listening
// addresses, and the virtual clock with its queue of events. The worker's side reaches it through SimIo, clients and endpoints
// through the calls below. What is written arrives at once; slowness comes from the actors and from SimIo.
//
// RST follows Linux: closing with unread bytes sends RST instead of FIN, writing to a closed peer succeeds and brings a RST, and
// a RST may or may not take bytes with it that the other side has not read yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/ip_address.h"
#include "tests/sim/random.h"
#include "tests/sim/trace.h"

namespace ringway::sim {

using SocketId = uint32_t;
inline constexpr SocketId kNoSocket = ~0u;
using ListeningId = uint32_t;

// A client, an endpoint, one of its connections, or the scenario: woken when its sockets change and at times it asked for.
class Actor {
 public:
  virtual ~Actor() = default;
  virtual void Wake() = 0;
  bool notified = false;  // Network's
};

struct Socket {
  std::string rx;  // arrived and not read: [rx_at, end)
  size_t rx_at = 0;
  size_t capacity = 65536;
  SocketId peer = kNoSocket;
  Actor* owner = nullptr;  // null: the worker's
  dp::IpAddress remote;
  bool open = true;
  bool fin_in = false;    // the peer will send no more
  bool fin_out = false;   // we will not
  bool reset_in = false;  // RST arrived
  uint64_t sent = 0;      // bytes, in total
  uint64_t taken = 0;
  uint64_t accepted_us = 0;  // client's side: since when the worker has it
  const uint64_t* left_us = nullptr;  // client's side: when the dataplane that has it began to leave; zero: not yet
  uint64_t seam = 0;  // reads like to stop where so many bytes are taken: the sender's segments
  // Worker's side: which map it ran when it submitted the byte at this offset of `sent`, ascending.
  std::vector<std::pair<uint64_t, uint64_t>> map_at;

  size_t readable() const { return rx.size() - rx_at; }
  // The connection's end has arrived, in whatever form.
  bool over() const { return fin_in || reset_in; }
};

// Listens at an address of an endpoint.
class Server {
 public:
  enum class Answer : uint8_t { kAccept, kRefuse, kHang };
  virtual ~Server() = default;
  virtual Answer OnKnock() = 0;
  // `socket` is the server's side; it becomes its owner.
  virtual void OnConnection(SocketId socket) = 0;
};

class Network {
 public:
  Network(uint64_t seed, Trace& shown) : random(seed), trace(shown) { trace.Set(&now_us); }

  uint64_t now_us = 1000000;
  Random random;
  Trace& trace;
  uint64_t narrow_percent = 8;  // sockets that take few bytes
  uint64_t jumps = 0;  // of the clock
  uint64_t jumped_us = 0;
  uint64_t SteadyUs() const { return now_us - jumped_us; }  // without the jumps

  // Events.
  void At(uint64_t us, Actor* actor) { events_.push({us, ++sequence_, actor}); }
  void After(uint64_t us, Actor* actor) { At(now_us + us, actor); }
  void Notify(Actor* actor);
  uint64_t NextEventUs() const { return events_.empty() ? ~uint64_t{0} : events_.top().us; }
  bool RunDue();  // true when something ran

  // Sockets of any side.
  Socket& operator[](SocketId id) { return *sockets_[id]; }
  size_t Write(SocketId id, const char* data, size_t size);
  size_t Room(SocketId id) const;
  size_t Read(SocketId id, char* data, size_t size);
  void Shutdown(SocketId id);
  void Close(SocketId id);
  void Reset(SocketId id);

  // Client's side: kNoSocket when nobody listens there.
  SocketId Connect(Actor* owner, const dp::IpAddress& from, const dp::IpAddress& to);
  // Worker's side.
  // A listening socket, which ends when all who hold it have let go: descriptors, of one dataplane or two, and accepts.
  ListeningId Listen(const dp::IpAddress& at);
  void HoldListening(ListeningId id) { ++listeners_.at(id).held; }
  void LetGoListening(ListeningId id);
  SocketId TakeBacklog(ListeningId id);  // kNoSocket when none waits
  bool BacklogEmpty(ListeningId id) const { return listeners_.at(id).backlog.empty(); }
  Server* ServerAt(const dp::IpAddress& address);
  SocketId OpenTowards(Server& server, const dp::IpAddress& to);

  void Serve(const dp::IpAddress& at, Server* server) { servers_[Key(at)] = server; }
  void StopServing(const dp::IpAddress& at, Server* server);

 private:
  struct Event {
    uint64_t us;
    uint64_t sequence;
    Actor* actor;
    bool operator>(const Event& other) const {
      return us != other.us ? us > other.us : sequence > other.sequence;
    }
  };
  struct Listening {
    uint64_t key = 0;
    uint32_t held = 1;
    std::deque<SocketId> backlog;
  };
  static uint64_t Key(const dp::IpAddress& a) {
    return uint64_t{a.bytes[0]} << 40 | uint64_t{a.bytes[1]} << 32 | uint64_t{a.bytes[2]} << 24 |
           uint64_t{a.bytes[3]} << 16 | a.port;
  }
  std::pair<SocketId, SocketId> Pair();
  void SendReset(SocketId to);

  std::vector<std::unique_ptr<Socket>> sockets_;
  std::priority_queue<Event, std::vector<Event>, std::greater<Event>> events_;
  uint64_t sequence_ = 0;
  ListeningId listening_next_ = 0;
  std::map<ListeningId, Listening> listeners_;
  std::map<uint64_t, Server*> servers_;
};

}  // namespace ringway::sim
