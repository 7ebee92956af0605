// Blocked readers by key; see waiters.h.
#include "controlplane/catalog/waiters.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace ringway::cp {

// On the list for exactly as long as it lives, also when its coroutine is destroyed in the wait.
struct Waiters::Entry {
  Entry(std::shared_ptr<Waiters> list, std::vector<std::string> wanted)
      : waiters(std::move(list)), keys(std::move(wanted)), timer(waiters->io_) {
    for (const std::string& key : keys) waiters->by_key_[key].insert(this);
    ++waiters->waiting_;
  }
  ~Entry() {
    for (const std::string& key : keys) {
      const auto found = waiters->by_key_.find(key);
      if (found == waiters->by_key_.end()) continue;
      found->second.erase(this);
      if (found->second.empty()) waiters->by_key_.erase(found);
    }
    --waiters->waiting_;
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  const std::shared_ptr<Waiters> waiters;
  const std::vector<std::string> keys;
  boost::asio::steady_timer timer;
  bool touched = false;
};

boost::asio::awaitable<bool> Waiters::Wait(std::shared_ptr<Waiters> self,
                                           std::vector<std::string> keys,
                                           std::chrono::steady_clock::time_point deadline) {
  Entry entry(std::move(self), std::move(keys));
  entry.timer.expires_at(deadline);
  co_await entry.timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  co_return entry.touched;
}

void Waiters::Touch(const std::set<std::string>& keys) {
  for (const std::string& key : keys) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) continue;
    for (Entry* entry : found->second) {
      entry->touched = true;
      entry->timer.cancel();
    }
  }
}

}  // namespace ringway::cp
