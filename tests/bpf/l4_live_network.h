// Machines for live tests of packet delivery, each a network namespace of this process's own making: a client "c", a balancer
// "lb" with one arm, endpoints "e1" to "e3", all on one bridge as containers are; and a client "far" behind a router's arm of the
// balancer. Sockets of all of them live in the test's process. Names begin with the process id; all is removed at the end.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace ringway::dp {

class LiveNetwork {
 public:
  explicit LiveNetwork(int mtu = 1500);
  ~LiveNetwork();
  LiveNetwork(const LiveNetwork&) = delete;
  LiveNetwork& operator=(const LiveNetwork&) = delete;

  // Runs in the namespace of `machine`, in a thread of its own: sockets made there stay there.
  void In(const std::string& machine, const std::function<void()>& what) const;
  // A shell command in the namespace; fails the test.
  void Shell(const std::string& machine, const std::string& command) const;
  std::string Name(const std::string& machine) const;

 private:
  const std::string prefix_;
};

// Descriptors; the test closes them. Addresses are text, of either family.
int ListenTcp(const std::string& address, uint16_t port);
int BindUdp(const std::string& address, uint16_t port);
int Connect(const std::string& address, uint16_t port, int type, int timeout_ms = 3000);  // -errno

// Echoes TCP and UDP on `port` in a namespace, until it goes. Says its name first where asked: one byte, `name`.
class EchoServer {
 public:
  EchoServer(const LiveNetwork& network, const std::string& machine, const std::string& address, uint16_t port);
  ~EchoServer();
  uint32_t accepted() const { return accepted_; }

 private:
  void Run();
  int tcp_ = -1, udp_ = -1;
  std::atomic<bool> stop_ = false;
  std::atomic<uint32_t> accepted_ = 0;
  std::thread thread_;
};

}  // namespace ringway::dp
