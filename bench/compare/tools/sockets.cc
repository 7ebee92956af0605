#include "bench/compare/tools/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace ringway::bench {
namespace {

constexpr int kBacklog = 16384;  // the kernel lowers it to net.core.somaxconn

bool ParsePort(std::string_view text, uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

bool Fill(const std::string& host, uint16_t port, Address& out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.bytes);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.size = sizeof *v4;
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.bytes);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  out.size = sizeof *v6;
  return true;
}

void SetOn(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof on);
}

}  // namespace

void Die(const std::string& what, int error) {
  std::fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what.c_str(), error != 0 ? ": " : "",
               error != 0 ? std::strerror(error) : "");
  std::exit(1);
}

bool Address::loopback_v4() const {
  return family() == AF_INET && ntohl(reinterpret_cast<const sockaddr_in*>(&bytes)->sin_addr.s_addr) >> 24 == 127;
}

std::string Address::text() const {
  char host[INET6_ADDRSTRLEN];
  if (family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&bytes);
    return std::string(inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host)) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&bytes);
  return "[" + std::string(inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host)) + "]:" + std::to_string(ntohs(v6->sin6_port));
}

std::vector<Address> ParseAddresses(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return {};
  std::string host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos) return {};  // which colon would begin the port?
  const std::string_view ports = std::string_view(text).substr(colon + 1);
  const size_t dash = ports.find('-');
  uint16_t first = 0, last = 0;
  if (!ParsePort(ports.substr(0, dash), first)) return {};
  if (dash == std::string_view::npos) last = first;
  else if (!ParsePort(ports.substr(dash + 1), last) || last < first) return {};
  std::vector<Address> addresses;
  for (uint32_t port = first; port <= last; ++port) {
    Address address;
    if (!Fill(host, static_cast<uint16_t>(port), address)) return {};
    addresses.push_back(address);
  }
  return addresses;
}

std::string CheckAddress(const std::string& text) {
  return ParseAddresses(text).size() == 1 ? "" : "'" + text + "': wanted ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080";
}

std::string CheckRange(const std::string& text) {
  return ParseAddresses(text).empty() ? "'" + text + "': wanted ADDRESS:PORT or ADDRESS:FIRST-LAST, as 127.0.0.1:9001-10000" : "";
}

int OpenSocket(int family, bool udp) {
  const int fd = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (!udp) SetNoDelay(fd);
  return fd;
}

void SetNoDelay(int fd) { SetOn(fd, IPPROTO_TCP, TCP_NODELAY); }

int Listen(const Address& address, bool udp) {
  const int fd = OpenSocket(address.family(), udp);
  if (fd < 0) Die("socket", -fd);
  SetOn(fd, SOL_SOCKET, SO_REUSEADDR);
  if (address.family() == AF_INET6) SetOn(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  if (bind(fd, address.get(), address.size) != 0) Die("bind " + address.text(), errno);
  if (!udp && listen(fd, kBacklog) != 0) Die("listen on " + address.text(), errno);
  return fd;
}

void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) Die("getrlimit", errno);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) Die("setrlimit", errno);
}

int SignalDescriptor() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int fd = signalfd(-1, &signals, SFD_CLOEXEC);
  if (fd < 0) Die("signalfd", errno);
  return fd;
}

}  // namespace ringway::bench
