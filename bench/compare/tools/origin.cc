// ringway-bench-origin: the cheapest HTTP/1.1 server to measure a proxy with, and one for TCP and UDP. One thread, one ring. Answers
// come from memory built once; an answer and the receive of the next request are one chain, so a request costs one entry to the
// kernel and one completion. At most one chain is under way per connection: its receive completes, or a send of it fails and
// takes the receive along. Bodies of requests are dropped in the kernel (MSG_TRUNC, tcp(7)), never copied.
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "bench/compare/tools/answers.h"
#include "bench/compare/tools/request_head.h"
#include "bench/compare/tools/ring.h"
#include "bench/compare/tools/sockets.h"
#include "bench/compare/tools/udp_echo.h"

namespace ringway::bench {
namespace {

struct Options {
  std::vector<std::string> listen;
  bool tcp = false;
  bool udp = false;
  uint32_t request = 64;
  uint32_t response = 64;
};

Options ParseCommandLine(int argc, char** argv) {
  CLI::App app{
      "Answers HTTP/1.1 requests from memory: GET /b/N (N bytes), /chunked/N, /close/N (then closes), / and any request with a body "
      "(2 bytes). With --tcp it answers each message of --request bytes with --response bytes, with --udp each datagram with itself."};
  Options options;
  app.add_option("--listen", options.listen, "ADDRESS:PORT or ADDRESS:FIRST-LAST; may be given again")
      ->required()->check(CheckRange);
  auto* tcp = app.add_flag("--tcp", options.tcp, "plain messages instead of HTTP");
  app.add_flag("--udp", options.udp, "datagrams, sent back as they came")->excludes(tcp);
  app.add_option("--request", options.request, "bytes of a message, with --tcp")->check(CLI::Range(1, 1 << 30));
  app.add_option("--response", options.response, "bytes of an answer, with --tcp")->check(CLI::Range(1, 1 << 30));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return options;
}

std::vector<Address> AllAddresses(const Options& options) {
  std::vector<Address> all;
  for (const std::string& text : options.listen) {
    const std::vector<Address> some = ParseAddresses(text);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

enum Op : uint8_t { kOwn, kAccept, kRecv, kSwallow, kSend, kResume };

constexpr uint32_t kChainMax = 3;  // send, shutdown, receive
constexpr size_t kHeadBytesMax = 64 << 10;
constexpr uint64_t kSwallowBytesMax = 1 << 30;

struct Connection {
  int fd = -1;
  bool closing = false;      // the last answer was sent; what still comes is dropped
  uint64_t body_left = 0;    // of the request, until it is answered
  const BuiltAnswer* due = nullptr;  // the answer when body_left is 0
  std::string partial;       // of a head that came in pieces
};

class Origin {
 public:
  explicit Origin(const Options& options) : options_(options), pool_(ring_.AddPool(512, 32 << 10)) {
    // Never touched: the kernel wants an address even where it copies nothing.
    void* nowhere = mmap(nullptr, kSwallowBytesMax, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (nowhere == MAP_FAILED) Die("mmap", errno);
    nowhere_ = nowhere;
    message_.assign(options.tcp ? options.response : 0, 'x');
    for (const Address& address : AllAddresses(options)) {
      listeners_.push_back(Listen(address));
      SetNoDelay(listeners_.back());  // inherited by what is accepted
      ring_.Accept(listeners_.back(), Tag{kAccept, static_cast<uint32_t>(listeners_.size() - 1)});
    }
  }

  void Run() {
    while (!ring_.stopping()) ring_.Turn([this](Tag tag, const io_uring_cqe& cqe) { OnCompleted(tag, cqe); });
  }

 private:
  void OnCompleted(Tag tag, const io_uring_cqe& cqe) {
    switch (tag.op) {
      case kAccept: return OnAccepted(tag.slot, cqe);
      case kRecv: return OnReceived(tag.slot, cqe);
      case kSwallow: return OnSwallowed(tag.slot, cqe.res);
      case kSend: return Close(tag.slot);  // failed
      case kResume: return OnResumed(tag.slot);
      default: return;
    }
  }

  void OnAccepted(uint32_t listener, const io_uring_cqe& cqe) {
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) ring_.Accept(listeners_[listener], Tag{kAccept, listener});
    if (cqe.res < 0) return;
    if (free_.empty()) {
      free_.push_back(static_cast<uint32_t>(connections_.size()));
      connections_.emplace_back();
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    connections_[index].fd = cqe.res;
    Receive(index);
  }

  void OnReceived(uint32_t index, const io_uring_cqe& cqe) {
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) pool_.Taken();
    if (cqe.res == -ENOBUFS) return Receive(index);
    if (cqe.res <= 0) return Close(index);
    const uint16_t id = BufferPool::IdOf(cqe);
    const std::string_view bytes(pool_.Data(id), static_cast<size_t>(cqe.res));
    if (connections_[index].closing) Receive(index);
    else if (options_.tcp) OnMessageBytes(index, bytes.size());
    else OnBytes(index, bytes);
    pool_.Return(id);
  }

  // body_left: bytes not answered yet.
  void OnMessageBytes(uint32_t index, size_t size) {
    Connection& connection = connections_[index];
    connection.body_left += size;
    ring_.Reserve(kChainMax);
    if (connection.body_left < options_.request) return Receive(index);
    connection.body_left -= options_.request;
    io_uring_prep_send(Chained(index), connection.fd, message_.data(), message_.size(), MSG_NOSIGNAL | MSG_WAITALL);
    if (connection.body_left < options_.request) Receive(index);
    else Resume(index);
  }

  void OnBytes(uint32_t index, std::string_view bytes) {
    Connection& connection = connections_[index];
    if (connection.partial.empty()) {
      if (bytes == last_request_) return Send(index, last_answer_);
      return OnRequest(index, bytes);
    }
    connection.partial.append(bytes);
    const std::string all = std::move(connection.partial);
    connection.partial.clear();
    OnRequest(index, all);
  }

  // `bytes` begin where a request does. What is behind it waits in `partial` until it is answered.
  void OnRequest(uint32_t index, std::string_view bytes) {
    Connection& connection = connections_[index];
    const OriginRequest request = ParseRequest(bytes);
    if (request.head_size == 0) {
      if (bytes.size() > kHeadBytesMax) return Close(index);
      connection.partial = bytes;
      return Receive(index);
    }
    const BuiltAnswer* answer = answers_.Get(request.answer);
    const uint64_t here = bytes.size() - request.head_size;
    if (request.body_size > here) {
      connection.due = answer;
      connection.body_left = request.body_size - here;
      return Swallow(index);
    }
    if (request.body_size == here) {
      last_request_ = bytes;
      last_answer_ = answer;
    } else {
      connection.partial = bytes.substr(request.head_size + static_cast<size_t>(request.body_size));
    }
    Send(index, answer);
  }

  // What is there of the rest of a body. Not with MSG_WAITALL: io_uring counts what is left by what was copied, which is nothing.
  void Swallow(uint32_t index) {
    Connection& connection = connections_[index];
    const uint64_t size = std::min(connection.body_left, kSwallowBytesMax);
    io_uring_prep_recv(ring_.Sqe(Tag{kSwallow, index}), connection.fd, nowhere_, static_cast<size_t>(size), MSG_TRUNC);
  }

  void OnSwallowed(uint32_t index, int32_t result) {
    Connection& connection = connections_[index];
    if (result <= 0) return Close(index);
    connection.body_left -= std::min<uint64_t>(connection.body_left, static_cast<uint64_t>(result));
    if (connection.body_left > 0) return Swallow(index);
    Send(index, connection.due);
  }

  // Ends with what makes the connection go on.
  void Send(uint32_t index, const BuiltAnswer* answer) {
    Connection& connection = connections_[index];
    constexpr int kFlags = MSG_NOSIGNAL | MSG_WAITALL;
    ring_.Reserve(kChainMax);
    if (answer->parts.size() == 1) io_uring_prep_send(Chained(index), connection.fd, answer->head.data(), answer->head.size(), kFlags);
    else io_uring_prep_sendmsg(Chained(index), connection.fd, &answer->message, kFlags);
    if (answer->key.close) {
      connection.closing = true;
      connection.partial.clear();
      io_uring_prep_shutdown(Chained(index), connection.fd, SHUT_WR);
    }
    if (connection.partial.empty()) Receive(index);
    else Resume(index);
  }

  // A link of the chain that the next receive, or Resume, ends; silent unless it fails.
  io_uring_sqe* Chained(uint32_t index) {
    io_uring_sqe* sqe = ring_.Sqe(Tag{kSend, index});
    sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    return sqe;
  }

  void Resume(uint32_t index) { io_uring_prep_nop(ring_.Sqe(Tag{kResume, index})); }

  void OnResumed(uint32_t index) {
    if (options_.tcp) return OnMessageBytes(index, 0);
    const std::string bytes = std::move(connections_[index].partial);
    connections_[index].partial.clear();
    OnRequest(index, bytes);
  }

  void Receive(uint32_t index) { ring_.Recv(connections_[index].fd, pool_, Tag{kRecv, index}); }

  void Close(uint32_t index) {
    ring_.Close(connections_[index].fd);
    connections_[index] = Connection{};
    free_.push_back(index);
  }

  const Options options_;
  Ring ring_;
  BufferPool& pool_;
  void* nowhere_ = nullptr;
  Answers answers_;
  std::string message_;  // with --tcp
  std::string last_request_;  // the request most recently parsed, all its bytes: the next one is mostly the same
  const BuiltAnswer* last_answer_ = nullptr;
  std::vector<int> listeners_;
  std::vector<Connection> connections_;
  std::vector<uint32_t> free_;
};

}  // namespace
}  // namespace ringway::bench

int main(int argc, char** argv) {
  using namespace ringway::bench;
  const Options options = ParseCommandLine(argc, argv);
  RaiseFileLimit();
  if (options.udp) UdpEcho(AllAddresses(options)).Run();
  else Origin(options).Run();
  return 0;
}
