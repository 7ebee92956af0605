// How the limit of open files is shared out among workers, sessions and upstreams.
#include "dataplane/program/resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::dp {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ShareFiles, TenThousandEndpointsKeepAConnectionEachWithTwentyThousandFiles) {
  EXPECT_THAT(PoolTooSmall(10000, ShareFiles(20000, 1, 0)), IsEmpty());
}

TEST(ShareFiles, EitherKindMayTakeThreeQuartersAndBothTogetherNoMoreThanThereAre) {
  const SessionShare share = ShareFiles(4512, 2, 0);
  EXPECT_EQ(share.files_max, 2000u);
  EXPECT_EQ(share.sessions_max, 1500u);
  EXPECT_EQ(share.upstreams_max, 1500u);
}

TEST(ShareFiles, ConfiguredSessionsLeaveTheRestToUpstreams) {
  const SessionShare share = ShareFiles(4512, 2, 100);
  EXPECT_EQ(share.sessions_max, 50u);
  EXPECT_EQ(share.upstreams_max, 1500u);
}

TEST(PoolTooSmall, SaysHowManyAreKeptAndWhatToRaise) {
  const SessionShare share = ShareFiles(4512, 2, 0);
  EXPECT_THAT(PoolTooSmall(1313, share), IsEmpty());
  const std::string words = PoolTooSmall(1314, share);
  EXPECT_THAT(words, HasSubstr("1314 endpoints, but a worker keeps no more than 1313 idle connections"));
  EXPECT_THAT(words, HasSubstr("LimitNOFILE"));
}

}  // namespace
}  // namespace ringway::dp
