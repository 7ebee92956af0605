// What the three tools share about sockets and processes: addresses from the command line, listeners, limits. A tool that
// cannot go on ends with a sentence on stderr and exit code 1 (2 for a command line that makes no sense).
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::bench {

[[noreturn]] void Die(const std::string& what, int error = 0);

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  int family() const { return bytes.ss_family; }
  bool loopback_v4() const;
  std::string text() const;
};

// "A:P", "[A]:P", or "A:P-Q" for the ports from P to Q, A a literal IPv4 or IPv6 address. Empty when it is none of these.
std::vector<Address> ParseAddresses(const std::string& text);

// For CLI11: an empty string, or what is wrong with `text` as one address, or as a range.
std::string CheckAddress(const std::string& text);
std::string CheckRange(const std::string& text);

// A listening TCP socket, or a bound UDP one; dies in words. Blocking: io_uring then waits itself.
int Listen(const Address& address, bool udp = false);
// A TCP socket without delay, or a UDP one; negative errno when there is none to be had.
int OpenSocket(int family, bool udp = false);
void SetNoDelay(int fd);

// Takes the hard limit of descriptors as the soft one.
void RaiseFileLimit();

// SIGINT and SIGTERM are blocked and readable from the descriptor returned; SIGPIPE is ignored.
int SignalDescriptor();

}  // namespace ringway::bench
