// See endpoint.h. In the order of a request at an endpoint: read and judged, answered, or failed.
#include "tests/sim/endpoint.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ringway::sim {
namespace {

// An endpoint's response that must never reach a client.
constexpr const char* kInvalid[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Y : a\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "\r\n\r\nnonsense\r\n\r\n",
    "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
};

}  // namespace

// --- The endpoint ---

Endpoint::Endpoint(Network& net, Ledger& book, const Membership& members, uint32_t index, uint32_t of_service, bool is_tcp,
                   const dp::IpAddress& at)
    : network(net), ledger(book), membership(members), number(index), service(of_service), tcp(is_tcp), address(at) {
  if (network.random.Percent(ledger.mood.endpoint_faults_percent)) {
    hang_percent = network.random.Percent(30) ? static_cast<uint32_t>(network.random.Between(1, 100)) : 0;
    refuse_percent = network.random.Percent(50) ? static_cast<uint32_t>(network.random.Between(1, 100)) : 0;
  }
  network.Serve(address, this);
}

Server::Answer Endpoint::OnKnock() {
  if (network.random.Percent(hang_percent)) return Answer::kHang;
  if (network.random.Percent(refuse_percent)) return Answer::kRefuse;
  return Answer::kAccept;
}

void Endpoint::OnConnection(SocketId socket) {
  connections_.push_back(std::make_unique<EndpointConnection>(*this, socket));
  network[socket].owner = connections_.back().get();
}

void Endpoint::Stop(bool at_once) {
  stopped = true;
  network.StopServing(address, this);
  for (auto& connection : connections_) {
    if (connection->over()) continue;
    if (at_once) connection->Die(network.random.Percent(50));
    else if (connection->idle()) connection->Die(false);
  }
}

// --- One connection ---

EndpointConnection::EndpointConnection(Endpoint& endpoint, SocketId socket)
    : endpoint_(endpoint), network_(endpoint.network), ledger_(endpoint.ledger), random_(network_.random), socket_(socket) {
  reader_.Start(false);
  if (random_.Percent(ledger_.mood.endpoint_faults_percent / 4)) {
    fault_ = Fault::kDieAtOnce;
    Later(random_.Skewed(1, 5000));
  }
}

void EndpointConnection::Later(uint64_t us) {
  if (wake_at_ > network_.now_us) return;
  wake_at_ = network_.now_us + us;
  network_.At(wake_at_, this);
}

void EndpointConnection::Die(bool reset) {
  if (over_) return;
  over_ = true;
  NotePartial();
  // Only RST tells that a body or a stream is not whole.
  if ((until_close_ && (!out_.empty() || stalled_)) || ((endpoint_.tcp || switched_) && stream_ == nullptr)) reset = true;
  network_.trace.Say("endpoint %u: %s connection %u", endpoint_.number, reset ? "resets" : "closes", socket_);
  if (stream_ != nullptr) return stream_->Leave(reset);
  if (reset) network_.Reset(socket_);
  else network_.Close(socket_);
}

// A part of a request is enough for it not to be sent again, when it is not idempotent.
void EndpointConnection::NotePartial() {
  if (!reader_.begun() || reader_.head_done()) return;
  const std::string& head = reader_.partial();
  const size_t at = head.find("X-Sim: ");
  if (at == head.npos || head.find("\r\n", at) == head.npos) return;
  ledger_.requests[static_cast<size_t>(std::atoi(head.c_str() + at + 7))].begun_elsewhere = true;
}

void EndpointConnection::Wake() {
  if (over_ || network_.now_us < wake_at_) return;
  if (fault_ == Fault::kDieAtOnce) {
    if (!endpoint_.tcp && random_.Percent(50)) Read();
    return Die(random_.Percent(50));
  }
  if (stalled_) {
    if (network_[socket_].over()) Die(false);
    return;
  }
  if (stream_ != nullptr) {
    const uint64_t before = network_[socket_].taken + network_[socket_].sent;
    if (stream_->Step(16384)) over_ = true;
    else if (stream_->busy() || network_[socket_].taken + network_[socket_].sent != before) Later(random_.Skewed(1, 500));
    return;
  }
  Read();
  if (over_ || stream_ != nullptr || stalled_ || network_.now_us < wake_at_) return;
  Write();
  if (over_) return;
  if (idle() && idle_close_us_ != 0 && network_.now_us >= idle_close_us_) Die(false);
}

void EndpointConnection::Read() {
  char data[16384];
  if (endpoint_.tcp) {
    if (network_[socket_].readable() < sizeof request_) {
      if (network_[socket_].over()) Die(false);
      return;
    }
    network_.Read(socket_, data, sizeof request_);
    std::memcpy(&request_, data, sizeof request_);
    if (request_ >= ledger_.requests.size()) Fail("the first bytes of a stream are wrong");
    Request& r = ledger_.requests[request_];
    if (r.service != endpoint_.service) Fail("stream %u of service %u went to service %u", request_, r.service, endpoint_.service);
    r.attempts.push_back({endpoint_.number, 0, 0, false, false});
    if (r.attempts.size() > 1) Fail("stream %u went to two endpoints", request_);
    return BeginStream();
  }
  // Its idle time-out was up just when the next request came.
  const bool closes = !ledger_.mood.calm || ledger_.mood.endpoint_idle_closes;
  if (closes && served_ > 0 && !reader_.begun() && network_[socket_].readable() > 0 && random_.PerMille(40)) return Die(false);
  size_t most = random_.Skewed(1, 65536);
  while (most > 0 && !reader_.done() && !ignores_ && network_[socket_].readable() > 0) {
    const size_t size = std::min(most, sizeof data);
    // Only as much as belongs to this request; more must not be there.
    const size_t got = network_.Read(socket_, data, size);
    most -= got;
    if (!reader_.begun() && random_.Percent(ledger_.mood.endpoint_faults_percent / 4)) {
      // Answers without having looked, and is silent from then on.
      fault_ = Fault::kBlind;
      ignores_ = stall_at_end_ = true;
      switched_ = random_.Percent(50);
      out_ += switched_ ? "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: simproto\r\n\r\n"
                      : "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
      return;
    }
    for (size_t at = 0; at < got;) {
      const bool had_head = reader_.head_done();
      const size_t used = reader_.Feed(data + at, got - at);
      at += used;
      offset_ += used;
      if (!had_head && reader_.head_done()) OnHead();
      if (over_ || stalled_ || ignores_) return;
      if (reader_.done()) {
        if (at < got) Fail("endpoint %u got bytes behind request %u", endpoint_.number, request_);
        OnWhole();
        if (over_ || stream_ != nullptr) return;
      }
    }
  }
  if (!reader_.done() && !ignores_ && network_[socket_].readable() > 0) return Later(random_.Skewed(1, 300));
  if (network_[socket_].over() && network_[socket_].readable() == 0 && (out_.empty() || network_[socket_].reset_in)) Die(false);
}

void EndpointConnection::JudgeHead(Request& r) {
  for (const char* name : {"keep-alive", "proxy-connection", "te", "x-hop", "proxy-authorization"}) {
    if (!reader_.All(name).empty()) Fail("request %u carries %s", r.id, name);
  }
  const std::string connection = reader_.One("connection");
  if (connection != (r.upgrade ? "Upgrade" : "")) Fail("request %u carries Connection: %s", r.id, connection.c_str());
  if (r.upgrade != !reader_.All("upgrade").empty()) Fail("request %u: Upgrade is lost or made up", r.id);
  if (reader_.One("host").empty()) Fail("request %u has lost its Host", r.id);
  if (reader_.method() != r.method) Fail("request %u: %s became %s", r.id, r.method.c_str(), reader_.method().c_str());
  if (reader_.target()[0] != '/') Fail("request %u: target %s", r.id, reader_.target().c_str());
  if (reader_.framing() == MessageReader::Framing::kLength && reader_.length() != r.body_size) Fail("request %u: length", r.id);
  std::string forwarded;
  for (const std::string& value : reader_.All("x-forwarded-for")) forwarded += (forwarded.empty() ? "" : ", ") + value;
  const bool kept = r.trusted && !r.forwarded_for.empty();
  const std::string wanted = kept ? r.forwarded_for + ", " + r.peer : r.peer;
  if (forwarded != wanted) Fail("request %u: X-Forwarded-For is %s, not %s", r.id, forwarded.c_str(), wanted.c_str());
  const std::string port = reader_.One("x-forwarded-port"), proto = reader_.One("x-forwarded-proto");
  const std::string port_wanted = kept ? "1" : std::to_string(r.listener_port);
  if (port != port_wanted) Fail("request %u: X-Forwarded-Port is %s, not %s", r.id, port.c_str(), port_wanted.c_str());
  if (proto != (kept ? "gopher" : "http")) Fail("request %u: X-Forwarded-Proto is %s", r.id, proto.c_str());
}

void EndpointConnection::OnHead() {
  const std::string id = reader_.One("x-sim");
  if (id.empty()) Fail("endpoint %u got a request nobody sent: %s", endpoint_.number, reader_.target().c_str());
  request_ = static_cast<uint32_t>(std::atoi(id.c_str()));
  Request& r = ledger_.requests[request_];
  network_.trace.Say("endpoint %u: request %u (%s) on connection %u", endpoint_.number, request_, r.method.c_str(), socket_);
  if (r.service != endpoint_.service) Fail("request %u for service %u went to service %u", request_, r.service, endpoint_.service);
  if (!r.idempotent && (!r.attempts.empty() || r.begun_elsewhere)) Fail("request %u (%s) was sent twice", request_, r.method.c_str());
  for (const Attempt& before : r.attempts) {
    // What a map brought back, or a pooled connection that died, may be asked again; this may be that one, read later.
    if (before.endpoint == endpoint_.number && !before.reused && served_ == 0 && !r.may_wait) {
      Fail("request %u was tried again at endpoint %u", request_, endpoint_.number);
    }
  }
  if (r.attempts.size() > 8) Fail("request %u was tried too often", request_);
  JudgeHead(r);
  if (served_ > 0) {  // on a pooled connection the choice was made when its first byte was submitted
    const Socket& theirs = network_[network_[socket_].peer];
    uint64_t version = 0;
    for (const auto& [at, map] : theirs.map_at) {
      if (at <= request_begin_) version = map;
    }
    if (!endpoint_.membership.Ready(version, endpoint_.number)) {
      Fail("request %u was sent to endpoint %u, which had left before map %llu", request_, endpoint_.number,
           static_cast<unsigned long long>(version));
    }
  }
  r.attempts.push_back({endpoint_.number, 0, 0, false, served_ > 0});
  attempt_ = static_cast<uint32_t>(r.attempts.size() - 1);
  reader_.ExpectContent(ContentKey(request_, 0, true));
  if (random_.Percent(ledger_.mood.endpoint_faults_percent)) fault_ = static_cast<Fault>(random_.Between(2, 12));
  else fault_ = Fault::kNone;
  if (fault_ != Fault::kNone) ++ledger_.totals.faults;
  if (random_.Percent(ledger_.mood.hints_percent)) {
    for (uint64_t hints = random_.Skewed(1, 12); hints > 0; --hints) {
      out_ += "HTTP/1.1 103 Early Hints\r\nLink: " + std::string(random_.Skewed(1, 500), 'l') + "\r\nKeep-Alive: a\r\n\r\n";
    }
    if (ledger_.mood.endpoint_faults_percent > 0 && random_.Percent(40)) fault_ = Fault::kStall;
  }
  if (fault_ == Fault::kDieAfterRequest && random_.Percent(50)) return Die(random_.Percent(50));
  if (fault_ == Fault::kStall && random_.Percent(50)) {
    if (out_.empty()) stalled_ = true;
    stall_at_end_ = true;
    return;
  }
  if (fault_ == Fault::kEarly || fault_ == Fault::kEarlyClose || fault_ == Fault::kUnasked101) {
    ignores_ = !reader_.done() && random_.Percent(50);
    return Answer();
  }
  if (r.expect && random_.Percent(80)) {
    out_ += "HTTP/1.1 100 Continue\r\nX-Hop: a\r\nConnection: X-Hop\r\n\r\n";
    continue_sent_ = true;
  }
}

void EndpointConnection::OnWhole() {
  Request& r = ledger_.requests[request_];
  if (!r.whole && (r.corrupt || !r.touched)) Fail("request %u reached endpoint %u whole before it was sent", request_, endpoint_.number);
  if (reader_.body_size() != r.body_size) Fail("request %u has %llu bytes, not %llu", request_,
                                               static_cast<unsigned long long>(reader_.body_size()),
                                               static_cast<unsigned long long>(r.body_size));
  if (fault_ == Fault::kDieAfterRequest) return Die(random_.Percent(50));
  if (fault_ == Fault::kStall) {
    if (out_.empty()) stalled_ = true;
    stall_at_end_ = true;
    return;
  }
  if (!stalled_ && !answered_) {
    if (random_.Percent(ledger_.mood.late_percent)) Later(random_.Skewed(1, fault_ == Fault::kSlow ? 30000000 : 100000));
    return Answer();
  }
  if (answered_ && out_.empty() && !stalled_) OnAnswered();
}

std::string EndpointConnection::AnswerHead(Attempt& attempt, Request& r, MessageReader::Framing framing) {
  const int minor = framing != MessageReader::Framing::kChunked && random_.Percent(10) ? 0 : 1;
  std::string head = "HTTP/1." + std::to_string(minor) + " " + std::to_string(attempt.status) +
                     (random_.Percent(90) ? " Whatever it is\r\n" : " \r\n");
  head += "X-Sim: " + std::to_string(r.id) + "\r\nX-Attempt: " + std::to_string(attempt_) + "\r\nServer: sim\r\n";
  if (close_after_) head += "Connection: close\r\n";
  else if (minor == 0) head += "Connection: keep-alive\r\n";
  else if (random_.Percent(20)) head += "Connection: X-Hop, Keep-Alive\r\nX-Hop: a\r\nKeep-Alive: timeout=5\r\n";
  if (random_.Percent(10)) head += "X-Pad: " + std::string(random_.Skewed(1, 8000), 'p') + "\r\n";
  if (framing == MessageReader::Framing::kChunked) head += "Transfer-Encoding: chunked\r\n";
  if (framing == MessageReader::Framing::kLength) head += "Content-Length: " + std::to_string(attempt.size) + "\r\n";
  return head + "\r\n";
}

void EndpointConnection::Answer() {
  answered_ = true;
  Request& r = ledger_.requests[request_];
  Attempt& attempt = r.attempts[attempt_];
  if (r.upgrade && fault_ == Fault::kNone && random_.Percent(80)) {
    out_ += "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: simproto\r\nX-Hop: a\r\nKeep-Alive: 5\r\n";
    out_ += "Connection: X-Hop\r\n\r\n";
    attempt.status = 101;
    return;
  }
  if (fault_ == Fault::kUnasked101) {
    out_ += "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: simproto\r\n\r\n";
    stall_at_end_ = true;
    if (!r.upgrade) return;
    attempt.status = 101;  // asked for, and then it says no more
    stall_at_end_ = false;
    return;
  }
  if (fault_ == Fault::kInvalid) {
    out_ += kInvalid[random_.Below(std::size(kInvalid))];
    stall_at_end_ = random_.Percent(50);
    close_after_ = true;
    return;
  }
  static constexpr int kStatuses[] = {200, 200, 200, 200, 404, 204, 304, 500, 413};
  attempt.status = kStatuses[random_.Below(9)];
  const bool bodiless = r.method == "HEAD" || attempt.status == 204 || attempt.status == 304;
  close_after_ = random_.Percent(10) || fault_ == Fault::kEarlyClose || endpoint_.stopped;
  auto framing = random_.Percent(60) ? MessageReader::Framing::kLength
                 : random_.Percent(70) ? MessageReader::Framing::kChunked : MessageReader::Framing::kUntilClose;
  if (bodiless) framing = MessageReader::Framing::kLength;
  until_close_ = framing == MessageReader::Framing::kUntilClose;
  if (until_close_) close_after_ = true;
  attempt.size = random_.Percent(10) ? random_.Between(0, 300000) : random_.Skewed(0, 20000);
  if (attempt.status == 204 || attempt.status == 304) attempt.size = 0;
  const size_t head_at = out_.size();
  out_ += AnswerHead(attempt, r, framing);
  const size_t body_at = out_.size();
  if (!bodiless) {
    Content content(ContentKey(r.id, attempt_, false));
    if (framing != MessageReader::Framing::kChunked) {
      content.Append(out_, 0, attempt.size);
    } else {
      char line[64];
      for (uint64_t at = 0; at < attempt.size;) {
        const uint64_t size = std::min<uint64_t>(attempt.size - at, random_.Skewed(1, 40000));
        std::snprintf(line, sizeof line, "%llX%s\r\n", static_cast<unsigned long long>(size), random_.Percent(10) ? ";x" : "");
        out_ += line;
        content.Append(out_, at, size);
        out_ += "\r\n";
        at += size;
      }
      out_ += random_.Percent(10) ? "0\r\nX-Trailer: t\r\n\r\n" : "0\r\n\r\n";
    }
  }
  if (fault_ == Fault::kDieInHead) die_at_ = head_at + random_.Below(body_at - head_at);
  if (fault_ == Fault::kDieInBody && out_.size() > body_at) die_at_ = body_at + random_.Below(out_.size() - body_at);
  // Where the end of the connection is the end of the body, only RST tells that it died.
  die_reset_ = framing == MessageReader::Framing::kUntilClose || random_.Percent(50);
  if (fault_ == Fault::kStallInBody) {
    out_.resize(head_at + random_.Below(out_.size() - head_at));
    stall_at_end_ = true;
  }
  if (fault_ == Fault::kExtra && framing == MessageReader::Framing::kLength) {
    extra_ = out_.size();
    out_ += "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: 5\r\n\r\nWRONG";
  }
}

void EndpointConnection::BeginStream() {
  stream_ = std::make_unique<StreamEnd>(network_, ledger_, request_, false, socket_);
  if (random_.Percent(ledger_.mood.endpoint_faults_percent)) {
    if (random_.Percent(50)) stalled_ = true;
    else fault_ = Fault::kDieAtOnce;
  }
  Later(random_.Skewed(1, 2000));
}

void EndpointConnection::Write() {
  if (out_.empty()) return;
  size_t most = std::min(out_.size() - out_at_, random_.Skewed(1, 65536));
  most = std::min(most, die_at_ - std::min(die_at_, out_at_));
  if (extra_ != 0 && out_at_ + most >= extra_) {
    // In one piece with what it follows: arriving later it could not be told from the next response.
    if (network_.Room(socket_) >= out_.size() - out_at_) {
      most = out_.size() - out_at_;
      network_[network_[socket_].peer].seam = network_[socket_].sent + extra_ - out_at_;
      extra_ = 0;
    }
    else most = extra_ - 1 - std::min(extra_ - 1, out_at_);
  }
  const size_t size = network_.Write(socket_, out_.data() + out_at_, most);
  out_at_ += size;
  if (out_at_ >= die_at_) return Die(die_reset_);
  if (out_at_ < out_.size()) {
    if (size > 0 || network_.Room(socket_) > 0) Later(random_.Skewed(1, fault_ == Fault::kSlow ? 200000 : 500));
    return;
  }
  out_.clear();
  out_at_ = 0;
  if (stall_at_end_) stalled_ = true;
  else if (answered_) OnAnswered();
}

void EndpointConnection::OnAnswered() {
  Request& r = ledger_.requests[request_];
  if (r.attempts[attempt_].status == 101) return BeginStream();
  if (close_after_ || endpoint_.stopped) return Die(false);
  if (!reader_.done()) {  // answered before it was whole: takes the rest, or not
    if (ignores_) stalled_ = true;
    return;
  }
  ++served_;
  request_begin_ = offset_;
  answered_ = continue_sent_ = false;
  fault_ = Fault::kNone;
  reader_.Start(false);
  if (!ledger_.mood.calm || ledger_.mood.endpoint_idle_closes) {
    idle_close_us_ = 0;
    if (random_.Percent(30)) {
      idle_close_us_ = network_.now_us + random_.Skewed(1, 2000000);
      network_.At(idle_close_us_, this);
    }
  }
  if (network_[socket_].readable() > 0) Later(1);
  if (network_[socket_].over()) Later(1);
}

}  // namespace ringway::sim
