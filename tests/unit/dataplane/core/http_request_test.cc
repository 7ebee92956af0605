// Request heads that are accepted: what is read out of them, and what is cut.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/dataplane/core/http_test_support.h"

namespace ringway::dp::test {
namespace {

std::string Get(const std::string& fields, const std::string& version = "1.1") {
  return "GET /a HTTP/" + version + "\r\nHost: h\r\n" + fields + "\r\n";
}

std::string Forwarded(const std::string& fields, const RequestRules& rules = kRules,
                      const std::string& version = "1.1") {
  const auto p = ParseRequest(Get(fields, version), rules);
  EXPECT_EQ(p.error, HeadError::kNone) << fields << static_cast<int>(p.head.bad_reason);
  const std::string start = "GET /a HTTP/" + version + "\r\nHost: h\r\n";
  const std::string out = p.Forwarded();
  EXPECT_EQ(out.substr(0, start.size()), start);
  return out.substr(start.size(), out.size() - start.size() - 2);
}

RequestRules Trusting() {
  RequestRules rules = kRules;
  rules.keep_forwarded = true;
  return rules;
}

TEST(HttpRequest, ReadsAllOfACommonRequest) {
  const auto p = ParseRequest(
      "POST /index.php?q=1 HTTP/1.1\r\nHost: www.example.com:8080\r\nUser-Agent: curl/7.88.1\r\n"
      "Accept: */*\r\nContent-Length: 42\r\nExpect: 100-continue\r\n\r\nbody");
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.start, 0u);
  EXPECT_EQ(p.head.size, p.text.size() - 4);
  EXPECT_EQ(p.head.method, Method::kPost);
  EXPECT_FALSE(p.head.method_idempotent);
  EXPECT_EQ(p.head.minor_version, 1);
  EXPECT_TRUE(p.head.keep_alive);
  EXPECT_FALSE(p.head.chunked);
  EXPECT_TRUE(p.head.has_length);
  EXPECT_EQ(p.head.length, 42u);
  EXPECT_TRUE(p.head.expect_continue);
  EXPECT_FALSE(p.head.upgrade);
  EXPECT_FALSE(p.head.absolute_form);
  EXPECT_EQ(p.At(p.head.target), "/index.php?q=1");
  EXPECT_EQ(p.At(p.head.path), "/index.php");
  EXPECT_EQ(p.At(p.head.host), "www.example.com:8080");
  EXPECT_EQ(p.text[p.head.version_offset], '1');
  EXPECT_EQ(p.text.substr(p.head.version_offset - 7, 8), "HTTP/1.1");
  EXPECT_EQ(p.text.substr(p.head.headers_offset, 5), "Host:");
  EXPECT_EQ(p.head.cuts.count, 0);
}

TEST(HttpRequest, KnowsMethodsAndWhichAreIdempotent) {
  const struct {
    const char* text;
    Method method;
    bool idempotent;
  } kCases[] = {{"GET", Method::kGet, true},
                {"HEAD", Method::kHead, true},
                {"POST", Method::kPost, false},
                {"PUT", Method::kPut, true},
                {"DELETE", Method::kDelete, true},
                {"OPTIONS", Method::kOptions, true},
                {"TRACE", Method::kTrace, true},
                {"PATCH", Method::kPatch, false},
                {"PROPFIND", Method::kOther, false},
                {"get", Method::kOther, false},
                {"Get", Method::kOther, false},
                {"GETS", Method::kOther, false},
                {"X", Method::kOther, false},
                {"M-SEARCH", Method::kOther, false},
                {"!#$%&'*+-.^_`|~", Method::kOther, false}};
  for (const auto& c : kCases) {
    const auto p = ParseRequest(std::string(c.text) + " / HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_EQ(p.error, HeadError::kNone) << c.text;
    EXPECT_EQ(p.head.method, c.method) << c.text;
    EXPECT_EQ(p.head.method_idempotent, c.idempotent) << c.text;
  }
}

TEST(HttpRequest, SkipsOneEmptyLineBeforeTheRequestLine) {
  const auto p = ParseRequest("\r\n" + Get(""));
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.start, 2u);
  EXPECT_EQ(p.head.size, p.text.size());
  EXPECT_EQ(p.At(p.head.target), "/a");
  EXPECT_EQ(ParseRequest("\r\n\r\n" + Get("")).error, HeadError::kBad);
}

TEST(HttpRequest, KeepAliveFollowsVersionAndConnection) {
  const struct {
    const char* version;
    const char* fields;
    bool keep_alive;
  } kCases[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: CLOSE\r\n", false},
      {"1.1", "Connection: keep-alive\r\n", true},
      {"1.1", "Connection: foo, close\r\n", false},
      {"1.1", "Connection: closed\r\n", true},
      {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
      {"1.1", "Connection: close, keep-alive\r\n", false},
      {"1.1", "Connection: ,, ,close,\t,\r\n", false},
      {"1.1", "Connection:\r\n", true},
      {"1.1", "Proxy-Connection: close\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
      {"1.0", "Connection: x, keep-alive\r\n", true},
      {"1.0", "Proxy-Connection: keep-alive\r\n", false},
      {"1.0", "Keep-Alive: timeout=5\r\n", false},
  };
  for (const auto& c : kCases) {
    const auto p = ParseRequest(Get(c.fields, c.version));
    ASSERT_EQ(p.error, HeadError::kNone) << c.version << " " << c.fields;
    EXPECT_EQ(p.head.keep_alive, c.keep_alive) << c.version << " " << c.fields;
  }
}

TEST(HttpRequest, CutsHopByHopFields) {
  EXPECT_EQ(
      Forwarded("A: 1\r\nConnection: close\r\nB: 2\r\nKeep-Alive: 5\r\nC: 3\r\n"
                "proxy-connection: x\r\nD: 4\r\nTE: trailers\r\nE: 5\r\nUpgrade: foo\r\nF:\r\n"),
      "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF:\r\n");
}

TEST(HttpRequest, KeepsEndToEndFieldsThatLookAlike) {
  const std::string fields =
      "Connections: close\r\nKeep-Alivf: 5\r\nXE: 1\r\nTF: 1\r\nHosu: h\r\nExpecu: 1\r\nUpgradf: "
      "h\r\n"
      "Content-Lengti: 5\r\nXransfer-Encoding: chunked\r\nTransfer-EncodinG-: chunked\r\n"
      "Proxy-Authorization: x\r\nTrailer: X\r\nForwarded: for=1\r\nX-Forwarded-Fos: 1\r\n"
      "X-Real-IP: 1\r\nProxy_Connection: 1\r\nContent_Length: 5\r\nM: \x80\xff\r\n";
  EXPECT_EQ(Forwarded(fields), fields);
  EXPECT_FALSE(ParseRequest(Get(fields)).head.has_length);
  EXPECT_FALSE(ParseRequest(Get(fields)).head.chunked);
}

TEST(HttpRequest, CutsWhatConnectionNamesBeforeAndAfterIt) {
  EXPECT_EQ(Forwarded("X-Hop: 1\r\nKeep: 1\r\nConnection: x-hop, close,other\r\nOTHER: 2\r\n"
                      "X-Hop: 3\r\nX-Hopp: 4\r\n"),
            "Keep: 1\r\nX-Hopp: 4\r\n");
}

TEST(HttpRequest, MergesNeighbouringCuts) {
  const auto p =
      ParseRequest(Get("Connection: close\r\nTE: a\r\nKeep-Alive: b\r\nA: 1\r\nTE: c\r\n"));
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.cuts.count, 2);
}

TEST(HttpRequest, CutsAreExactlyAsManyAsFit) {
  std::string fields;
  for (int i = 0; i < kCutsMax; ++i) fields += "TE: a\r\nA: 1\r\n";
  const auto p = ParseRequest(Get(fields));
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.cuts.count, kCutsMax);
  EXPECT_EQ(ParseRequest(Get(fields + "TE: a\r\n")).head.bad_reason, BadReason::kCuts);
}

TEST(HttpRequest, CutsForwardedFieldsOfStrangers) {
  const std::string fields =
      "X-Forwarded-For: 1.2.3.4\r\nA: 1\r\nx-forwarded-port: 1\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Host: h\r\n";
  EXPECT_EQ(Forwarded(fields), "A: 1\r\nX-Forwarded-Host: h\r\n");
  EXPECT_EQ(ParseRequest(Get(fields)).head.forwarded_for.size, 0u);
}

TEST(HttpRequest, KeepsForwardedFieldsOfTrustedProxies) {
  const std::string fields =
      "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-For:  5.6.7.8, 9.9.9.9 \r\nX-Forwarded-For: \r\n";
  EXPECT_EQ(Forwarded(fields, Trusting()), fields);
  const auto p = ParseRequest(Get(fields), Trusting());
  EXPECT_EQ(p.At(p.head.forwarded_for), "5.6.7.8, 9.9.9.9");
}

TEST(HttpRequest, ForwardedForThatConnectionNamesIsCutEvenFromTrustedProxies) {
  const auto p = ParseRequest(
      Get("X-Forwarded-For: 1.2.3.4\r\nConnection: x-forwarded-for\r\nA: 1\r\n"), Trusting());
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.forwarded_for.size, 0u);
  EXPECT_EQ(p.Forwarded(), Get("A: 1\r\n"));
}

TEST(HttpRequest, ExpectContinueStaysInHttp11AndIsCutFromHttp10) {
  const std::string expect = "Expect: 100-Continue\r\n";
  EXPECT_EQ(Forwarded(expect), expect);
  EXPECT_TRUE(ParseRequest(Get(expect)).head.expect_continue);
  EXPECT_EQ(Forwarded(expect, kRules, "1.0"), "");
  EXPECT_FALSE(ParseRequest(Get(expect, "1.0")).head.expect_continue);
  EXPECT_FALSE(ParseRequest(Get("Expect: 100-continues\r\n")).head.expect_continue);
  const auto named = ParseRequest(Get(expect + "Connection: expect\r\n"));
  ASSERT_EQ(named.error, HeadError::kNone);
  EXPECT_FALSE(named.head.expect_continue);
  EXPECT_EQ(named.Forwarded(), Get(""));
}

TEST(HttpRequest, UpgradeIsKeptWhenItIsAnOffer) {
  const auto p = ParseRequest(
      Get("Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: k\r\n"));
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_TRUE(p.head.upgrade);
  EXPECT_EQ(p.At(p.head.upgrade_value), "websocket");
  EXPECT_EQ(p.Forwarded(), Get("Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n"));
}

TEST(HttpRequest, UpgradeIsCutWhenItIsNotToBePassed) {
  const char* kFields[] = {
      "Upgrade: websocket\r\n",                                               // not named
      "Connection: upgrade\r\n",                                              // no protocol
      "Connection: upgrade\r\nUpgrade:\r\n",                                  // empty
      "Connection: upgrade\r\nUpgrade: h2c\r\n",                              //
      "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n",                   //
      "Connection: upgrade\r\nUpgrade:  , h2c\r\n",                           //
      "Connection: upgrade\r\nUpgrade: h2\r\n",                               //
      "Connection: upgrade\r\nUpgrade: TLS/1.2\r\n",                          // RFC 2817
      "Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n",                         //
      "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",  // two
      "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",        //
      "Connection: upgrade, http2-settings\r\nHTTP2-Settings: AA\r\nUpgrade: h2c\r\n",
  };
  for (const char* fields : kFields) {
    EXPECT_EQ(Forwarded(fields), "") << fields;
    EXPECT_FALSE(ParseRequest(Get(fields)).head.upgrade) << fields;
  }
  EXPECT_EQ(Forwarded("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n"),
            "Content-Length: 5\r\n");
  EXPECT_EQ(
      Forwarded("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n"),
      "Transfer-Encoding: chunked\r\n");
  EXPECT_EQ(Forwarded("Connection: upgrade\r\nUpgrade: websocket\r\n", kRules, "1.0"), "");
  RequestRules without = kRules;
  without.keep_upgrade = false;
  EXPECT_EQ(Forwarded("Connection: upgrade\r\nUpgrade: websocket\r\n", without), "");
}

TEST(HttpRequest, ChunkedIsReadInAnyCaseAndRelayed) {
  for (const char* value : {"chunked", "Chunked", " CHUNKED ", "chunked  "}) {
    const std::string fields = "Transfer-Encoding:" + std::string(value) + "\r\n";
    EXPECT_EQ(Forwarded(fields), fields);
    const auto p = ParseRequest(Get(fields));
    EXPECT_TRUE(p.head.chunked);
    EXPECT_FALSE(p.head.has_length);
  }
}

TEST(HttpRequest, ContentLengthIsReadToItsBound) {
  const struct {
    const char* value;
    uint64_t length;
  } kCases[] = {{"0", 0}, {"007", 7}, {" 12  ", 12}, {"4611686018427387904", uint64_t{1} << 62}};
  for (const auto& c : kCases) {
    const auto p = ParseRequest(Get("Content-Length:" + std::string(c.value) + "\r\n"));
    ASSERT_EQ(p.error, HeadError::kNone) << c.value;
    EXPECT_TRUE(p.head.has_length);
    EXPECT_EQ(p.head.length, c.length);
  }
}

TEST(HttpRequest, AbsoluteFormIsRoutedByItsPath) {
  const struct {
    const char* target;
    const char* path;
    const char* rest;  // what is forwarded from path.offset to the end of the target
  } kCases[] = {{"http://h:80/a/b?c=d", "/a/b", "/a/b?c=d"},
                {"HTTPS://H:80/", "/", "/"},
                {"http://h:80", "", ""},
                {"http://h:80?q/r", "", "?q/r"}};
  for (const auto& c : kCases) {
    const auto p = ParseRequest("GET " + std::string(c.target) + " HTTP/1.1\r\nHost: h:80\r\n\r\n");
    ASSERT_EQ(p.error, HeadError::kNone) << c.target;
    EXPECT_TRUE(p.head.absolute_form);
    EXPECT_EQ(p.At(p.head.target), c.target);
    EXPECT_EQ(p.At(p.head.path), c.path);
    EXPECT_EQ(p.At(p.head.host), "h:80");
    const uint32_t end = p.head.target.offset + p.head.target.size;
    EXPECT_EQ(p.text.substr(p.head.path.offset, end - p.head.path.offset), c.rest);
  }
}

TEST(HttpRequest, AbsoluteFormGivesTheHostOfHttp10WithoutHost) {
  const auto p = ParseRequest("GET http://example.com:81/x HTTP/1.0\r\n\r\n");
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.At(p.head.host), "example.com:81");
  EXPECT_TRUE(p.head.host_from_target);
  EXPECT_FALSE(ParseRequest("GET http://h/ HTTP/1.0\r\nHost: h\r\n\r\n").head.host_from_target);
  EXPECT_EQ(p.head.minor_version, 0);
}

TEST(HttpRequest, Http10NeedsNoHost) {
  const auto p = ParseRequest("GET /x HTTP/1.0\r\n\r\n");
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.host.size, 0u);
  EXPECT_EQ(p.text[p.head.version_offset], '0');
}

TEST(HttpRequest, AsteriskFormIsForOptions) {
  const auto p = ParseRequest("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.At(p.head.path), "*");
}

TEST(HttpRequest, ConnectIsParsedForTheCallerToRefuse) {
  const auto p = ParseRequest("CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n\r\n");
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.method, Method::kConnect);
  EXPECT_EQ(p.At(p.head.target), "h.example:443");
  EXPECT_EQ(p.head.path.size, 0u);
}

TEST(HttpRequest, HostsThatAreAccepted) {
  for (const char* host :
       {"h", "example.com", "EXAMPLE.com:8080", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443",
        "[::ffff:1.2.3.4]:1", "under_score", "h:", "h:65535", "a-b.~c!$&'()*+,;=", "%41b", ""}) {
    const auto p = ParseRequest("GET / HTTP/1.1\r\nHost: " + std::string(host) + " \r\n\r\n");
    ASSERT_EQ(p.error, HeadError::kNone) << host;
    EXPECT_EQ(p.At(p.head.host), host);
  }
}

TEST(HttpRequest, TargetsThatAreAccepted) {
  for (const char* target : {"/", "//", "/a//b/../c", "/?", "/a?b?c", "/%00", "/a|b\"<>\\^`{}",
                             "/?a=http://x/", "/:@;=+&$,!~*'()"}) {
    const auto p = ParseRequest("GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_EQ(p.error, HeadError::kNone) << target;
    EXPECT_EQ(p.At(p.head.target), target);
    EXPECT_EQ(p.At(p.head.path), std::string(target).substr(0, std::string(target).find('?')));
  }
}

}  // namespace
}  // namespace ringway::dp::test
