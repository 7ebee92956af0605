// Pure helpers of the HTTP code: targets, URLs, Basic authentication.
#include <gtest/gtest.h>

#include "common/http/client.h"
#include "common/http/percent.h"
#include "common/http/server.h"

namespace ringway::http {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(ParseTarget, SplitsAndDecodes) {
  const Target target = ParseTarget("/v1/a%20b/c+d?x=1&y=a%26b+c&flag&=e&x=2");
  EXPECT_EQ(target.path, "/v1/a b/c+d");
  EXPECT_EQ(target.query,
            (Pairs{{"x", "1"}, {"y", "a&b c"}, {"flag", ""}, {"", "e"}, {"x", "2"}}));
  EXPECT_EQ(*target.Find("x"), "1");
  EXPECT_EQ(*target.Find("flag"), "");
  EXPECT_EQ(target.Find("z"), nullptr);
}

TEST(ParseTarget, KeepsWhatIsNotPercentEncoding) {
  EXPECT_EQ(ParseTarget("/100%").path, "/100%");
  EXPECT_EQ(ParseTarget("/%4").path, "/%4");
  EXPECT_EQ(ParseTarget("/%zz%41").path, "/%zzA");
  EXPECT_EQ(ParseTarget("/haproxy_stats;csv").path, "/haproxy_stats;csv");
  EXPECT_EQ(ParseTarget("/a?").query, Pairs{});
  EXPECT_EQ(ParseTarget("/a?b=1#frag").query, (Pairs{{"b", "1"}}));
}

TEST(PercentEncoded, ComesBackAndLeavesWhatAPathMayHold) {
  EXPECT_EQ(PercentEncoded("web-1_a.b~"), "web-1_a.b~");
  EXPECT_EQ(PercentEncoded("a b/c?d&e+\xc3\xa9"), "a%20b%2Fc%3Fd%26e%2B%C3%A9");
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  EXPECT_EQ(PercentDecoded(PercentEncoded(every), true), every);
}

TEST(ParseUrl, UnderstandsHostsPortsBasesAndSockets) {
  const Url plain = *ParseUrl("http://consul");
  EXPECT_EQ(plain.host, "consul");
  EXPECT_EQ(plain.port, 80);
  EXPECT_EQ(plain.HostHeader(), "consul");
  const Url full = *ParseUrl("http://[::1]:8500/base/");
  EXPECT_EQ(full.host, "::1");
  EXPECT_EQ(full.port, 8500);
  EXPECT_EQ(full.base, "/base");
  EXPECT_EQ(full.HostHeader(), "[::1]:8500");
  EXPECT_EQ(ParseUrl("unix:/run/x.sock")->unix_path, "/run/x.sock");
  EXPECT_EQ(ParseUrl("unix:///run/x.sock")->unix_path, "/run/x.sock");
}

TEST(ParseUrl, RefusesTheRest) {
  for (const char* text : {"", "consul:8500", "https://consul", "http://", "http://:80", "http://a:0",
                           "http://a:65536", "http://a:b", "http://[::1", "unix:", "unix:rel",
                           "http://user@host", "http://a b"}) {
    EXPECT_FALSE(ParseUrl(text).ok()) << text;
  }
}

bool Matches(const std::string& header) {
  Request request;
  request.set(boost::beast::http::field::authorization, header);
  return BasicAuthMatches(request, "admin", "pass:word");
}

TEST(BasicAuth, TakesExactlyTheRightCredentials) {
  EXPECT_TRUE(Matches("Basic YWRtaW46cGFzczp3b3Jk"));
  EXPECT_TRUE(Matches("bASIC  YWRtaW46cGFzczp3b3Jk"));
  EXPECT_FALSE(Matches("Basic YWRtaW46cGFzczp3b3Jl"));  // another last letter
  EXPECT_FALSE(Matches("Basic YWRtaW46"));              // no password
  EXPECT_FALSE(Matches("Basic "));
  EXPECT_FALSE(Matches("Basic"));
  EXPECT_FALSE(Matches("Basic !!!"));
  EXPECT_FALSE(Matches("Bearer YWRtaW46cGFzczp3b3Jk"));
  EXPECT_FALSE(BasicAuthMatches(Request(), "admin", "pass:word"));
  EXPECT_FALSE(BasicAuthMatches(Request(), "", ""));
}

}  // namespace
}  // namespace ringway::http
