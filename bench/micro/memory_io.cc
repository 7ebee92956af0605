#include "bench/micro/memory_io.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ringway::bench {
namespace {

constexpr size_t kOperationsMax = 1 << 16;

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "memory_io: %s\n", what);
  std::abort();
}

}  // namespace

MemoryIo::MemoryIo(Peers& peers, WorkMeter& meter) : peers_(peers), meter_(meter) {
  const uint32_t counts[] = {1024, 64};
  const uint32_t sizes[] = {16 << 10, 256 << 10};
  for (size_t g = 0; g < dp::kGroups; ++g) {
    pools_[g].size = sizes[g];
    pools_[g].memory.assign(size_t{counts[g]} * sizes[g], '\0');
    for (uint32_t id = 0; id < counts[g]; ++id) pools_[g].free.push_back(static_cast<uint16_t>(id | (g == 1 ? kLargeBit : 0)));
  }
  sockets_.resize(4);  // descriptor 3 is the listening socket
  sockets_[3].open = true;
  submitted_.reserve(kOperationsMax);
  running_.reserve(kOperationsMax);
}

int MemoryIo::NewSocket() {
  int fd;
  if (free_.empty()) {
    fd = static_cast<int>(sockets_.size());
    sockets_.emplace_back();
  } else {
    fd = free_.back();
    free_.pop_back();
    sockets_[static_cast<size_t>(fd)] = Socket{};
  }
  sockets_[static_cast<size_t>(fd)].open = true;
  return fd;
}

MemoryIo::Socket& MemoryIo::Open(int fd) {
  Socket& socket = sockets_[static_cast<size_t>(fd)];
  if (!socket.open) Fail("a socket that is not open");
  return socket;
}

// --- The far ends ---

int MemoryIo::ConnectClient() {
  const int fd = NewSocket();
  connecting_.push_back(fd);
  return fd;
}

void MemoryIo::Deliver(int fd, std::string_view bytes) {
  Open(fd).inbox.append(bytes);
  ready_.push_back(fd);
}

void MemoryIo::End(int fd) {
  Open(fd).ended = true;
  ready_.push_back(fd);
}

// --- The Worker ---

int MemoryIo::OpenSocket(const dp::IpAddress&) {
  meter_.Stop();
  const int fd = NewSocket();
  meter_.Start();
  return fd;
}

bool MemoryIo::PeerOf(int, dp::IpAddress& out) {
  out = dp::IpAddress{};
  out.bytes = {192, 168, 10, 27};
  out.port = 40000;
  return true;
}

void MemoryIo::Accept(int, dp::Tag tag) {
  accept_tag_ = tag;
  accepting_ = true;
}

void MemoryIo::Connect(int fd, const dp::IpAddress&, dp::Tag tag) { submitted_.push_back({Kind::kConnect, fd, nullptr, 0, tag}); }

void MemoryIo::RecvSelect(int fd, dp::Tag tag, bool many) {
  Socket& socket = sockets_[static_cast<size_t>(fd)];
  socket.receiving = true;
  socket.many = many;
  socket.receive_tag = tag;
  submitted_.push_back({Kind::kReceive, fd, nullptr, 0, tag});
}

void MemoryIo::Send(int fd, const dp::Slice* slices, uint32_t count, dp::Tag tag, bool) {
  submitted_.push_back({Kind::kSend, fd, slices, count, tag});
}

void MemoryIo::Cancel(dp::Tag tag) {
  for (Socket& socket : sockets_) {
    if (!socket.receiving || socket.receive_tag.Pack() != tag.Pack()) continue;
    socket.ended = true;
    ready_.push_back(static_cast<int>(&socket - sockets_.data()));
  }
}

void MemoryIo::Close(int fd) { submitted_.push_back({Kind::kClose, fd, nullptr, 0, {}}); }

void MemoryIo::ReturnBuffer(dp::Group group, uint16_t id) { pools_[static_cast<size_t>(group)].free.push_back(id); }

void MemoryIo::PollIn(int, dp::Tag) { Fail("bulk is not played here"); }
void MemoryIo::PollOut(int, dp::Tag) { Fail("bulk is not played here"); }
int32_t MemoryIo::ReceiveNow(int, char*, uint32_t) { Fail("bulk is not played here"); }
int32_t MemoryIo::SendNow(int, const dp::Slice*, uint32_t, bool) { Fail("bulk is not played here"); }
int32_t MemoryIo::SpliceIn(int, uint16_t, uint32_t) { Fail("bulk is not played here"); }
int32_t MemoryIo::SpliceOut(uint16_t, int, uint32_t) { Fail("bulk is not played here"); }
int32_t MemoryIo::TakePipe() { Fail("bulk is not played here"); }
void MemoryIo::ReturnPipe(uint16_t, bool) { Fail("bulk is not played here"); }
uint16_t MemoryIo::TakeLarge() { Fail("bulk is not played here"); }

// --- A turn ---

void MemoryIo::Play() {
  now_us_ += kTurnUs;
  completed_.clear();
  for (; accepting_ && !connecting_.empty(); connecting_.pop_back()) {
    completed_.push_back({accept_tag_, connecting_.back(), dp::kNoBuffer, true});
  }
  running_.swap(submitted_);
  submitted_.clear();
  for (const Operation& o : running_) {
    switch (o.kind) {
      case Kind::kReceive:
        ready_.push_back(o.fd);
        break;
      case Kind::kSend:
        PlaySend(o);
        break;
      case Kind::kConnect:
        completed_.push_back({o.tag, 0, dp::kNoBuffer, false});
        break;
      case Kind::kClose:
        Open(o.fd).open = false;
        free_.push_back(o.fd);
        peers_.OnClosed(o.fd);
        break;
    }
  }
  for (size_t i = 0; i < ready_.size(); ++i) Receive(ready_[i]);
  ready_.clear();
  if (submitted_.size() > kOperationsMax) Fail("too many operations in a turn");
}

void MemoryIo::PlaySend(const Operation& o) {
  int32_t sent = 0;
  for (uint32_t i = 0; i < o.count; ++i) {
    sent += static_cast<int32_t>(o.slices[i].size);
    peers_.OnSent(o.fd, {o.slices[i].data, o.slices[i].size});
  }
  completed_.push_back({o.tag, sent, dp::kNoBuffer, false});
}

void MemoryIo::Receive(int fd) {
  Socket& socket = sockets_[static_cast<size_t>(fd)];
  const size_t there = socket.inbox.size() - socket.inbox_at;
  if (!socket.open || !socket.receiving || (there == 0 && !socket.ended)) return;
  socket.receiving = socket.many && there > 0;
  dp::Completion c{socket.receive_tag, 0, dp::kNoBuffer, socket.receiving};
  if (there > 0) {
    Pool& pool = pools_[static_cast<size_t>(dp::Group::kSmall)];
    if (pool.free.empty()) Fail("no buffer left");
    c.buffer = pool.free.back();
    pool.free.pop_back();
    char* data = BufferData(dp::Group::kSmall, c.buffer);
    const size_t room = pool.size;
    const size_t size = std::min(room, there);
    std::memcpy(data, socket.inbox.data() + socket.inbox_at, size);
    c.result = static_cast<int32_t>(size);
    socket.inbox_at += size;
    if (socket.inbox_at == socket.inbox.size()) {
      socket.inbox.clear();
      socket.inbox_at = 0;
    } else if (socket.receiving) {
      ready_.push_back(fd);
    }
  }
  completed_.push_back(c);
}

}  // namespace ringway::bench
