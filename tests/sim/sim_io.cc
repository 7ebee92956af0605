// The simulated ring; see sim_io.h.
#include "tests/sim/sim_io.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

namespace ringway::sim {
namespace {

constexpr uint64_t kStuckUsMax = 200000;  // for what was held back to complete
constexpr char kPoison = static_cast<char>(0xDD);

const char* NameOf(dp::Op op) {
  static constexpr const char* kNames[] = {"none", "accept", "client-recv", "client-send", "connect", "upstream-recv", "upstream-send"};
  return kNames[static_cast<size_t>(op)];
}

bool IsRecv(dp::Op op) { return op == dp::Op::kClientRecv || op == dp::Op::kUpstreamRecv; }
bool IsSend(dp::Op op) { return op == dp::Op::kClientSend || op == dp::Op::kUpstreamSend; }

}  // namespace

SimIo::SimIo(Network& network, IoWatch& watch, const SimIoOptions& options)
    : network_(network), watch_(watch), options_(options), random_(network.random), sampled_us_(network.now_us) {
  const uint32_t counts[] = {options.buffers_small, options.buffers_large};
  const uint32_t sizes[] = {options.buffer_small_size, options.buffer_large_size};
  for (size_t g = 0; g < dp::kGroups; ++g) {
    pools_[g].size = sizes[g];
    pools_[g].memory.assign(size_t{counts[g]} * sizes[g], kPoison);
    pools_[g].held.assign(counts[g], false);
    for (uint32_t id = 0; id < counts[g]; ++id) pools_[g].free.push_back(static_cast<uint16_t>(id));
  }
  pipes_.resize(options.pipes_max);
}

// --- What the Worker calls ---

int SimIo::NewFile(bool limited) {
  size_t fd = 3, open = 0;
  for (const File& file : files_) open += file.open ? 1 : 0;
  if (limited && open >= options_.files_max) return -EMFILE;
  if (files_.size() < 3) files_.resize(3);
  while (fd < files_.size() && files_[fd].open) ++fd;  // the lowest free number, as the kernel does
  if (fd == files_.size()) files_.emplace_back();
  const uint32_t serial = files_[fd].serial + 1;
  files_[fd] = File{};
  files_[fd].open = true;
  files_[fd].serial = serial;
  files_[fd].progress_us = network_.SteadyUs();
  return static_cast<int>(fd);
}

SimIo::File& SimIo::FileOf(int fd, const char* what) {
  if (fd < 3 || static_cast<size_t>(fd) >= files_.size() || !files_[static_cast<size_t>(fd)].open) {
    Fail("%s on file %d, which is not open", what, fd);
  }
  return files_[static_cast<size_t>(fd)];
}

int SimIo::AddListener(ListeningId id) {
  const int fd = NewFile(false);
  files_[static_cast<size_t>(fd)].listening = true;
  files_[static_cast<size_t>(fd)].listening_id = id;
  return fd;
}

int SimIo::OpenListener(const dp::IpAddress& address) { return AddListener(network_.Listen(address)); }

int SimIo::TakeListener(const SimIo& from, int fd) {
  const ListeningId id = from.files_[static_cast<size_t>(fd)].listening_id;
  network_.HoldListening(id);
  return AddListener(id);
}

int SimIo::OpenSocket(const dp::IpAddress&) {
  const int fd = NewFile();
  if (fd < 0) {
    ++totals_.faults;
    return fd;
  }
  files_[static_cast<size_t>(fd)].upstream = true;
  return fd;
}

// Only of a descriptor that is open; what it says does not matter, but that it grows.
bool SimIo::SamplePath(int fd, dp::PathSample& out) {
  FileOf(fd, "SamplePath");
  const uint32_t now = static_cast<uint32_t>(NowUs());
  out = {1 + now % 1000, now, now / 100};
  return true;
}

bool SimIo::PeerOf(int fd, dp::IpAddress& out) {
  const File& file = FileOf(fd, "PeerOf");
  Socket& s = network_[file.socket];
  if (s.reset_in) return false;
  out = s.remote;
  return true;
}

SimIo::Submission& SimIo::Submit(Submission::Kind kind, int fd, dp::Tag tag) {
  submitted_.emplace_back();
  submitted_.back().kind = kind;
  submitted_.back().operation.fd = fd;
  submitted_.back().operation.tag = tag;
  return submitted_.back();
}

// One receive and one send at a time on a connection.
void SimIo::CheckAlone(const Operation& operation) const {
  const auto clashes = [&](const Operation& o) {
    if (o.tag.op == dp::Op::kAccept) return operation.tag.op == o.tag.op && o.listening_id == operation.listening_id;
    return o.fd == operation.fd && o.tag.op == operation.tag.op;
  };
  bool two = std::any_of(pending_.begin(), pending_.end(), clashes);
  for (const Submission& s : submitted_) {
    two = two || (s.kind == Submission::Kind::kOperation && &s.operation != &operation && clashes(s.operation));
  }
  if (two) Fail("a second %s in flight on file %d", NameOf(operation.tag.op), operation.fd);
}

void SimIo::Accept(int fd, dp::Tag tag) {
  const File& file = FileOf(fd, "Accept");
  if (!file.listening) Fail("Accept on file %d, which does not listen", fd);
  Operation& o = Submit(Submission::Kind::kOperation, fd, tag).operation;
  o.listening_id = file.listening_id;
  network_.HoldListening(o.listening_id);
  CheckAlone(o);
}

void SimIo::Connect(int fd, const dp::IpAddress& address, dp::Tag tag) {
  FileOf(fd, "Connect");
  watch_.OnConnecting(address);
  ++totals_.connects;
  Submit(Submission::Kind::kOperation, fd, tag).operation.to = address;
}

void SimIo::RecvSelect(int fd, dp::Tag tag, bool many) {
  FileOf(fd, "RecvSelect");
  Operation& o = Submit(Submission::Kind::kOperation, fd, tag).operation;
  o.many = many;
  CheckAlone(o);
}

void SimIo::Send(int fd, const dp::Slice* slices, uint32_t count, dp::Tag tag, bool end_follows) {
  FileOf(fd, "Send");
  if (count == 0 || count > dp::kSlicesMax) Fail("Send of %u slices on file %d", count, fd);
  Operation& o = Submit(Submission::Kind::kOperation, fd, tag).operation;
  o.slices = count;
  o.end_follows = end_follows;
  for (uint32_t i = 0; i < count; ++i) {  // the array is the kernel's after submission, the bytes are not
    o.slice[i] = slices[i];
    if (slices[i].size == 0) Fail("Send of an empty slice on file %d", fd);
    CheckMemory(slices[i].data, slices[i].size, "Send");
  }
  CheckAlone(o);
  NoteMap(fd);
}

void SimIo::NoteMap(int fd) {
  const File& file = files_[static_cast<size_t>(fd)];
  if (!file.upstream || file.socket == kNoSocket) return;
  Socket& s = network_[file.socket];
  const uint64_t version = watch_.MapVersion();
  const bool again = !s.map_at.empty() && s.map_at.back().first == s.sent;  // nothing went the first time: chosen by then
  if (!again && (s.map_at.empty() || s.map_at.back().second != version)) s.map_at.emplace_back(s.sent, version);
}

void SimIo::Poll(int fd, dp::Tag tag) {
  FileOf(fd, "Poll");
  Operation& o = Submit(Submission::Kind::kOperation, fd, tag).operation;
  o.poll = true;
  CheckAlone(o);
}

// What is moved at once must not overtake what is in flight in the same direction.
void SimIo::CheckNone(int fd, bool receive, const char* what) const {
  const auto clashes = [&](const Operation& o) { return o.fd == fd && (receive ? IsRecv(o.tag.op) : IsSend(o.tag.op)); };
  bool any = std::any_of(pending_.begin(), pending_.end(), clashes);
  for (const Submission& s : submitted_) any = any || (s.kind == Submission::Kind::kOperation && clashes(s.operation));
  if (any) Fail("%s on file %d while an operation of that direction is in flight", what, fd);
}

size_t SimIo::MayMove(size_t size) {
  if (size > 1 && random_.Percent(options_.short_percent)) return random_.Percent(30) ? 1 : random_.Between(1, size);
  return size;
}

int32_t SimIo::TakeBytes(int fd, char* data, size_t room) {
  File& file = FileOf(fd, "receive at once");
  if (file.socket == kNoSocket) Fail("receive on file %d before it is connected", fd);
  Socket& s = network_[file.socket];
  if (random_.PerMille(options_.again_per_mille)) {
    ++totals_.faults;
    return random_.Percent(50) ? -EAGAIN : -EINTR;
  }
  if (s.readable() == 0) return !s.over() ? -EAGAIN : s.reset_in ? -ECONNRESET : 0;
  size_t size = MayMove(std::min(room, s.readable()));
  if (s.seam > s.taken && s.seam < s.taken + size && random_.Percent(70)) size = s.seam - s.taken;
  network_.Read(file.socket, data, size);
  file.progress_us = network_.SteadyUs();
  (file.upstream ? totals_.upstream_in : totals_.client_in) += size;
  network_.trace.Say("io: %zu bytes taken at once from file %d", size, fd);
  return static_cast<int32_t>(size);
}

int32_t SimIo::ReceiveNow(int fd, char* data, uint32_t size) {
  CheckNone(fd, true, "ReceiveNow");
  CheckMemory(data, size, "ReceiveNow");
  const int32_t got = TakeBytes(fd, data, size);
  if (got > 0) totals_.received_now += static_cast<uint64_t>(got);
  return got;
}

int32_t SimIo::SendNow(int fd, const dp::Slice* slices, uint32_t count, bool) {
  const File& file = FileOf(fd, "SendNow");
  CheckNone(fd, false, "SendNow");
  Operation o;
  o.fd = fd;
  o.tag.op = file.upstream ? dp::Op::kUpstreamSend : dp::Op::kClientSend;
  o.slices = count;
  for (uint32_t i = 0; i < count; ++i) {
    o.slice[i] = slices[i];
    if (slices[i].size == 0) Fail("SendNow of an empty slice on file %d", fd);
  }
  NoteMap(fd);
  return SendAtOnce(o);
}

int32_t SimIo::SendAtOnce(const Operation& o) {
  File& file = files_[static_cast<size_t>(o.fd)];
  if (file.stuck) Fail("file %d is asked again and again to take what it does not", o.fd);
  file.stuck = options_.stuck_per_mille > 0 && random_.PerMille(options_.stuck_per_mille);
  if (!file.stuck) return SendOf(o);
  ++totals_.stuck;
  ++totals_.faults;
  if (file.upstream && network_[file.socket].taken == 0) file.silent_since_us = network_.SteadyUs();
  return 0;
}

// A pipe is bytes in order. It may take less than there is, for want of places.
int32_t SimIo::SpliceIn(int fd, uint16_t pipe, uint32_t size) {
  CheckNone(fd, true, "SpliceIn");
  Pipe& p = pipes_.at(pipe);
  if (network_.now_us >= options_.splice_refused_at_us) {
    if (++totals_.splice_refused > 1) Fail("splice is tried again after it was refused");
    return -EOPNOTSUPP;
  }
  if (!p.held || !p.bytes.empty()) Fail("SpliceIn into pipe %u, which is not held, or not empty", pipe);
  p.bytes.resize(std::min(size, options_.pipe_bytes));
  const int32_t got = TakeBytes(fd, p.bytes.data(), p.bytes.size());
  p.bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (got > 0) totals_.spliced += static_cast<uint64_t>(got);
  return got;
}

int32_t SimIo::SpliceOut(uint16_t pipe, int fd, uint32_t size) {
  const File& file = FileOf(fd, "SpliceOut");
  CheckNone(fd, false, "SpliceOut");
  Pipe& p = pipes_.at(pipe);
  if (!p.held || size == 0 || size > p.bytes.size()) Fail("SpliceOut of %u bytes out of pipe %u, which has %zu", size, pipe, p.bytes.size());
  Operation o;
  o.fd = fd;
  o.tag.op = file.upstream ? dp::Op::kUpstreamSend : dp::Op::kClientSend;
  o.slices = 1;
  o.slice[0] = {p.bytes.data(), size};
  NoteMap(fd);
  const int32_t sent = SendAtOnce(o);
  if (sent > 0) p.bytes.erase(0, static_cast<size_t>(sent));
  return sent;
}

int32_t SimIo::TakePipe() {
  if (random_.Percent(options_.no_pipe_percent)) {
    ++totals_.no_pipe;
    return random_.Percent(50) ? -EMFILE : -ENFILE;
  }
  for (size_t id = 0; id < pipes_.size(); ++id) {
    if (pipes_[id].held) continue;
    pipes_[id].held = true;
    return static_cast<int32_t>(id);
  }
  return -ENOBUFS;
}

void SimIo::ReturnPipe(uint16_t id, bool empty) {
  Pipe& p = pipes_.at(id);
  if (!p.held) Fail("pipe %u returned twice", id);
  if (empty != p.bytes.empty()) Fail("pipe %u returned with %zu bytes in it, said to be %s", id, p.bytes.size(), empty ? "empty" : "not");
  p = {};
}

uint16_t SimIo::TakeLarge() {
  Pool& pool = PoolOf(dp::Group::kLarge);
  if (pool.free.empty()) return dp::kNoBuffer;
  const uint16_t index = pool.free.back();
  pool.free.pop_back();
  pool.held[index] = true;
  return static_cast<uint16_t>(index | kLargeBit);
}

void SimIo::Cancel(dp::Tag tag) { Submit(Submission::Kind::kCancel, -1, tag); }

void SimIo::Shutdown(int fd) {
  const File& file = FileOf(fd, "Shutdown");
  const bool sending = std::any_of(pending_.begin(), pending_.end(),
                                   [&](const Operation& o) { return o.fd == fd && IsSend(o.tag.op); });
  const bool queued = std::any_of(submitted_.begin(), submitted_.end(), [&](const Submission& s) {
    return s.kind == Submission::Kind::kOperation && s.operation.fd == fd && IsSend(s.operation.tag.op);
  });
  if (sending || queued) Fail("Shutdown of file %d overtakes a send", fd);
  if (file.socket != kNoSocket) network_.Shutdown(file.socket);
}

void SimIo::Close(int fd) {
  FileOf(fd, "Close");
  Submit(Submission::Kind::kClose, fd, {});
}

void SimIo::Reset(int fd) {
  FileOf(fd, "Reset");
  Submit(Submission::Kind::kReset, fd, {});
}

char* SimIo::BufferData(dp::Group group, uint16_t id) {
  Pool& pool = PoolOf(group);
  const bool large = (id & kLargeBit) != 0;
  const size_t index = id & ~kLargeBit;
  if (large != (group == dp::Group::kLarge) || index >= pool.held.size() || !pool.held[index]) {
    Fail("memory of buffer %u asked for, which is not held", id);
  }
  return pool.memory.data() + index * pool.size;
}

void SimIo::ReturnBuffer(dp::Group group, uint16_t id) {
  Pool& pool = PoolOf(group);
  const size_t index = id & ~kLargeBit;
  std::memset(BufferData(group, id), kPoison, pool.size);
  pool.held[index] = false;
  pool.free.push_back(static_cast<uint16_t>(index));
}

// Where `data` lies in a pool, that buffer must be held and big enough.
void SimIo::CheckMemory(const char* data, size_t size, const char* what) const {
  for (const Pool& pool : pools_) {
    const std::less<const char*> before;
    const char* begin = pool.memory.data();
    if (before(data, begin) || !before(data, begin + pool.memory.size())) continue;
    const auto offset = static_cast<size_t>(data - begin);
    if (!pool.held[offset / pool.size]) Fail("%s touches a buffer that was returned", what);
    if (offset % pool.size + size > pool.size) Fail("%s reaches beyond its buffer", what);
  }
}

// --- The kernel's part ---

void SimIo::Wait(uint32_t timeout_ms) {
  Issue();
  const uint64_t deadline = network_.now_us + std::min(uint64_t{timeout_ms} * 1000, wait_us_max_);
  for (;;) {
    network_.RunDue();
    RunPending();
    if (!completed_.empty() && random_.Percent(70)) break;
    if (network_.now_us >= deadline) break;
    uint64_t next = std::min(deadline, network_.NextEventUs());
    for (const Operation& o : pending_) {
      if (o.not_before_us > network_.now_us) next = std::min(next, o.not_before_us);
    }
    if (!completed_.empty() && next > network_.now_us + 300) break;
    network_.now_us = std::max(network_.now_us + 1, next);
  }
  if (options_.jump_per_mille > 0 && random_.PerMille(options_.jump_per_mille)) {
    const uint64_t jump = random_.Percent(70) ? random_.Between(1, 9) * 1000000 : random_.Between(10, 200) * 1000000;
    network_.now_us += jump;
    network_.jumped_us += jump;
    ++totals_.faults;
    ++network_.jumps;
    network_.trace.Say("clock jumps by %llu s", static_cast<unsigned long long>(jump / 1000000));
  }
  sampled_us_ = network_.now_us;
  CheckHangs();
}

size_t SimIo::Ready() {
  const size_t all = completed_.size();
  if (all < 2 || !random_.Percent(options_.partial_percent)) return all;
  return random_.Between(1, all);
}

// Submissions are taken in order, and run at once when they can.
void SimIo::Issue() {
  std::vector<Submission> batch;
  batch.swap(submitted_);
  for (Submission& s : batch) {
    switch (s.kind) {
      case Submission::Kind::kCancel:
        IssueCancel(s.operation.tag);
        break;
      case Submission::Kind::kClose:
        IssueClose(s.operation.fd, false);
        break;
      case Submission::Kind::kReset:
        IssueClose(s.operation.fd, true);
        break;
      case Submission::Kind::kOperation:
        ++totals_.operations;
        if (!Run(s.operation, true)) pending_.push_back(s.operation);
        break;
    }
  }
}

void SimIo::IssueClose(int fd, bool reset) {
  File& file = FileOf(fd, "Close");
  for (const Operation& o : pending_) {
    if (o.fd == fd && o.tag.op != dp::Op::kAccept) Fail("file %d closed with a %s in flight", fd, NameOf(o.tag.op));
  }
  network_.trace.Say("io: %s file %d, socket %d", reset ? "reset" : "close", fd, static_cast<int>(file.socket));
  if (file.listening) {
    network_.LetGoListening(file.listening_id);  // an accept in flight goes on, as in the kernel
  } else if (file.socket != kNoSocket) {
    if (reset) network_.Reset(file.socket);
    else network_.Close(file.socket);
  }
  file.open = false;
}

// What has completed already is not found. What has not may still get its chance before the cancel does.
void SimIo::IssueCancel(dp::Tag tag) {
  for (Operation& o : pending_) {
    if (o.tag.Pack() != tag.Pack()) continue;
    o.canceled = true;
    o.not_before_us = random_.Percent(50) ? network_.now_us : network_.now_us + random_.Below(2000);
  }
}

bool SimIo::RunPending() {
  if (pending_.empty()) return false;
  bool any = false;
  const size_t from = random_.Below(pending_.size());
  std::vector<bool> done(pending_.size(), false);
  for (size_t i = 0; i < pending_.size(); ++i) {
    const size_t at = (from + i) % pending_.size();
    if (pending_[at].not_before_us > network_.now_us) continue;
    done[at] = Run(pending_[at], false);
    any = any || done[at];
  }
  if (!any) return false;
  size_t kept = 0;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (done[i]) continue;
    if (kept != i) pending_[kept] = pending_[i];
    ++kept;
  }
  pending_.resize(kept);
  return true;
}

bool SimIo::Run(Operation& o, bool first) {
  if (o.canceled && random_.Percent(70)) return Complete(o, -ECANCELED);
  const size_t before = completed_.size();
  bool over = false;
  if (o.tag.op == dp::Op::kAccept) over = RunAccept(o);
  else if (o.tag.op == dp::Op::kConnect) over = RunConnect(o);
  else if (o.poll) over = RunPoll(o);
  else if (IsRecv(o.tag.op)) over = RunRecv(o);
  else over = RunSend(o);
  if (!over && o.canceled && before == completed_.size()) return Complete(o, -ECANCELED);
  if (!over && first && random_.Percent(options_.late_percent)) {
    o.not_before_us = network_.now_us + random_.Skewed(1, 20000);
    ++totals_.faults;
  }
  return over;
}

bool SimIo::RunAccept(Operation& o) {
  if (network_.BacklogEmpty(o.listening_id)) return false;
  if (random_.PerMille(options_.accept_error_per_mille)) {
    ++totals_.faults;
    static constexpr int kErrors[] = {ECONNABORTED, EMFILE, ENFILE, ENOMEM, EPROTO, EAGAIN};
    return Complete(o, -kErrors[random_.Below(6)]);
  }
  while (!network_.BacklogEmpty(o.listening_id)) {
    const int fd = NewFile();
    if (fd < 0) {
      ++totals_.faults;
      return Complete(o, fd);
    }
    File& file = files_[static_cast<size_t>(fd)];
    file.socket = network_.TakeBacklog(o.listening_id);
    file.connected = true;
    network_[network_[file.socket].peer].left_us = &left_us;
    ++totals_.accepted;
    const bool more = !random_.Percent(options_.many_ends_percent);
    Complete(o, fd, dp::kNoBuffer, more);
    if (!more) return true;
  }
  return false;
}

bool SimIo::RunConnect(Operation& o) {
  if (o.hangs) return false;
  if (!o.knocked) {
    o.knocked = true;
    if (random_.Percent(options_.connect_error_percent)) {
      ++totals_.faults;
      static constexpr int kErrors[] = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, EADDRNOTAVAIL};
      return Complete(o, -kErrors[random_.Below(5)]);
    }
    o.not_before_us = network_.now_us + random_.Skewed(1, 2000);
    return false;
  }
  Server* server = network_.ServerAt(o.to);
  const Server::Answer answer = server == nullptr ? Server::Answer::kRefuse : server->OnKnock();
  if (answer == Server::Answer::kHang) o.hangs = true;
  if (answer == Server::Answer::kHang) return false;
  if (answer == Server::Answer::kRefuse) return Complete(o, -ECONNREFUSED);
  File& file = FileOf(o.fd, "Connect");
  file.socket = network_.OpenTowards(*server, o.to);
  file.connected = true;
  return Complete(o, 0);
}

// Now and then without reason, as the kernel's may.
bool SimIo::RunPoll(Operation& o) {
  File& file = FileOf(o.fd, "Poll");
  if (file.socket == kNoSocket) Fail("poll of file %d before it is connected", o.fd);
  Socket& s = network_[file.socket];
  if (random_.PerMille(options_.again_per_mille)) {
    ++totals_.faults;
    return Complete(o, 1);
  }
  const bool ready = IsRecv(o.tag.op) ? s.readable() > 0 || s.over() : s.reset_in || network_.Room(file.socket) > 0;
  return ready && Complete(o, 1);
}

bool SimIo::RunRecv(Operation& o) {
  File& file = FileOf(o.fd, "Recv");
  if (file.socket == kNoSocket) Fail("receive on file %d before it is connected", o.fd);
  Socket& s = network_[file.socket];
  uint64_t& taken_up = network_[s.peer].accepted_us;
  if (taken_up == 0) {
    taken_up = network_.now_us;
    file.progress_us = network_.SteadyUs();
  }
  // What an endpoint sent behind its response must not be hidden until the next request is out: nobody could tell them apart.
  const auto exposed = [&s] { return s.seam > 0 && s.taken <= s.seam && s.readable() > 0; };
  if (!exposed() && random_.PerMille(options_.again_per_mille)) {
    ++totals_.faults;
    return Complete(o, random_.Percent(50) ? -EAGAIN : -EINTR);
  }
  // One that is many goes on while bytes are there, as the kernel does.
  while (!ReceiveOnce(o, exposed())) {
    if (s.readable() == 0 && !s.over()) return false;
    if (!exposed() && !options_.crumbs && random_.Percent(options_.short_percent)) return false;
  }
  return true;
}

// True when the operation is over.
bool SimIo::ReceiveOnce(Operation& o, bool exposed) {
  File& file = FileOf(o.fd, "Recv");
  Socket& s = network_[file.socket];
  Pool& pool = PoolOf(dp::Group::kSmall);
  // The kernel takes a buffer before it looks for bytes.
  if (pool.free.empty() || (!exposed && random_.PerMille(options_.no_buffers_per_mille))) {
    ++totals_.faults;
    return Complete(o, -ENOBUFS);
  }
  if (s.readable() == 0 && !s.over()) return false;
  if (s.readable() == 0 && s.reset_in) return Complete(o, -ECONNRESET);
  const size_t place = random_.Below(pool.free.size());
  const uint16_t index = pool.free[place];
  const size_t room = o.many && options_.crumbs ? 8 : pool.size;
  size_t size = MayMove(std::min(room, s.readable()));
  if (s.seam > s.taken && s.seam < s.taken + size && random_.Percent(70)) size = s.seam - s.taken;
  network_.Read(file.socket, pool.memory.data() + size_t{index} * pool.size, size);
  uint16_t id = dp::kNoBuffer;
  if (size > 0 || random_.Percent(20)) {  // older kernels bind one to the end of a stream too
    pool.free.erase(pool.free.begin() + static_cast<std::ptrdiff_t>(place));
    pool.held[index] = true;
    id = index;
  }
  if (size > 0) file.progress_us = network_.SteadyUs();
  (o.tag.op == dp::Op::kClientRecv ? totals_.client_in : totals_.upstream_in) += size;
  const bool more = o.many && size > 0 && !random_.Percent(options_.many_ends_percent);
  Complete(o, static_cast<int32_t>(size), id, more);
  return !more;
}

bool SimIo::RunSend(Operation& o) {
  const int32_t sent = SendOf(o);
  const bool waits = sent == -EAGAIN && !std::exchange(refused_, false);
  return !waits && Complete(o, sent);
}

// -EAGAIN: no room; or, where `refused_` is set, for no reason.
int32_t SimIo::SendOf(const Operation& o) {
  File& file = FileOf(o.fd, "Send");
  if (file.socket == kNoSocket) Fail("send on file %d before it is connected", o.fd);
  Socket& s = network_[file.socket];
  if (file.end_due_us != 0) Fail("send on file %d behind what was to be its last", o.fd);
  if (s.fin_out) Fail("send on file %d after its write side was shut down", o.fd);
  refused_ = random_.PerMille(options_.again_per_mille);
  if (refused_) {
    ++totals_.faults;
    return random_.Percent(50) ? -EAGAIN : -EINTR;
  }
  if (s.reset_in) return random_.Percent(50) ? -EPIPE : -ECONNRESET;
  size_t room = network_.Room(file.socket);
  if (room == 0) return -EAGAIN;
  room = MayMove(room);
  size_t sent = 0;
  for (uint32_t i = 0; i < o.slices && room > 0; ++i) {
    CheckMemory(o.slice[i].data, o.slice[i].size, "send");
    const size_t wanted = std::min(room, o.slice[i].size);
    const size_t size = network_.Write(file.socket, o.slice[i].data, wanted);
    sent += size;
    room -= size;
    if (size < wanted) break;
  }
  size_t wanted_all = 0;
  for (uint32_t i = 0; i < o.slices; ++i) wanted_all += o.slice[i].size;
  if (o.end_follows && sent == wanted_all) file.end_due_us = network_.SteadyUs();
  file.progress_us = network_.SteadyUs();
  (o.tag.op == dp::Op::kClientSend ? totals_.client_out : totals_.upstream_out) += sent;
  return static_cast<int32_t>(sent);
}

bool SimIo::Complete(const Operation& o, int32_t result, uint16_t buffer, bool more) {
  dp::Completion c;
  c.tag = dp::Tag::Unpack(o.tag.Pack());
  c.result = result;
  c.buffer = buffer;
  c.more = more;
  completed_.push_back(c);
  if (o.tag.op == dp::Op::kAccept && !more) network_.LetGoListening(o.listening_id);
  return true;
}

void SimIo::CheckHangs() {
  if (options_.hang_us == 0) return;
  for (size_t fd = 0; fd < files_.size(); ++fd) {
    const File& file = files_[fd];
    if (!file.open || file.listening) continue;
    const bool end_missing = file.end_due_us != 0 && !network_[file.socket].fin_out;
    if (end_missing && network_.SteadyUs() - file.end_due_us > kStuckUsMax) Fail("file %zu waits for an end that does not come", fd);
    if (file.silent_since_us != 0 && network_.SteadyUs() - file.silent_since_us > kStuckUsMax) {
      Fail("file %zu takes nothing, and is waited for all the same", fd);
    }
    // Accepted and not yet taken up: it waits for a session as it would in the backlog.
    if (!file.upstream && network_[network_[file.socket].peer].accepted_us == 0) continue;
    if (network_.SteadyUs() > file.progress_us + std::max(options_.hang_us, defaults_us_)) {
      Fail("file %zu (%s) has stood still for %llu s: no time-out ended it", fd, file.upstream ? "upstream" : "client",
           static_cast<unsigned long long>((network_.SteadyUs() - file.progress_us) / 1000000));
    }
  }
}

void SimIo::Show(const dp::Completion& c) {
  network_.trace.Say("io: %s slot %u.%u -> %d%s", NameOf(c.tag.op), c.tag.slot, c.tag.generation, c.result,
                     c.buffer != dp::kNoBuffer ? " with buffer" : "");
}

void SimIo::CheckNothingLeft(bool last_map_taken) const {
  for (const Submission& s : submitted_) {
    if (s.kind == Submission::Kind::kOperation) Fail("stopped with a %s just submitted", NameOf(s.operation.tag.op));
  }
  for (const Operation& o : pending_) Fail("stopped with a %s in flight", NameOf(o.tag.op));
  for (const dp::Completion& c : completed_) Fail("stopped before a completed %s was seen", NameOf(c.tag.op));
  for (size_t fd = 0; fd < files_.size(); ++fd) {
    const bool closing = std::any_of(submitted_.begin(), submitted_.end(), [&](const Submission& s) {
      return s.kind != Submission::Kind::kCancel && s.operation.fd == static_cast<int>(fd);
    });
    if (files_[fd].listening && !last_map_taken) continue;
    if (files_[fd].open && !closing) Fail("file %zu is left open", fd);
  }
  for (const Pool& pool : pools_) {
    for (size_t id = 0; id < pool.held.size(); ++id) {
      if (pool.held[id]) Fail("buffer %zu was not returned", id);
    }
  }
  for (size_t id = 0; id < pipes_.size(); ++id) {
    if (pipes_[id].held) Fail("pipe %zu was not returned", id);
  }
}

}  // namespace ringway::sim
