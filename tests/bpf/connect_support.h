// Servers that say which one they are, and clients that tell what they see, for the tests of the connect delivery.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/feed/address.h"
#include "dataplane/kernel/connect.h"
#include "tests/bpf/kernel_place.h"

namespace ringway::dp {

inline IpAddress Ip(const std::string& text) { return *ParseBind(text); }

inline std::string Spell(const sockaddr_storage& storage) { return SpellAddress(FromSockaddr(storage)); }

// Listens (TCP) or is bound (UDP) and answers everybody with its name, until it is destroyed.
class NamedServer {
 public:
  NamedServer(std::string name, const std::string& bind, bool udp = false)
      : name_(std::move(name)), udp_(udp), fd_(socket(Ip(bind).v6 ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0)) {
    sockaddr_storage storage{};
    socklen_t size = ToSockaddr(Ip(bind), storage);
    const int on = 1;
    setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&storage), size), 0) << bind << " " << std::strerror(errno);
    if (!udp) listen(fd_.get(), 128);
    size = sizeof(storage);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
    address_ = FromSockaddr(storage);
    thread_ = std::thread([this] { Run(); });
  }
  ~NamedServer() {
    stop_ = true;
    thread_.join();
  }
  const IpAddress& address() const { return address_; }
  const std::string& name() const { return name_; }
  // The last client's address as this server saw it. Read after its answer.
  std::string client() const { return client_; }

 private:
  void Run() {
    while (!stop_) {
      pollfd ready{fd_.get(), POLLIN, 0};
      if (poll(&ready, 1, 10) <= 0) continue;
      udp_ ? AnswerDatagram() : Accept();
    }
  }
  void Accept() {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    const int client = accept(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &size);
    if (client < 0) return;
    client_ = Spell(peer);
    EXPECT_EQ(write(client, name_.data(), name_.size()), static_cast<ssize_t>(name_.size()));
    clients_.emplace_back(client);
  }
  void AnswerDatagram() {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    char question[64];
    if (recvfrom(fd_.get(), question, sizeof(question), 0, reinterpret_cast<sockaddr*>(&peer), &size) < 0) return;
    client_ = Spell(peer);
    sendto(fd_.get(), name_.data(), name_.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
  }

  const std::string name_;
  const bool udp_;
  UniqueFd fd_;
  IpAddress address_;
  std::string client_;
  std::vector<UniqueFd> clients_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// A client's socket. An IPv4 address is reached from an IPv6 socket (v6) as ::ffff:a.b.c.d.
class Client {
 public:
  explicit Client(bool udp = false, bool v6 = false)
      : v6_(v6), fd_(socket(v6 ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0)) {
    const timeval limit{2, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  // 0 or the errno.
  int Connect(const std::string& to) {
    sockaddr_storage storage{};
    const socklen_t size = Address(to, storage);
    return connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0 ? 0 : errno;
  }
  int SendTo(const std::string& to) {
    sockaddr_storage storage{};
    const socklen_t size = Address(to, storage);
    return sendto(fd_.get(), "?", 1, 0, reinterpret_cast<sockaddr*>(&storage), size) == 1 ? 0 : errno;
  }
  int Send() { return send(fd_.get(), "?", 1, 0) == 1 ? 0 : errno; }
  // What came, and by from() from whom.
  std::string Receive() {
    char text[64];
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);
    const ssize_t length = recvfrom(fd_.get(), text, sizeof(text), 0, reinterpret_cast<sockaddr*>(&storage), &size);
    if (length < 0) return std::string("error: ") + std::strerror(errno);
    from_ = size > 0 ? Spell(storage) : "";
    return std::string(text, static_cast<size_t>(length));
  }
  std::string Ask(const std::string& to) {
    const int error = SendTo(to);
    return error == 0 ? Receive() : std::string("error: ") + std::strerror(error);
  }
  const std::string& from() const { return from_; }
  std::string Peer() const { return Name(getpeername); }
  std::string Self() const { return Name(getsockname); }
  int fd() const { return fd_.get(); }

 private:
  socklen_t Address(const std::string& to, sockaddr_storage& storage) const {
    IpAddress address = Ip(to);
    if (v6_ && !address.v6) {
      const auto four = address.bytes;
      address = {};
      address.v6 = true;
      address.port = Ip(to).port;
      address.bytes[10] = address.bytes[11] = 0xff;
      for (size_t i = 0; i < 4; ++i) address.bytes[12 + i] = four[i];
    }
    return ToSockaddr(address, storage);
  }
  template <typename Call>
  std::string Name(Call call) const {
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);
    return call(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &size) == 0 ? Spell(storage) : "";
  }
  const bool v6_;
  UniqueFd fd_;
  std::string from_;
};

inline ConnectTarget Target(const NamedServer& server, uint32_t weight = 1) { return {"svc " + server.name(), server.address(), weight}; }

inline ConnectService Leading(const std::string& address, std::vector<ConnectTarget> ready, bool udp = false) {
  ConnectService service;
  service.name = address;
  service.addresses = {Ip(address)};
  service.udp = udp;
  service.ready = std::move(ready);
  return service;
}

class ConnectTest : public testing::Test {
 protected:
  void SetUp() override {
    delivery_ = Start();
    cgroup_.Enter();
  }
  void TearDown() override {
    cgroup_.Leave();
    delivery_.reset();
    EXPECT_TRUE(ConnectDelivery::Detach(bpf_.pins()).ok());
  }
  std::unique_ptr<ConnectDelivery> Start() {
    auto delivery = ConnectDelivery::Start(bpf_.pins(), bpf_.path() + "-logs");
    EXPECT_TRUE(delivery.ok()) << delivery.status();
    return delivery.ok() ? *std::move(delivery) : nullptr;
  }
  void Apply(const std::vector<ConnectService>& services) {
    const absl::Status status = delivery_->Apply(services, {cgroup_.path()});
    EXPECT_TRUE(status.ok()) << status;
  }
  static std::string ConnectAndRead(const std::string& to, bool v6 = false) {
    Client client(false, v6);
    const int error = client.Connect(to);
    return error == 0 ? client.Receive() : std::string("error: ") + std::strerror(error);
  }

  BpfFolder bpf_;
  Cgroup cgroup_{"a"};
  std::unique_ptr<ConnectDelivery> delivery_;
};

}  // namespace ringway::dp
