// The way to one Consul cluster: its addresses, the one in use, token, TLS, and a probe about every second that says whether
// it answers and has a leader. When the address in use fails, the others are probed and the first that answers is taken; an
// answer after a failure, or another address, is told at once, so that whoever waits asks again without waiting to the end.
// Control plane's thread; its coroutines hold it until Stop() has ended them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/http/channel.h"
#include "controlplane/config/config.h"

namespace ringway::http {
class TlsClient;
}

namespace ringway::cp {

class ConsulLink : public std::enable_shared_from_this<ConsulLink> {
 public:
  static constexpr std::chrono::milliseconds kProbeEvery{1000};
  static constexpr std::chrono::milliseconds kProbeEveryDown{250};  // while the address in use does not answer
  static constexpr std::chrono::milliseconds kProbeTimeout{2000};
  static constexpr std::chrono::milliseconds kConnectTimeout{1000};

  // InvalidArgument: a file of the config (token, certificates) cannot be used. An unreachable Consul is no error.
  static absl::StatusOr<std::shared_ptr<ConsulLink>> Open(boost::asio::io_context& io, const ConsulConfig& config);

  ~ConsulLink();

  // `restored`: answers after a failure, or another address is in use. `probed`: after every probe of the address in use.
  void Start(std::function<void()> restored, std::function<void()> probed);
  void Stop();

  std::unique_ptr<http::Channel> MakeChannel();  // to the address in use
  // Who may answer: the leader alone, or any server where the config allows stale reads.
  enum class Answerer { kLeader, kAsConfigured };
  // A read with token and datacenter as configured. `path` is escaped; `query` begins with '&' or is empty.
  http::ClientRequest Read(const std::string& path, const std::string& query, Answerer answerer) const;
  http::ClientRequest Post(const std::string& path, std::string body) const;

  bool ok() const { return ok_; }
  const std::string& error() const { return error_; }  // why not ok
  const std::string& address() const { return config_.addresses[in_use_]; }
  const ConsulConfig& config() const { return config_; }

  // The address in use answers probes, but not what matters: another one is taken if it answers. Not more than once in a while.
  void TryAnother();
  void Stay() { want_another_ = false; }  // it is well again
  // Consul refused the token: a token file is read again, not more than once a second. What was wrong with it, or nothing.
  void OnForbidden();
  const std::string& token_problem() const { return token_problem_; }

 private:
  struct Address;

  ConsulLink(boost::asio::io_context& io, ConsulConfig config);
  absl::Status ReadToken();
  void AddTokenTo(http::ClientRequest& request) const;
  boost::asio::awaitable<void> Probe(std::shared_ptr<ConsulLink> self, size_t number);
  boost::asio::awaitable<absl::Status> ProbeOnce(Address& address);
  void OnProbed(size_t number, const absl::Status& status);
  void Use(size_t number);
  void WakeOthers();

  boost::asio::io_context& io_;
  const ConsulConfig config_;
  std::vector<std::unique_ptr<Address>> addresses_;
  std::shared_ptr<http::TlsClient> tls_;
  std::string token_;
  std::string token_problem_;
  std::function<void()> restored_;
  std::function<void()> probed_;

  size_t in_use_ = 0;
  bool ok_ = false;
  bool stopped_ = false;
  bool want_another_ = false;
  std::string error_ = "has not answered yet";
  std::chrono::steady_clock::time_point moved_at_{};
  std::chrono::steady_clock::time_point token_read_at_{};
};

}  // namespace ringway::cp
