#include "tests/bpf/l4_live_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace ringway::dp {
namespace {

// N: the prefix of names, M: the MTU.
constexpr char kMake[] = R"(set -e
  machine() {
    ip netns add $N$1; ip -n $N$1 link set lo up
    ip netns exec $N$1 sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.autoconf=0
  }
  arm() { # MACHINE LAST
    ip -n ${N}sw link add p$1 mtu $M type veth peer name eth0 mtu $M netns $N$1
    ip -n ${N}sw link set p$1 master br0 up
    ip -n $N$1 address add 10.9.0.$2/24 dev eth0
    ip -n $N$1 address add fd09::$2/64 dev eth0 nodad
    ip -n $N$1 link set eth0 up
  }
  for m in sw c lb e1 e2 e3 far; do machine $m; done
  ip -n ${N}sw link add br0 type bridge mcast_snooping 0; ip -n ${N}sw link set br0 mtu $M up
  arm c 10; arm lb 1; arm e1 11; arm e2 12; arm e3 13
  ip -n ${N}lb address add 10.9.0.100/24 dev eth0; ip -n ${N}lb address add fd09::100/64 dev eth0 nodad
  ip -n ${N}lb link add front mtu $M type veth peer name eth0 mtu $M netns ${N}far
  ip -n ${N}lb address add 10.8.0.1/24 dev front; ip -n ${N}lb address add fd08::1/64 dev front nodad; ip -n ${N}lb link set front up
  ip -n ${N}far address add 10.8.0.10/24 dev eth0; ip -n ${N}far address add fd08::10/64 dev eth0 nodad; ip -n ${N}far link set eth0 up
  for m in far; do ip -n $N$m route add default via 10.8.0.1; ip -n $N$m route add default via fd08::1; done
  for m in e1 e2 e3; do ip -n $N$m route add default via 10.9.0.1; ip -n $N$m route add default via fd09::1; done
  ip netns exec ${N}lb sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1)";

constexpr char kRemove[] = "for m in sw c lb e1 e2 e3 far; do ip netns del $N$m 2>/dev/null; done; true";

socklen_t Address(const std::string& text, uint16_t port, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof(out));
  if (text.find(':') != std::string::npos) {
    auto* six = reinterpret_cast<sockaddr_in6*>(&out);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    inet_pton(AF_INET6, text.c_str(), &six->sin6_addr);
    return sizeof(*six);
  }
  auto* four = reinterpret_cast<sockaddr_in*>(&out);
  four->sin_family = AF_INET;
  four->sin_port = htons(port);
  inet_pton(AF_INET, text.c_str(), &four->sin_addr);
  return sizeof(*four);
}

int Bound(const std::string& address, uint16_t port, int type) {
  sockaddr_storage storage;
  const socklen_t size = Address(address, port, storage);
  const int fd = socket(storage.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, reinterpret_cast<sockaddr*>(&storage), size) != 0) ADD_FAILURE() << "bind " << address << ": " << std::strerror(errno);
  return fd;
}

}  // namespace

LiveNetwork::LiveNetwork(int mtu) : prefix_("rwl4-" + std::to_string(getpid()) + "-") {
  const std::string settings = "N=" + prefix_ + " M=" + std::to_string(mtu) + "\n";
  if (std::system((settings + kMake).c_str()) != 0) ADD_FAILURE() << "the live network could not be made";
}

LiveNetwork::~LiveNetwork() {
  if (std::system(("N=" + prefix_ + "\n" + kRemove).c_str()) != 0) ADD_FAILURE() << "the live network could not be removed";
}

std::string LiveNetwork::Name(const std::string& machine) const { return prefix_ + machine; }

void LiveNetwork::In(const std::string& machine, const std::function<void()>& what) const {
  std::thread([&] {
    const int fd = open(("/run/netns/" + Name(machine)).c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(setns(fd, CLONE_NEWNET), 0);
    close(fd);
    what();
  }).join();
}

void LiveNetwork::Shell(const std::string& machine, const std::string& command) const {
  EXPECT_EQ(std::system(("ip netns exec " + Name(machine) + " sh -c '" + command + "'").c_str()), 0) << command;
}

int ListenTcp(const std::string& address, uint16_t port) {
  const int fd = Bound(address, port, SOCK_STREAM);
  listen(fd, 4096);
  return fd;
}

int BindUdp(const std::string& address, uint16_t port) { return Bound(address, port, SOCK_DGRAM); }

int Connect(const std::string& address, uint16_t port, int type, int timeout_ms) {
  sockaddr_storage storage;
  const socklen_t size = Address(address, port, storage);
  const int fd = socket(storage.ss_family, type | SOCK_CLOEXEC, 0);
  const timeval timeout{timeout_ms / 1000, timeout_ms % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  if (connect(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0) return fd;
  const int error = errno;
  close(fd);
  return -error;
}

EchoServer::EchoServer(const LiveNetwork& network, const std::string& machine, const std::string& address, uint16_t port) {
  network.In(machine, [&] {
    tcp_ = ListenTcp(address, port);
    udp_ = BindUdp(address, port);
  });
  thread_ = std::thread([this] { Run(); });
}

EchoServer::~EchoServer() {
  stop_ = true;
  thread_.join();
}

void EchoServer::Run() {
  std::vector<pollfd> fds = {{tcp_, POLLIN, 0}, {udp_, POLLIN, 0}};
  std::vector<char> buffer(65536);
  while (!stop_) {
    poll(fds.data(), fds.size(), 20);
    for (size_t i = 2; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      const ssize_t got = recv(fds[i].fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got > 0 && send(fds[i].fd, buffer.data(), static_cast<size_t>(got), MSG_NOSIGNAL) == got) continue;
      if (got < 0 && errno == EAGAIN) continue;
      close(fds[i].fd);
      fds[i].fd = -1;
    }
    for (int fd; (fd = accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ++accepted_) fds.push_back({fd, POLLIN, 0});
    sockaddr_storage from;
    socklen_t size = sizeof(from);
    ssize_t got = 0;
    while ((got = recvfrom(udp_, buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size)) >= 0) {
      sendto(udp_, buffer.data(), static_cast<size_t>(got), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
    std::erase_if(fds, [](const pollfd& entry) { return entry.fd < 0; });
  }
  for (const pollfd& entry : fds) close(entry.fd);
}

}  // namespace ringway::dp
