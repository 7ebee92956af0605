// How many may do something at once; the others wait in the order they came. For coroutines of one io_context thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <memory>

namespace ringway::cp {

class Turns {
 public:
  Turns(boost::asio::any_io_executor executor, size_t at_once) : executor_(executor), free_(at_once) {}

  // Every turn that was taken is given back.
  static boost::asio::awaitable<void> Take(std::shared_ptr<Turns> turns) {
    if (turns->free_ > 0) {
      --turns->free_;
      co_return;
    }
    const auto mine = std::make_shared<boost::asio::steady_timer>(turns->executor_, boost::asio::steady_timer::time_point::max());
    turns->waiting_.push_back(mine);
    co_await mine->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  void GiveBack() {
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    const auto next = waiting_.front();
    waiting_.pop_front();
    next->cancel();
  }
  bool contended() const { return !waiting_.empty(); }

 private:
  const boost::asio::any_io_executor executor_;
  size_t free_;
  std::deque<std::shared_ptr<boost::asio::steady_timer>> waiting_;
};

}  // namespace ringway::cp
