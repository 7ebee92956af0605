// The snapshot as it was last published, in DATA_DIR/last_known.json: what a restarted control plane goes on with until its
// catalog answers, so that its restart never empties a pool. Written at once, at most once a second, and when the control plane ends;
// again each second while that fails. Control plane's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/api/feed.h"

namespace ringway::cp {

class LastKnown {
 public:
  // `current` gives the snapshot to write.
  LastKnown(boost::asio::io_context& io, const std::string& data_dir, std::function<const api::Snapshot&()> current);
  ~LastKnown();  // writes what is not written yet

  // The services as they were; none at the first start, and after damage, which is logged.
  std::vector<api::Service> Read() const;
  // The snapshot has changed.
  void Changed();

 private:
  void Write();

  const std::string file_;
  const std::function<const api::Snapshot&()> current_;
  boost::asio::steady_timer timer_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::chrono::steady_clock::time_point written_at_{};
  bool due_ = false;
  bool failure_told_ = false;
};

}  // namespace ringway::cp
