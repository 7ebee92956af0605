// MatchRoute: exact host before any host, longer path before shorter, whole segments only.
#include "dataplane/core/route.h"

#include <gtest/gtest.h>

namespace ringway::dp {
namespace {

ListenerEntry Listener() {
  ListenerEntry listener;
  listener.routes = {{"a.test", "/api", 1}, {"a.test", "", 2}, {"", "/static/", 3}, {"", "/img", 4}};
  return listener;
}

TEST(MatchRoute, HostIsComparedWithoutCaseAndPort) {
  EXPECT_EQ(MatchRoute(Listener(), "A.Test:8080", "/"), 2u);
  EXPECT_EQ(MatchRoute(Listener(), "a.test", "/"), 2u);
  EXPECT_EQ(MatchRoute(Listener(), "b.a.test", "/"), kNoHandle);
}

TEST(MatchRoute, LongerPathOfAHostComesFirst) {
  EXPECT_EQ(MatchRoute(Listener(), "a.test", "/api"), 1u);
  EXPECT_EQ(MatchRoute(Listener(), "a.test", "/api/x"), 1u);
  EXPECT_EQ(MatchRoute(Listener(), "a.test", "/apix"), 2u);
}

TEST(MatchRoute, PathCoversWholeSegments) {
  EXPECT_EQ(MatchRoute(Listener(), "other", "/img/a"), 4u);
  EXPECT_EQ(MatchRoute(Listener(), "other", "/img"), 4u);
  EXPECT_EQ(MatchRoute(Listener(), "other", "/images"), kNoHandle);
  EXPECT_EQ(MatchRoute(Listener(), "other", "/static/a"), 3u);
  EXPECT_EQ(MatchRoute(Listener(), "other", "/static"), kNoHandle);
}

TEST(MatchRoute, Ipv6HostKeepsItsColons) {
  ListenerEntry listener;
  listener.routes = {{"[::1]", "", 5}};
  EXPECT_EQ(MatchRoute(listener, "[::1]", "/"), 5u);
  EXPECT_EQ(MatchRoute(listener, "[::1]:80", "/"), 5u);
}

TEST(MatchRoute, RouteForAllAndNoRoute) {
  ListenerEntry listener;
  EXPECT_EQ(MatchRoute(listener, "a", "/"), kNoHandle);
  listener.routes = {{"", "", 9}};
  EXPECT_EQ(MatchRoute(listener, "", ""), 9u);  // as a TCP session asks
}

}  // namespace
}  // namespace ringway::dp
