// Follows one service of a Consul by blocking queries, by the rules of blocking_query.h, and never gives up: an error, a hang
// (time-out), an index that goes backwards, a body that is not Consul's, all leave what was known and start again from a
// question that does not block, after a wait that grows and has a jitter. Control plane's thread; its coroutine holds it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backoff.h"
#include "controlplane/discovery/blocking_query.h"
#include "controlplane/discovery/consul_link.h"
#include "controlplane/discovery/instance.h"
#include "controlplane/discovery/turns.h"

namespace ringway::cp {

// What a watch tells its owner, and asks it.
struct WatchHooks {
  std::function<bool(std::vector<Instance>)> answered;  // true: something is new
  std::function<std::vector<Instance>()> known;         // what was answered last
  std::function<void()> followed;                       // a question was answered well
  std::function<void(const std::string& why)> failed;
  std::function<bool()> scout;                          // of those that fail, the one that asks every second for the others
};

class ConsulWatch : public std::enable_shared_from_this<ConsulWatch> {
 public:
  ConsulWatch(boost::asio::io_context& io, std::shared_ptr<ConsulLink> link, std::shared_ptr<Turns> turns, std::string service, WatchHooks hooks);

  void Start();
  void Stop();
  // Gives up what is under way and asks anew, from the beginning, within `spread` from now.
  void Restart(std::chrono::milliseconds spread);
  // Another watch, which failed too, is answered again: ends the wait after a failure, and a question that seems to hang. One
  // that was asked lately is left to its answer: many that come back would otherwise cut one another off again and again.
  void Hurry();

 private:
  boost::asio::awaitable<void> Run(std::shared_ptr<ConsulWatch> self);
  boost::asio::awaitable<absl::StatusOr<bool>> Ask();
  boost::asio::awaitable<absl::StatusOr<http::ClientResponse>> Query();
  // Is an answer without instances the truth? Consul gives one, too, when the token may not read the service.
  boost::asio::awaitable<absl::Status> MayBeEmpty();
  void Failed(const absl::Status& status);
  boost::asio::awaitable<void> Sleep(std::chrono::milliseconds time);
  void LetGo();

  boost::asio::steady_timer timer_;
  const std::shared_ptr<ConsulLink> link_;
  const std::shared_ptr<Turns> turns_;
  const std::string service_;
  WatchHooks hooks_;

  std::shared_ptr<http::Channel> channel_;
  bool has_turn_ = false;
  bool stopped_ = false;
  bool restart_ = false;
  std::chrono::milliseconds spread_{0};
  BlockingIndex index_;
  AskBudget budget_;
  Backoff backoff_;
  int failures_ = 0;        // in a row
  bool cut_ = false;        // the last question's connection ended without an answer
  bool ever_answered_ = false;
  bool doubt_empty_ = true;  // an answer without instances is asked for once more before it is believed
  std::chrono::steady_clock::time_point resync_at_{};
  std::chrono::steady_clock::time_point begun_at_{};  // the last question, or restart
  bool backing_off_ = false;                          // waits after a failure
  std::minstd_rand random_;
};

}  // namespace ringway::cp
