// Request heads that are refused, one vector a line, with the reason that is counted: what two
// parsers could read differently, and what no client should send.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/dataplane/core/http_test_support.h"

namespace ringway::dp::test {
namespace {

using std::string_view_literals::operator""sv;

// Whole heads, and how each is refused.
void ExpectBad(BadReason reason, const std::vector<std::string_view>& heads) {
  for (const std::string_view head : heads) {
    const auto p = ParseRequest(head);
    EXPECT_EQ(p.error, HeadError::kBad) << head;
    EXPECT_EQ(static_cast<int>(p.head.bad_reason), static_cast<int>(reason)) << head;
  }
}

// Field lines (each list one set), put into an HTTP/1.1 request that is right without them.
void ExpectBadFields(BadReason reason, const std::vector<std::string_view>& sets,
                     const std::string& version = "1.1") {
  const std::string start = "POST /a HTTP/" + version + "\r\nHost: h\r\n";
  ASSERT_EQ(ParseRequest(start + "A: b\r\n\r\n").error, HeadError::kNone);
  for (const std::string_view fields : sets) {
    const std::string head = start + std::string(fields) + "\r\n\r\n";
    ExpectBad(reason, {head});
  }
}

TEST(HttpRequestRefused, ContentLengthBesideTransferEncoding) {
  ExpectBadFields(BadReason::kBothFramings,
                  {"Content-Length: 5\r\nTransfer-Encoding: chunked",
                   "Transfer-Encoding: chunked\r\nContent-Length: 5",
                   "Transfer-Encoding: chunked\r\nContent-Length: 0",
                   "content-length: 5\r\nX: y\r\ntransfer-encoding: Chunked"});
}

TEST(HttpRequestRefused, RepeatedOrListedContentLength) {
  ExpectBadFields(
      BadReason::kContentLength,
      {"Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nContent-Length: 5",
       "Content-Length: 5, 5", "Content-Length: 5,6", "Content-Length: 5,", "Content-Length: ,5"});
}

TEST(HttpRequestRefused, MalformedContentLength) {
  ExpectBadFields(BadReason::kContentLength, {"Content-Length:",
                                              "Content-Length:  ",
                                              "Content-Length: +5",
                                              "Content-Length: -5",
                                              "Content-Length: 0x5",
                                              "Content-Length: 5a",
                                              "Content-Length: a",
                                              "Content-Length: 5 5",
                                              "Content-Length: 5.0",
                                              "Content-Length: \"5\"",
                                              "Content-Length: 1e1",
                                              "Content-Length: 5;",
                                              "Content-Length:\t5",
                                              "Content-Length: 5\t",
                                              "Content-Length: \xb2",
                                              "Content-Length: 4611686018427387905",
                                              "Content-Length: 9223372036854775808",
                                              "Content-Length: 18446744073709551616",
                                              "Content-Length: 18446744073709551621",
                                              "Content-Length: 00000000000000000005",
                                              "Content-Length: 99999999999999999999999"});
}

TEST(HttpRequestRefused, TransferEncodingOtherThanChunkedOnce) {
  ExpectBadFields(BadReason::kTransferEncoding,
                  {"Transfer-Encoding:",
                   "Transfer-Encoding: xchunked",
                   "Transfer-Encoding: chunkedx",
                   "Transfer-Encoding: \"chunked\"",
                   "Transfer-Encoding:\tchunked",
                   "Transfer-Encoding: chunked\t",
                   "Transfer-Encoding: chunked, chunked",
                   "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                   "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
                   "Transfer-Encoding: identity",
                   "Transfer-Encoding: gzip",
                   "Transfer-Encoding: gzip, chunked",
                   "Transfer-Encoding: chunked, gzip",
                   "Transfer-Encoding: chunked;q=1",
                   "Transfer-Encoding: ,chunked",
                   "Transfer-Encoding: chunked,",
                   "Transfer-Encoding: chunke",
                   "Transfer-Encoding: ch\xc3\xbcnked",
                   "Transfer-Encoding: chunked chunked",
                   "TRANSFER-ENCODING: identity, chunked"});
}

TEST(HttpRequestRefused, TransferEncodingOnAFoldedLine) {
  ExpectBadFields(BadReason::kTransferEncoding, {"Transfer-Encoding:\r\n chunked"});
  ExpectBadFields(BadReason::kFolded, {"Transfer-Encoding: chunked\r\n , gzip"});
}

TEST(HttpRequestRefused, TransferEncodingFromHttp10) {
  ExpectBadFields(BadReason::kTransferEncoding,
                  {"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, "1.0");
}

TEST(HttpRequestRefused, BareCrAndBareLf) {
  ExpectBad(BadReason::kLineEnd,
            {"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nA: b\n\r\n",
             "GET / HTTP/1.1\r\nHost: h\r\n\n", "GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nA\n\r\n",
             "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\rC: d\r\n\r\n", "\nGET / HTTP/1.1\r\n\r\n",
             "\rGET / HTTP/1.1\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET /\nHost: h\r\n\r\n",
             "GET /\r HTTP/1.1\r\n\r\n", "\r\n\r\nGET / HTTP/1.0\r\n\r\n"});
  ExpectBad(BadReason::kRequestLine, {"GET / HTTP/1.1\nHost: h\r\n\r\n", "GET / \n\r\n",
                                      "GET / HTTP/1.1\r\rHost: h\r\n\r\n", "GET / HT\r\n\r\n"});
}

TEST(HttpRequestRefused, BareLfBeforeTheHeadIsComplete) {
  ExpectBad(BadReason::kLineEnd, {"GET / HTTP/1.1\r\nHost: h\n", "GET /\n", "GET\n", "\n",
                                  "GET / HTTP/1.1\r\nHost: h\r\nA\n"});
  ExpectBad(BadReason::kRequestLine, {"GET / HTTP/1.1\n", "GET / \n", "GET / HTTP\n"});
}

TEST(HttpRequestRefused, ControlBytesInValues) {
  ExpectBadFields(BadReason::kFieldValue, {"A: b\0c"sv, "A: \0"sv, "A: \x01", "A: b\x1f", "A: \x7f",
                                           "A: \x0b", "A: b\x0c", "A:\x08", "Cookie: a\x1b[0m"});
  for (int c = 0; c < 256; ++c) {  // at every place of a vector, and alone
    for (size_t at = 0; at < 40; ++at) {
      std::string value(40, 'x');
      value[at] = static_cast<char>(c);
      const auto p = ParseRequest("GET / HTTP/1.1\r\nHost: h\r\nA: " + value + "\r\n\r\n");
      const bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
      ASSERT_EQ(p.error, good ? HeadError::kNone : HeadError::kBad) << c << " at " << at;
    }
  }
}

TEST(HttpRequestRefused, NamesThatAreNotTokens) {
  ExpectBadFields(
      BadReason::kFieldName,
      {": b",    "A b: c", "A\0: b"sv, "A\x01: b",    "A\x7f: b", "A(b): c",      "A\"b\": c",
       "A/b: c", "A@b: c", "A[b]: c",  "A{b}: c",     "A,b: c",   "A;b: c",       "A=b: c",
       "A<b: c", "A?b: c", "A\\b: c",  "\xc3\xa4: b", "A\x80: b", "no colon here"});
  const std::string_view kTchars =
      "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int c = 0; c < 256; ++c) {
    if (c == ':') continue;
    for (size_t at = 0; at < 40; ++at) {
      std::string name(40, 'x');
      name[at] = static_cast<char>(c);
      const auto p = ParseRequest("GET / HTTP/1.1\r\nHost: h\r\n" + name + ": b\r\n\r\n");
      const bool good = kTchars.find(static_cast<char>(c)) != kTchars.npos;
      ASSERT_EQ(p.error, good ? HeadError::kNone : HeadError::kBad) << c << " at " << at;
    }
  }
}

TEST(HttpRequestRefused, SpaceBeforeTheColon) {
  ExpectBadFields(BadReason::kFieldName,
                  {"A : b", "A\t: b", "Content-Length : 5", "Transfer-Encoding : chunked",
                   "Transfer-Encoding\t: chunked"});
}

TEST(HttpRequestRefused, LeadingSpaceOnTheFirstFieldAndFolding) {
  ExpectBad(BadReason::kFolded,
            {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "GET / HTTP/1.1\r\n\tHost: h\r\n\r\n",
             "GET / HTTP/1.1\r\n \r\nHost: h\r\n\r\n"});
  ExpectBadFields(BadReason::kFolded, {"A: b\r\n c", "A: b\r\n\tc", "A: b\r\n ", "A:\r\n b: c",
                                       "Content-Length: 5\r\n 6"});
}

TEST(HttpRequestRefused, TargetsWithForbiddenBytes) {
  for (int c = 0; c < 256; ++c) {
    for (size_t at = 1; at < 40; ++at) {
      for (const size_t query : {size_t{0}, size_t{5}}) {
        std::string target = "/" + std::string(39, 'x');
        if (query != 0) target[query] = '?';
        if (at == query) continue;
        target[at] = static_cast<char>(c);
        const auto p = ParseRequest("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
        const bool good = c > 0x20 && c < 0x7f && c != '#';
        ASSERT_EQ(p.error, good ? HeadError::kNone : HeadError::kBad) << c << " at " << at;
      }
    }
  }
}

TEST(HttpRequestRefused, TargetsOfNoForm) {
  for (const char* target : {"a",
                             "*",
                             "?",
                             "?a",
                             "a/b",
                             "./a",
                             "h:80",
                             "http:",
                             "http:/",
                             "http:/a",
                             "http://",
                             "http:///a",
                             "http://?a",
                             "https://",
                             "ftp://h/",
                             "ws://h/",
                             "http//h/",
                             "http://u@h/",
                             "http://u:p@h/",
                             "http://h:x/",
                             "http://h:99999/",
                             "http://[::1/",
                             "http://h\\a/",
                             "xhttp://h/",
                             "*a",
                             "**"}) {
    const std::string line = "GET " + std::string(target);
    ExpectBad(BadReason::kTarget, {line + " HTTP/1.1\r\nHost: h\r\n\r\n"});
  }
  ExpectBad(BadReason::kTarget,
            {"OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n",
             "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n",
             "CONNECT [::1] HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT * HTTP/1.1\r\nHost: h\r\n\r\n",
             "CONNECT u@h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
             "CONNECT http://h:1/ HTTP/1.1\r\nHost: h\r\n\r\n"});
}

TEST(HttpRequestRefused, MissingSecondAndMalformedHost) {
  ExpectBad(BadReason::kHost,
            {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHosts: h\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: h\r\nhost: g\r\n\r\n",
             "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n",
             "GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", "GET http://h/ HTTP/1.1\r\n\r\n"});
  for (const std::string_view host : {"u@h",      "u:p@h",
                                      "h h",      "h\th",
                                      "h/a",      "h?a",
                                      "h#a",      "h:a",
                                      "h:80:80",  "h:65536",
                                      "h:123456", "h:-1",
                                      ":80",      ":",
                                      "[::1",     "::1",
                                      "[]",       "[1]",
                                      "[:]",      "[:]x",
                                      "[::1]80",  "[fe80::1%25eth0]",
                                      "[v1.a]",   "[g]",
                                      "h\\",      "h\"",
                                      "<h>",      "h^",
                                      "h`",       "{h}",
                                      "h|",       "%",
                                      "%4",       "%4g",
                                      "%g4",      "h%",
                                      "h%4",      "\x80",
                                      "h\xff",    "h:8\x30 0",
                                      "h, i"}) {
    ExpectBad(BadReason::kHost, {"GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"});
  }
}

TEST(HttpRequestRefused, AbsoluteFormThatDiffersFromHost) {
  ExpectBad(
      BadReason::kHost,
      {"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n",
       "GET http://a/ HTTP/1.1\r\nHost: a.b\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n",
       "GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n"});
}

TEST(HttpRequestRefused, BadMethodTokensAndRequestLines) {
  ExpectBad(BadReason::kRequestLine,
            {" GET / HTTP/1.1\r\nHost: h\r\n\r\n",  "G\tET / HTTP/1.1\r\nHost: h\r\n\r\n",
             "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",  "G\0T / HTTP/1.1\r\nHost: h\r\n\r\n"sv,
             "G(T / HTTP/1.1\r\nHost: h\r\n\r\n",   "\x16\x03\x01\x02",
             "G\xc3\xa4T / HTTP/1.1\r\n",           "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
             "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",  "GET /  HTTP/1.1\r\nHost: h\r\n\r\n",
             "GET / a HTTP/1.1\r\nHost: h\r\n\r\n", "GET / http/1.1\r\nHost: h\r\n\r\n",
             "GET / HTTP/11\r\nHost: h\r\n\r\n",    "GET / HTTP/1.1.1\r\nHost: h\r\n\r\n",
             "GET / HTTP/1.10\r\nHost: h\r\n\r\n",  "GET / HTTP/01.1\r\nHost: h\r\n\r\n",
             "GET / HTTP/1,1\r\nHost: h\r\n\r\n",   "GET / HTTP/-1.1\r\nHost: h\r\n\r\n",
             "GET / HTTP 1.1\r\nHost: h\r\n\r\n",   "GET / HTTP/2\r\n\r\n",
             "GET / ICY/1.1\r\nHost: h\r\n\r\n",    "GET / HTTP/1.1\t\r\nHost: h\r\n\r\n",
             "GET / HTTP/x.1\r\nHost: h\r\n\r\n"});
  ExpectBad(BadReason::kTarget, {"GET /\tHTTP/1.1\r\nHost: h\r\n\r\n"});
}

TEST(HttpRequestRefused, OtherVersionsWith505) {
  for (const char* version : {"0.9", "1.2", "1.9", "2.0", "3.0", "0.0", "0.1", "9.9"}) {
    const auto p = ParseRequest("GET / HTTP/" + std::string(version) + "\r\nHost: h\r\n\r\n");
    EXPECT_EQ(p.error, HeadError::kVersion) << version;
  }
  EXPECT_EQ(ParseRequest("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").error, HeadError::kVersion);
}

TEST(HttpRequestRefused, LongMethodsWith501) {
  const std::string longest(kMethodBytesMax, 'A');
  EXPECT_EQ(ParseRequest(longest + " / HTTP/1.1\r\nHost: h\r\n\r\n").error, HeadError::kNone);
  EXPECT_EQ(ParseRequest(longest + "A / HTTP/1.1\r\n").error, HeadError::kNotImplemented);
  EXPECT_EQ(ParseRequest(longest + "A").error, HeadError::kNotImplemented);
}

TEST(HttpRequestRefused, HeadsOverTheLimitWith431) {
  RequestRules rules = kRules;
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\nA: bcdefg\r\n\r\n";
  rules.limits.head_bytes_max = static_cast<uint32_t>(head.size());
  EXPECT_EQ(ParseRequest(head, rules).error, HeadError::kNone);
  EXPECT_EQ(ParseRequest(head + "rest", rules).error, HeadError::kNone);
  EXPECT_EQ(ParseRequest(head.substr(0, head.size() - 1), rules).error, HeadError::kIncomplete);
  rules.limits.head_bytes_max -= 1;
  EXPECT_EQ(ParseRequest(head, rules).error, HeadError::kTooLarge);
  EXPECT_EQ(ParseRequest(head.substr(0, head.size() - 1), rules).error, HeadError::kTooLarge);
  EXPECT_EQ(ParseRequest(head.substr(0, head.size() - 2), rules).error, HeadError::kIncomplete);
}

TEST(HttpRequestRefused, TargetsOverTheLimitWith414) {
  RequestRules rules = kRules;
  rules.limits.target_bytes_max = 100;
  for (const char* first : {"/", "/?"}) {
    std::string target = first;
    target.resize(100, 'a');
    EXPECT_EQ(ParseRequest("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n", rules).error,
              HeadError::kNone);
    target += 'a';
    EXPECT_EQ(ParseRequest("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n", rules).error,
              HeadError::kTargetTooLong);
    EXPECT_EQ(ParseRequest("GET " + target, rules).error, HeadError::kTargetTooLong);
  }
}

TEST(HttpRequestRefused, ConnectionThatNamesFramingOrRouting) {
  ExpectBadFields(BadReason::kConnection,
                  {"Connection: host", "Connection: close, Content-Length",
                   "Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
                   "Connection: x\r\nConnection: HOST"});
}

TEST(HttpRequestRefused, ConnectionThatIsNoListOfTokens) {
  ExpectBadFields(
      BadReason::kConnection,
      {"Connection: a b", "Connection: \"close\"", "Connection: close;", "Connection: a=b",
       "Connection: (close)", "Connection: cl\xc3\xb6se", "Connection: close@, b"});
}

TEST(HttpRequestRefused, ConnectionThatNamesTooManyFields) {
  std::string list = "Connection: close";
  for (int i = 0; i < kNominatedMax; ++i) list += ", x" + std::to_string(i);
  EXPECT_EQ(ParseRequest("GET / HTTP/1.1\r\nHost: h\r\n" + list + "\r\n\r\n").error,
            HeadError::kNone);
  ExpectBadFields(BadReason::kConnection, {list + ", y", list + "\r\nConnection: y"});
}

}  // namespace
}  // namespace ringway::dp::test
