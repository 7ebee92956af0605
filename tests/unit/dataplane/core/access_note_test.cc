// What is kept of a request for the access log.
#include "dataplane/core/access_note.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace ringway::dp {
namespace {

std::string Text(const AccessNote& note, AccessText which) {
  size_t at = 0;
  for (size_t i = 0; i < static_cast<size_t>(which); ++i) at += note.sizes[i];
  return std::string(note.text + at, note.sizes[static_cast<size_t>(which)]);
}

std::unique_ptr<AccessNote> Note(const std::string& request, bool trusted = true) {
  auto note = std::make_unique<AccessNote>();
  std::string data = request;  // its own memory: a read beyond the end is seen by the sanitizer
  RequestHead head;
  uint32_t scanned = 0;
  const RequestRules rules{{16384, 8192}, trusted, true};
  EXPECT_EQ(ParseRequestHead(data.data(), static_cast<uint32_t>(data.size()), rules, scanned, head), HeadError::kNone) << request;
  NoteRequest(data.data(), head, *note);
  uint32_t sum = 0;
  for (const uint16_t size : note->sizes) sum += size;
  EXPECT_EQ(sum, note->size);
  return note;
}

TEST(AccessNote, KeepsTheLineAndTheFieldsWhereverTheyStand) {
  const auto note = Note("\r\nGET /a?b=c HTTP/1.1\r\nReFeReR:  http://x/y \t\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nHost: h:80\r\nuser-AGENT:curl/8\r\n\r\n");
  EXPECT_EQ(Text(*note, AccessText::kLine), "GET /a?b=c HTTP/1.1");
  EXPECT_EQ(Text(*note, AccessText::kHost), "h:80");
  EXPECT_EQ(Text(*note, AccessText::kForwardedFor), "1.2.3.4, 5.6.7.8");
  EXPECT_EQ(Text(*note, AccessText::kReferer), "http://x/y");
  EXPECT_EQ(Text(*note, AccessText::kUserAgent), "curl/8");
  EXPECT_EQ(note->truncated, 0);
}

TEST(AccessNote, WhatIsNotThereIsEmpty) {
  const auto note = Note("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(Text(*note, AccessText::kLine), "GET / HTTP/1.0");
  EXPECT_EQ(note->size, 14);
}

TEST(AccessNote, FieldsOfLikeNamesAreOthers) {
  const auto note = Note("GET / HTTP/1.1\r\nHost: h\r\nUser-Agents: a\r\nUser_Agent: b\r\nReferrer: c\r\nReferer-X: d\r\nr: e\r\nu: f\r\n\r\n");
  EXPECT_EQ(Text(*note, AccessText::kReferer), "");
  EXPECT_EQ(Text(*note, AccessText::kUserAgent), "");
}

TEST(AccessNote, AnUntrustedForwardedForIsNotKept) {
  EXPECT_EQ(Text(*Note("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", false), AccessText::kForwardedFor), "");
}

TEST(AccessNote, ShortLastLines) {
  EXPECT_EQ(Text(*Note("GET / HTTP/1.1\r\nHost: h\r\nUser-Agent:\r\n\r\n"), AccessText::kUserAgent), "");
  EXPECT_EQ(Text(*Note("GET / HTTP/1.1\r\nHost: h\r\nUser-Agent:x\r\n\r\n"), AccessText::kUserAgent), "x");
  EXPECT_EQ(Text(*Note("GET / HTTP/1.1\r\nHost: h\r\nReferer:y\r\n\r\n"), AccessText::kReferer), "y");
  EXPECT_EQ(Text(*Note("GET / HTTP/1.1\r\nHost: h\r\nReferer:\r\n\r\n"), AccessText::kReferer), "");
}

TEST(AccessNote, EachTextIsCutAtItsLengthAndThatIsNoted) {
  const std::string longs(3000, 'x');
  const auto note = Note("GET /" + longs + " HTTP/1.1\r\nHost: h\r\nReferer: " + longs + "\r\nUser-Agent: " + longs + "\r\nX-Forwarded-For: " + longs + "\r\n\r\n");
  EXPECT_EQ(Text(*note, AccessText::kLine), ("GET /" + longs).substr(0, 1024));
  EXPECT_EQ(Text(*note, AccessText::kHost), "h");
  EXPECT_EQ(Text(*note, AccessText::kForwardedFor).size(), 128u);
  EXPECT_EQ(Text(*note, AccessText::kReferer).size(), 512u);
  EXPECT_EQ(Text(*note, AccessText::kUserAgent).size(), 256u);
  EXPECT_EQ(note->truncated, 0b11101);
}

TEST(AccessNote, OfARefusedRequestTheFirstLine) {
  AccessNote note;
  NoteRefused("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", note);
  EXPECT_EQ(Text(note, AccessText::kLine), "G@T / HTTP/1.1");
  NoteRefused("\x16\x03\x01 no line end", note);
  EXPECT_EQ(Text(note, AccessText::kLine), "\x16\x03\x01 no line end");
  NoteRefused(std::string(5000, 'a'), note);
  EXPECT_EQ(note.size, 1024);
  EXPECT_EQ(note.truncated, 1);
  NoteRefused("", note);
  EXPECT_EQ(note.size, 0);
}

}  // namespace
}  // namespace ringway::dp
