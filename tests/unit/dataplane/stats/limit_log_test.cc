// Limits in the log: said when they grow, not again within ten seconds, then with what was missed.
#include "dataplane/stats/limit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace ringway::dp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using namespace std::chrono_literals;

TEST(LimitLog, SaysEachKindOnceInTenSeconds) {
  const auto a = std::make_unique<WorkerShared>(), b = std::make_unique<WorkerShared>();
  LimitLog log({a.get(), b.get()});
  const auto now = std::chrono::steady_clock::now();
  auto& files = b->counters.worker.limits_total[static_cast<size_t>(Limit::kFiles)];
  EXPECT_THAT(log.Tick(now), IsEmpty());
  files.Add(3);
  EXPECT_THAT(log.Tick(now), ElementsAre(StartsWith("limit of open_files reached 3 times (3 since start)")));
  files.Add(2);
  EXPECT_THAT(log.Tick(now + 9s), IsEmpty());
  a->counters.worker.limits_total[static_cast<size_t>(Limit::kSessions)].Add();
  EXPECT_THAT(log.Tick(now + 9s), ElementsAre(StartsWith("limit of sessions reached 1 times")));
  EXPECT_THAT(log.Tick(now + 10s), ElementsAre(StartsWith("limit of open_files reached 2 times (5 since start)")));
  EXPECT_THAT(log.Tick(now + 60s), IsEmpty());
}

TEST(LimitLog, SaysOnceThatSpliceIsRefused) {
  const auto a = std::make_unique<WorkerShared>(), b = std::make_unique<WorkerShared>();
  LimitLog log({a.get(), b.get()});
  const auto now = std::chrono::steady_clock::now();
  a->bulk = BulkBy::kCopy;  // as it was told
  EXPECT_THAT(log.Tick(now), IsEmpty());
  b->bulk = BulkBy::kCopySpliceRefused;
  EXPECT_THAT(log.Tick(now), ElementsAre(StartsWith("splice(2) is refused here")));
  a->bulk = BulkBy::kCopySpliceRefused;
  EXPECT_THAT(log.Tick(now + 60s), IsEmpty());
}

}  // namespace
}  // namespace ringway::dp
