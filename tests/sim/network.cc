// Streams, listeners and events; see network.h.
#include "tests/sim/network.h"

#include <algorithm>

namespace ringway::sim {

void Network::Notify(Actor* actor) {
  if (actor == nullptr || actor->notified) return;
  actor->notified = true;
  After(random.Skewed(1, 400), actor);
}

bool Network::RunDue() {
  bool ran = false;
  while (!events_.empty() && events_.top().us <= now_us) {
    Actor* actor = events_.top().actor;
    events_.pop();
    actor->notified = false;
    actor->Wake();
    ran = true;
  }
  return ran;
}

size_t Network::Room(SocketId id) const {
  const Socket& s = *sockets_[id];
  if (!s.open || s.fin_out || s.reset_in || s.peer == kNoSocket) return 0;
  const Socket& peer = *sockets_[s.peer];
  if (!peer.open) return 1 << 20;
  return peer.readable() < peer.capacity ? peer.capacity - peer.readable() : 0;
}

size_t Network::Write(SocketId id, const char* data, size_t size) {
  Socket& s = *sockets_[id];
  size = std::min(size, Room(id));
  if (size == 0) return 0;
  s.sent += size;
  Socket& peer = *sockets_[s.peer];
  if (!peer.open) {  // the network takes it, and answers with RST
    SendReset(id);
    return size;
  }
  if (peer.rx_at > 65536) {
    peer.rx.erase(0, peer.rx_at);
    peer.rx_at = 0;
  }
  peer.rx.append(data, size);
  Notify(peer.owner);
  return size;
}

size_t Network::Read(SocketId id, char* data, size_t size) {
  Socket& s = *sockets_[id];
  size = std::min(size, s.readable());
  std::copy_n(s.rx.data() + s.rx_at, size, data);
  s.rx_at += size;
  s.taken += size;
  if (s.rx_at == s.rx.size()) {
    s.rx.clear();
    s.rx_at = 0;
  }
  if (size > 0 && s.peer != kNoSocket) Notify(sockets_[s.peer]->owner);
  return size;
}

void Network::Shutdown(SocketId id) {
  Socket& s = *sockets_[id];
  if (s.fin_out || !s.open) return;
  s.fin_out = true;
  if (s.peer == kNoSocket) return;
  Socket& peer = *sockets_[s.peer];
  if (!peer.open) return;
  peer.fin_in = true;
  Notify(peer.owner);
}

void Network::Close(SocketId id) {
  Socket& s = *sockets_[id];
  if (!s.open) return;
  if (s.readable() > 0) return Reset(id);
  Shutdown(id);
  s.open = false;
}

void Network::Reset(SocketId id) {
  Socket& s = *sockets_[id];
  if (!s.open) return;
  s.open = false;
  s.rx.clear();
  s.rx_at = 0;
  if (s.peer != kNoSocket) SendReset(s.peer);
}

void Network::SendReset(SocketId to) {
  Socket& s = *sockets_[to];
  if (!s.open || s.reset_in) return;
  s.reset_in = true;
  if (random.Percent(50)) {
    s.rx.clear();
    s.rx_at = 0;
  }
  Notify(s.owner);
}

std::pair<SocketId, SocketId> Network::Pair() {
  const auto a = static_cast<SocketId>(sockets_.size());
  sockets_.push_back(std::make_unique<Socket>());
  sockets_.push_back(std::make_unique<Socket>());
  sockets_[a]->peer = a + 1;
  sockets_[a + 1]->peer = a;
  for (const SocketId id : {a, a + 1}) {
    sockets_[id]->capacity = random.Percent(narrow_percent) ? random.Between(16, 2000) : random.Skewed(1, 8) * 16384;
  }
  return {a, a + 1};
}

SocketId Network::Connect(Actor* owner, const dp::IpAddress& from, const dp::IpAddress& to) {
  std::vector<Listening*> found;
  for (auto& [id, listening] : listeners_) {
    if (listening.key == Key(to)) found.push_back(&listening);
  }
  if (found.empty()) return kNoSocket;
  const auto [mine, theirs] = Pair();
  sockets_[mine]->owner = owner;
  sockets_[mine]->remote = to;
  sockets_[theirs]->remote = from;
  found[random.Below(found.size())]->backlog.push_back(theirs);
  return mine;
}

ListeningId Network::Listen(const dp::IpAddress& at) {
  listeners_[++listening_next_].key = Key(at);
  return listening_next_;
}

void Network::LetGoListening(ListeningId id) {
  Listening& listening = listeners_.at(id);
  if (--listening.held > 0) return;
  for (const SocketId waiting : listening.backlog) Reset(waiting);
  listeners_.erase(id);
}

SocketId Network::TakeBacklog(ListeningId id) {
  std::deque<SocketId>& backlog = listeners_.at(id).backlog;
  if (backlog.empty()) return kNoSocket;
  const SocketId oldest = backlog.front();
  backlog.pop_front();
  return oldest;
}

Server* Network::ServerAt(const dp::IpAddress& address) {
  const auto found = servers_.find(Key(address));
  return found == servers_.end() ? nullptr : found->second;
}

SocketId Network::OpenTowards(Server& server, const dp::IpAddress& to) {
  const auto [mine, theirs] = Pair();
  sockets_[mine]->remote = to;
  server.OnConnection(theirs);
  return mine;
}

void Network::StopServing(const dp::IpAddress& at, Server* server) {
  const auto found = servers_.find(Key(at));
  if (found != servers_.end() && found->second == server) servers_.erase(found);
}

}  // namespace ringway::sim
