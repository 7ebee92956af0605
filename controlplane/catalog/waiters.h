// Blocked readers: each waits for one of its keys to be touched, or for its deadline. One thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace ringway::cp {

class Waiters {
 public:
  explicit Waiters(boost::asio::io_context& io) : io_(io) {}
  // Held by the waiting coroutine through `self`, so that the list outlives every frame that is in
  // it.
  static boost::asio::awaitable<bool> Wait(std::shared_ptr<Waiters> self,
                                           std::vector<std::string> keys,
                                           std::chrono::steady_clock::time_point deadline);
  void Touch(const std::set<std::string>& keys);
  size_t size() const { return waiting_; }

 private:
  struct Entry;
  boost::asio::io_context& io_;
  std::map<std::string, std::set<Entry*>> by_key_;
  size_t waiting_ = 0;
};

}  // namespace ringway::cp
