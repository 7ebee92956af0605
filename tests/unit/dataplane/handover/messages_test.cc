// What two dataplanes say to each other: there and back, across releases, and what is not understood.
#include "dataplane/handover/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::dp {
namespace {

template <typename T>
T ThereAndBack(const T& message) {
  const absl::StatusOr<HandoverMessage> back = Decode(Encode(message));
  EXPECT_TRUE(back.ok()) << back.status();
  return std::get<T>(*back);
}

TEST(HandoverMessages, AreTheSameThereAndBack) {
  Offer offer;
  offer.pid = 42;
  offer.release = "1.2.3 \"quoted\"";
  offer.workers = 8;
  offer.sockets = 17;
  offer.snapshot = offer.partial = true;
  offer.snapshot_unix_ms = 1790000000123;
  const Offer back = ThereAndBack(offer);
  EXPECT_EQ(std::tie(back.pid, back.release, back.workers, back.sockets), std::tie(offer.pid, offer.release, offer.workers, offer.sockets));
  EXPECT_EQ(std::tie(back.snapshot, back.partial, back.snapshot_unix_ms), std::tie(offer.snapshot, offer.partial, offer.snapshot_unix_ms));
  const Sockets sockets{{{"[::1]:80", "http", 3}, {"0.0.0.0:9000", "stats", 0}}};
  EXPECT_EQ(ThereAndBack(sockets).sockets, sockets.sockets);
  EXPECT_EQ(ThereAndBack(Refused{"no"}).reason, "no");
  ThereAndBack(Ready{});
  ThereAndBack(Left{});
}

TEST(HandoverMessages, UnknownKeysAreIgnoredAndMissingOnesHaveDefaults) {
  const auto take = Decode(R"({"type":"take","protocol":3,"protocol_min":2,"from":{"the":"future"}})");
  ASSERT_TRUE(take.ok()) << take.status();
  EXPECT_EQ(std::get<Take>(*take).protocol, 3u);
  EXPECT_EQ(std::get<Take>(*take).release, "");
  const auto offer = Decode(R"({"type":"offer","protocol":1})");
  ASSERT_TRUE(offer.ok()) << offer.status();
  EXPECT_FALSE(std::get<Offer>(*offer).snapshot);
}

TEST(HandoverMessages, WhatIsNotOneIsRefused) {
  for (const char* bytes : {"", "null", "[]", "{", "{}", R"({"type":"sing"})", R"({"type":"sockets"})", R"({"type":"sockets","sockets":[1]})",
                            R"({"type":"take","protocol":"one"})", R"({"type":"take","protocol":-1})", R"({"type":"offer","workers":1e99})"}) {
    EXPECT_EQ(Decode(bytes).status().code(), absl::StatusCode::kInvalidArgument) << bytes;
  }
}

TEST(HandoverMessages, TheHighestCommonProtocolIsSpoken) {
  EXPECT_EQ(*ChooseProtocol(kHandoverProtocol, kHandoverProtocolMin), kHandoverProtocol);
  EXPECT_EQ(*ChooseProtocol(kHandoverProtocol + 5, kHandoverProtocol), kHandoverProtocol);
  EXPECT_FALSE(ChooseProtocol(kHandoverProtocol + 5, kHandoverProtocol + 1).ok());
  EXPECT_FALSE(ChooseProtocol(kHandoverProtocolMin - 1, 0).ok());
}

}  // namespace
}  // namespace ringway::dp
