// See client.h. In the order of a connection's life: requests are written, responses read and judged, the end.
#include "tests/sim/client.h"

#include <algorithm>
#include <cstdlib>

namespace ringway::sim {
namespace {

struct Invalid {
  const char* text;
  int status;
};

// facts/http.md: refused, nothing forwarded.
constexpr Invalid kInvalid[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501},
    {"GET /nowhere HTTP/1.1\r\nHost: nowhere.test\r\nConnection: close\r\n\r\n", 404},
};

}  // namespace

Client::Client(Network& network, Ledger& ledger, uint32_t number, const ClientTarget& target)
    : network_(network), ledger_(ledger), random_(network.random), number_(number), target_(target) {
  address_.port = static_cast<uint16_t>(20000 + number);
  address_.bytes = {10, 1, static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
  if (random_.Percent(20)) {
    address_.v6 = true;
    address_.bytes = {0x20, 0x01, 0x0d, 0xb8};
    address_.bytes[14] = static_cast<uint8_t>(number >> 8);
    address_.bytes[15] = static_cast<uint8_t>(number);
  }
  const uint64_t speed = random_.Below(10);
  pace_us_ = speed < 6 ? 200 : speed < 9 ? 2000 : 20000;
  pace_bytes_ = speed < 6 ? 65536 : speed < 9 ? 8192 : 1500;
  bytewise_heads_ = random_.Percent(10);
  byte_us_ = !ledger.mood.calm && random_.Percent(30) ? 400000 : 3000;
  requests_left_ = static_cast<uint32_t>(random_.Skewed(1, 12));
  depth_ = random_.Percent(25) ? static_cast<uint32_t>(random_.Between(2, 5)) : 1;
  invalid_last_ = !target.tcp && random_.Percent(8);
  half_close_ = !target.tcp && random_.Percent(10);
  if (random_.Percent(ledger.mood.client_faults_percent)) {
    habit_ = static_cast<Habit>(random_.Between(1, 7));
    habit_at_ = random_.Skewed(0, random_.Percent(50) ? 2000 : 200000);
  }
}

std::string Client::Describe() const {
  return "client " + std::to_string(number_) + " socket " + std::to_string(socket_) + " waits for " +
         std::to_string(waiting_.size()) + " responses, habit " + std::to_string(static_cast<int>(habit_)) +
         (misbehaved_ ? " (shown)" : "") + ", unwritten parts " + std::to_string(out_.size());
}

void Client::Later(uint64_t us) {
  if (wake_at_ > network_.now_us) return;
  wake_at_ = network_.now_us + us;
  network_.At(wake_at_, this);
}

void Client::Wake() {
  if (!done_ && give_up_us_ != 0 && network_.now_us >= give_up_us_) return GiveUp();
  if (done_ || network_.now_us < wake_at_) return;
  if (socket_ == kNoSocket) return Connect();
  if (misbehaved_ && habit_ != Habit::kHalfClose) {
    // It stalls, for ever: the proxy must end it.
    if (network_[socket_].over()) Finish(false);
    return;
  }
  if (stream_ != nullptr) {
    const uint64_t before = network_[socket_].taken + network_[socket_].sent;
    if (stream_->Step(pace_bytes_)) return Finish(false);
    written_ = read_ = network_[socket_].taken + network_[socket_].sent;
    if (Counts() && written_ >= habit_at_) return Misbehave();
    if (stream_->busy() || written_ != before) Later(random_.Skewed(1, pace_us_));
    return;
  }
  Read();
  if (done_ || socket_ == kNoSocket || stream_ != nullptr || misbehaved_) return;
  Write();
}

void Client::Connect() {
  socket_ = network_.Connect(this, address_, target_.listener);
  if (socket_ == kNoSocket) {
    if (ledger_.mood.calm && !ledger_.stopping) Fail("client %u found nobody listening", number_);
    if (connects_left_-- == 0) done_ = true;
    else Later(random_.Between(1000, 200000));
    return;
  }
  ++ledger_.totals.sessions;
  if (habit_ == Habit::kGiveUp && give_up_us_ == 0) {
    give_up_us_ = network_.now_us + random_.Skewed(1, 3000000);
    network_.At(give_up_us_, this);
  }
  if (target_.tcp) {
    Request& r = ledger_.New();
    r.service = target_.service;
    r.method = "TCP";
    r.idempotent = false;
    r.from_client.size = random_.Skewed(8, 100000);
    r.from_server.size = random_.Skewed(0, 100000);
    ++ledger_.totals.streams;
    stream_ = std::make_unique<StreamEnd>(network_, ledger_, r.id, true, socket_);
    // The endpoint has to know which stream this is; TCP has no headers.
    const uint32_t id = r.id;
    network_.Write(socket_, reinterpret_cast<const char*>(&id), sizeof id);
  } else {
    reader_.Start(true);
  }
  Later(random_.Skewed(1, 1000));
}

// --- Writing requests ---

std::string Client::Head(Request& r, bool chunked) {
  const std::string service = std::to_string(r.service);
  const bool by_host = r.service % 2 == 1;
  const std::string path = (by_host ? "" : "/s" + service) + "/r/" + std::to_string(r.id) + (random_.Percent(20) ? "?a=b" : "");
  const std::string host = by_host ? "SVC" + service + ".test" + (random_.Percent(20) ? ":8080" : "") : "any.test";
  const bool absolute = random_.Percent(5);
  std::string head = r.method + " " + (absolute ? "http://" + host : "") + path + " HTTP/1." + std::to_string(r.minor) + "\r\n";
  if (random_.Percent(5) && waiting_.empty()) head = "\r\n" + head;
  head += "Host: " + host + "\r\nX-Sim: " + std::to_string(r.id) + "\r\n";
  const bool last = requests_left_ == 0 && !invalid_last_;
  std::string connection;
  if (r.upgrade) {
    connection = "Upgrade";
    head += "Upgrade: simproto\r\n";
  } else if (r.minor == 0) {
    connection = last ? "" : "keep-alive";
  } else if (last && random_.Percent(30)) {
    connection = "close";
  } else if (random_.Percent(15)) {
    connection = "keep-alive, X-Hop";
    head += "X-Hop: secret\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n";
  }
  if (!connection.empty()) head += "Connection: " + connection + "\r\n";
  if (random_.Percent(20)) {
    r.forwarded_for = "203.0.113." + std::to_string(random_.Below(200));
    head += "X-Forwarded-For: " + r.forwarded_for + "\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Proto: gopher\r\n";
  }
  if (r.expect) head += "Expect: 100-continue\r\n";
  if (random_.Percent(10)) head += "X-Pad: " + std::string(random_.Skewed(1, 6000), 'p') + "\r\n";
  if (chunked) head += "Transfer-Encoding: chunked\r\n";
  else if (r.body_size > 0 || r.method == "POST") head += "Content-Length: " + std::to_string(r.body_size) + "\r\n";
  return head + "\r\n";
}

void Client::AddRequest() {
  --requests_left_;
  Request& r = ledger_.New();
  ++ledger_.totals.requests;
  static constexpr const char* kMethods[] = {"GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "PATCH"};
  r.method = kMethods[random_.Below(9)];
  r.idempotent = r.method != "POST" && r.method != "PATCH";
  r.service = target_.services[random_.Below(target_.services.size())];
  r.may_wait = target_.holds[r.service];
  r.minor = random_.Percent(8) ? 0 : 1;
  char text[dp::kIpTextMax];
  r.peer = std::string(text, dp::FormatIp(address_, text));
  r.listener_port = target_.listener.port;
  r.trusted = target_.trusted;
  if (r.method == "POST" || r.method == "PUT" || r.method == "PATCH") {
    r.body_size = random_.Percent(10) ? random_.Between(0, 300000) : random_.Skewed(0, 20000);
  }
  r.upgrade = requests_left_ == 0 && !invalid_last_ && !half_close_ && r.body_size == 0 && r.minor == 1 && r.method == "GET" && random_.Percent(30);
  if (r.upgrade) {
    r.from_client.size = random_.Skewed(0, 60000);
    r.from_server.size = random_.Skewed(0, 60000);
  }
  const bool chunked = r.body_size > 0 && r.minor == 1 && random_.Percent(50);
  r.corrupt = r.touched = chunked && random_.Percent(ledger_.mood.client_faults_percent / 4);
  r.expect = r.body_size > 0 && r.minor == 1 && random_.Percent(20);
  // A response until close ends a 1.0 connection: nothing more may be asked on it by a careful client.
  waiting_.push_back(r.id);
  std::string head = Head(r, chunked);
  AddBody(r, std::move(head), chunked);
}

void Client::AddBody(Request& r, std::string head, bool chunked) {
  std::string body;
  Content content(ContentKey(r.id, 0, true));
  if (!chunked) {
    content.Append(body, 0, r.body_size);
  } else {
    char line[64];
    for (uint64_t at = 0; at < r.body_size;) {
      const uint64_t size = std::min<uint64_t>(r.body_size - at, random_.Skewed(1, 30000));
      if (r.corrupt && (random_.Percent(30) || at + size == r.body_size)) {
        body += "5x\r\nwrong\r\n0\r\n\r\n";
        break;
      }
      std::snprintf(line, sizeof line, "%llx%s\r\n", static_cast<unsigned long long>(size), random_.Percent(10) ? ";a=b" : "");
      body += line;
      content.Append(body, at, size);
      body += "\r\n";
      at += size;
    }
    body += random_.Percent(10) ? "0\r\nX-Trailer: t\r\n\r\n" : "0\r\n\r\n";
  }
  Part part;
  part.request = r.id;
  part.first = true;
  if (r.expect) {
    part.text = std::move(head);
    out_.push_back(part);
    part.first = false;
    part.text = std::move(body);
    part.after_continue = true;
  } else {
    part.text = head + body;
  }
  part.last = !r.corrupt;  // never whole
  out_.push_back(part);
}

void Client::AddInvalid() {
  const Invalid& invalid = kInvalid[random_.Below(std::size(kInvalid))];
  invalid_last_ = false;
  invalid_sent_ = true;
  invalid_status_ = invalid.status;
  Request& r = ledger_.New();
  r.touched = true;
  waiting_.push_back(r.id);
  Part part;
  part.text = invalid.text;
  if (random_.Percent(10)) {
    part.text = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'x') + "\r\n\r\n";
    invalid_status_ = 431;
  } else if (random_.Percent(10)) {
    part.text = "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
    invalid_status_ = 414;
  }
  part.request = r.id;
  out_.push_back(part);
}

void Client::Write() {
  if (closing_) return;
  while (waiting_.size() < depth_ && requests_left_ > 0 && !closing_) AddRequest();
  if (requests_left_ == 0 && invalid_last_ && waiting_.size() < depth_) AddInvalid();
  size_t most = pace_bytes_;
  while (!out_.empty() && most > 0) {
    Part& part = out_.front();
    Request& r = ledger_.requests[part.request];
    if (part.after_continue && !continued_ && part.at == 0) {
      if (waiting_.front() != part.request) return;  // it cannot be asked yet
      if (continue_deadline_ == 0) {
        continue_deadline_ = network_.now_us + 1000000;
        network_.At(continue_deadline_, this);
      }
      if (network_.now_us < continue_deadline_) return;
    }
    if (part.first && part.at == 0) r.begun_us = network_.now_us;
    const bool in_head = part.first && part.text.find("\r\n\r\n") >= part.at + 4 && waiting_.front() == part.request;
    if (in_head && network_.jumps == 0 && !ledger_.buffers_short && part.at > 2 && !network_[socket_].over() &&
        network_[socket_].accepted_us != 0 &&
        network_.now_us > std::max({r.begun_us, quiet_us_, network_[socket_].accepted_us}) + uint64_t{target_.head_timeout_ms} * 1000 + 3000000) {
      Fail("client %u may take %llu s for a head", number_, static_cast<unsigned long long>((network_.now_us - r.begun_us) / 1000000));
    }
    size_t size = std::min(most, part.text.size() - part.at);
    if (bytewise_heads_ && part.at < 200) size = 1;
    if (Counts() && habit_ != Habit::kStallReading) size = std::min<uint64_t>(size, habit_at_ + 1 - std::min(written_, habit_at_));
    size = network_.Write(socket_, part.text.data() + part.at, size);
    part.at += size;
    written_ += size;
    most -= size;
    const bool all = part.at == part.text.size();
    if (all && part.last) {
      r.whole = true;
      r.whole_us = network_.now_us;
      continue_deadline_ = 0;
      continued_ = false;
    }
    if (Counts() && habit_ != Habit::kStallReading && written_ > habit_at_) return Misbehave();
    if (size == 0) return;  // woken when there is room
    if (all) {
      out_.pop_front();
      if (random_.Percent(50)) break;
    }
    if (bytewise_heads_) break;
  }
  if (!out_.empty()) return Later(random_.Skewed(1, bytewise_heads_ ? byte_us_ : pace_us_));
  // Its last words are said, and it still listens.
  if (half_close_ && requests_left_ == 0 && !invalid_last_) {
    half_closed_ = true;
    network_.Shutdown(socket_);
  }
}

// --- Reading responses ---

void Client::Read() {
  if (socket_ == kNoSocket || done_) return;
  char data[16384];
  size_t most = pace_bytes_;
  if (habit_ == Habit::kPauseReading && read_ >= habit_at_ && !paused_) {
    paused_ = true;
    network_.trace.Say("client %u pauses", number_);
    for (const uint32_t id : waiting_) ledger_.requests[id].touched = true;
    return Later(random_.Skewed(1, 60000000));
  }
  while (most > 0 && network_[socket_].readable() > 0) {
    size_t limit = std::min(most, sizeof data);
    const size_t size = network_.Read(socket_, data, limit);
    read_ += size;
    most -= size;
    OnBytes(data, size);
    if (done_) return;
    if (stream_ != nullptr) return Later(1);
    if (habit_ == Habit::kStallReading && read_ >= habit_at_) return Misbehave();
  }
  if (network_[socket_].readable() > 0) return Later(random_.Skewed(1, pace_us_));
  if (network_[socket_].over()) OnOver();
}

void Client::OnBytes(const char* data, size_t size) {
  while (size > 0) {
    if (stream_ != nullptr) return stream_->Accept(data, size);
    if (deaf_) return;
    if (closing_ || waiting_.empty()) {
      Fail("client %u got %zu bytes nobody asked for: %.40s", number_, size, std::string(data, size).c_str());
    }
    const bool had_head = reader_.head_done();
    const size_t used = reader_.Feed(data, size);
    data += used;
    size -= used;
    if (!had_head && reader_.head_done()) OnHead();
    if (reader_.done() && stream_ == nullptr) OnDone();
    if (done_) return;
  }
}

void Client::JudgeHeaders() {
  for (const char* name : {"keep-alive", "proxy-connection", "te", "x-hop", "x-poison"}) {
    if (!reader_.All(name).empty()) Fail("response to %u carries %s", waiting_.front(), name);
  }
  const std::string connection = reader_.One("connection");
  if (!connection.empty() && connection != "close" && connection != "keep-alive" && connection != "Upgrade") {
    Fail("response with Connection: %s", connection.c_str());
  }
}

void Client::OnHead() {
  Request& r = ledger_.requests[waiting_.front()];
  const int status = reader_.status();
  network_.trace.Say("client %u: status %d for request %u", number_, status, r.id);
  JudgeHeaders();
  if (status < 200) {
    if (r.minor == 0) Fail("status %d sent to a 1.0 client (request %u)", status, r.id);
    if (status == 101 && !r.upgrade) Fail("status 101 for request %u, which did not ask", r.id);
    if (status == 101) {
      ++ledger_.totals.streams;
      stream_ = std::make_unique<StreamEnd>(network_, ledger_, r.id, true, socket_);
      return;
    }
    if (status == 100) {
      continued_ = true;
      network_.After(1, this);
    }
    return;
  }
  if (r.method == "HEAD") reader_.NoBody();
  const std::string from = reader_.One("x-sim");
  if (from.empty()) {
    ++ledger_.totals.own_replies;
    if (Demanding(r)) {
      const bool raced = status == 502 && (!r.idempotent || r.body_size > 0) && r.attempts.empty() && ledger_.mood.endpoint_idle_closes;
      const bool gave_up = status == 503 && half_closed_;  // so it seemed, while it waited
      if (!raced && !gave_up) Fail("request %u (%s) was answered %d by the proxy itself", r.id, r.method.c_str(), status);
    }
    if (ledger_.mood.calm && invalid_sent_ && waiting_.size() == 1 && status != invalid_status_) {
      Fail("an invalid request was answered %d instead of %d", status, invalid_status_);
    }
    if (status == 504 && network_.now_us < r.begun_us + uint64_t{ledger_.response_timeout_ms} * 1000) {
      Fail("request %u timed out too early", r.id);
    }
    if (status < 400) Fail("the proxy itself answered %d", status);
    if ((status == 503) == reader_.One("retry-after").empty()) Fail("Retry-After is missing, or there with a %d", status);
    return;
  }
  if (from != std::to_string(r.id)) Fail("request %u got the response to %s", r.id, from.c_str());
  const auto number = static_cast<uint32_t>(std::atoi(reader_.One("x-attempt").c_str()));
  if (number >= r.attempts.size()) Fail("request %u got a response that nobody sent", r.id);
  const Attempt& attempt = r.attempts[number];
  if (attempt.status != status) Fail("request %u: status %d became %d", r.id, attempt.status, status);
  if (r.minor == 0 && reader_.framing() == MessageReader::Framing::kChunked) Fail("chunks for a 1.0 client (request %u)", r.id);
  if (reader_.framing() == MessageReader::Framing::kLength && !reader_.done() && reader_.length() != attempt.size) {
    Fail("request %u: Content-Length %llu became %llu", r.id, static_cast<unsigned long long>(attempt.size),
         static_cast<unsigned long long>(reader_.length()));
  }
  reader_.ExpectContent(ContentKey(r.id, number, false));
}

void Client::OnDone() {
  if (reader_.status() < 200) return reader_.Start(true);
  Request& r = ledger_.requests[waiting_.front()];
  ++ledger_.totals.finals;
  const std::string number = reader_.One("x-attempt");
  if (!number.empty() && reader_.framing() != MessageReader::Framing::kNone) {
    const Attempt& attempt = r.attempts[static_cast<size_t>(std::atoi(number.c_str()))];
    if (reader_.body_size() != attempt.size) {
      Fail("request %u: the response has %llu bytes, not %llu", r.id, static_cast<unsigned long long>(reader_.body_size()),
           static_cast<unsigned long long>(attempt.size));
    }
  }
  quiet_us_ = network_.now_us;
  const std::string connection = reader_.One("connection");
  closing_ = connection == "close" || (r.minor == 0 && connection != "keep-alive") ||
             reader_.framing() == MessageReader::Framing::kUntilClose;
  const uint64_t* left_us = network_[socket_].left_us;
  if (!closing_ && left_us != nullptr && *left_us != 0 && r.begun_us > *left_us) {
    Fail("request %u was answered by a dataplane that leaves, and the connection stays", r.id);
  }
  if (!closing_ && !r.whole) Fail("request %u was answered before it was whole, and the connection stays", r.id);
  const bool invalid = invalid_sent_ && waiting_.size() == 1;
  // The proxy had perhaps not even read "HEAD" when it gave up waiting for more.
  deaf_ = reader_.status() == 408 && r.method == "HEAD";
  if (!closing_ && invalid) Fail("the connection stays after an invalid request");
  waiting_.pop_front();
  reader_.Start(true);
  if (!closing_ && waiting_.empty() && requests_left_ == 0 && !invalid_last_ && out_.empty()) {
    if (random_.Percent(70)) Finish(random_.Percent(20));  // else the proxy's idle time-out
  }
  if (random_.Percent(20)) Later(random_.Below(ledger_.mood.calm ? 1000000 : 3000000));  // thinks
  network_.After(1, this);
}

// The proxy has ended the connection, and all bytes are read.
void Client::OnOver() {
  const bool reset = network_[socket_].reset_in;
  network_.trace.Say("client %u: connection %s, %zu responses missing", number_, reset ? "reset" : "ended", waiting_.size());
  if (!reset && !waiting_.empty() && reader_.begun()) {
    if (reader_.head_done() && reader_.framing() == MessageReader::Framing::kUntilClose) {
      reader_.End();
      OnDone();
      if (done_) return;
    }
  }
  if (!waiting_.empty()) {
    ++(reader_.begun() ? ledger_.totals.cut : ledger_.totals.unanswered);
    const Request& r = ledger_.requests[waiting_.front()];
    // After a response that closes, what was sent behind it is not answered: the client has been told.
    if (Demanding(r) && !closing_ && !ledger_.stopping && !ledger_.listener_left && !misbehaved_) {
      Fail("request %u (%s) %s and has no %s response", r.id, r.method.c_str(), reset ? "was reset" : "saw its connection end",
           reader_.begun() ? "whole" : "");
    }
  }
  if (GoesOn()) return Reconnect();
  Finish(false);
}

// It was told that the connection ends, and has more to ask.
bool Client::GoesOn() const {
  return closing_ && stream_ == nullptr && waiting_.empty() && out_.empty() && requests_left_ > 0 && habit_ == Habit::kNone &&
         !half_closed_;
}

void Client::Reconnect() {
  network_.Close(socket_);
  socket_ = kNoSocket;
  closing_ = false;
  connects_left_ = 5;
  network_.trace.Say("client %u connects again", number_);
  Later(random_.Skewed(1, 20000));
}

// Whatever it waits for.
void Client::GiveUp() {
  ++ledger_.totals.faults;
  for (const uint32_t id : waiting_) ledger_.requests[id].touched = true;
  network_.trace.Say("client %u gives up", number_);
  if (socket_ == kNoSocket) done_ = true;
  else Finish(random_.Percent(50));
}

void Client::Misbehave() {
  misbehaved_ = true;
  ++ledger_.totals.faults;
  for (const uint32_t id : waiting_) ledger_.requests[id].touched = true;
  network_.trace.Say("client %u misbehaves: %d", number_, static_cast<int>(habit_));
  switch (habit_) {
    case Habit::kReset:
      return Finish(true);
    case Habit::kCloseEarly:
      return Finish(false);
    case Habit::kHalfClose:
      if (stream_ == nullptr) network_.Shutdown(socket_);
      else return Finish(true);
      closing_ = false;
      out_.clear();
      requests_left_ = 0;
      invalid_last_ = false;
      return;
    default:
      return network_.After(1, this);  // stalls
  }
}

void Client::Finish(bool reset) {
  done_ = true;
  if (stream_ != nullptr) return stream_->Leave(reset);
  if (reset) network_.Reset(socket_);
  else network_.Close(socket_);
}

}  // namespace ringway::sim
