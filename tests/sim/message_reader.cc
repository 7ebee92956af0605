// See message_reader.h.
#include "tests/sim/message_reader.h"

#include <algorithm>
#include <cstdlib>

#include "tests/sim/trace.h"

namespace ringway::sim {

void MessageReader::Start(bool response) {
  *this = MessageReader();
  response_ = response;
}

size_t MessageReader::Feed(const char* data, size_t size) {
  if (done_ || size == 0) return 0;
  begun_ = true;
  if (!head_done_) {
    for (size_t i = 0; i < size; ++i) {
      text_.push_back(data[i]);
      if (text_.ends_with("\r\n\r\n")) {
        ParseHead();
        return i + 1;
      }
      if (text_.size() > 40000) Fail("a head of more than 40000 bytes: %.60s", text_.c_str());
    }
    return size;
  }
  if (framing_ == Framing::kChunked) return FeedChunked(data, size);
  if (framing_ == Framing::kLength) size = std::min<uint64_t>(size, left_);
  Body(data, size);
  if (framing_ == Framing::kLength && (left_ -= size) == 0) done_ = true;
  return size;
}

void MessageReader::Body(const char* data, size_t size) {
  for (size_t i = 0; check_ && i < size; ++i) {
    const char wanted = content_.At(body_size_ + i);
    if (data[i] != wanted) {
      Fail("body byte %llu is %02x, not %02x (%s %s%d)", static_cast<unsigned long long>(body_size_ + i),
           static_cast<unsigned char>(data[i]), static_cast<unsigned char>(wanted), response_ ? "response" : "request",
           target_.c_str(), status_);
    }
  }
  body_size_ += size;
}

void MessageReader::ParseHead() {
  size_t at = text_.find("\r\n");
  const std::string line = text_.substr(0, at);
  const size_t sp1 = line.find(' ');
  const size_t sp2 = line.find(' ', sp1 + 1);
  if (sp1 == line.npos || sp2 == line.npos) Fail("first line \"%.80s\"", line.c_str());
  const std::string version = response_ ? line.substr(0, sp1) : line.substr(sp2 + 1);
  if (version != "HTTP/1.1") Fail("the proxy speaks %.40s", version.c_str());
  if (response_) {
    status_ = std::atoi(line.c_str() + sp1 + 1);
    if (status_ < 100 || status_ > 599) Fail("status line \"%.80s\"", line.c_str());
  } else {
    method_ = line.substr(0, sp1);
    target_ = line.substr(sp1 + 1, sp2 - sp1 - 1);
  }
  for (at += 2; text_.compare(at, 2, "\r\n") != 0;) {
    const size_t end = text_.find("\r\n", at);
    const size_t colon = text_.find(':', at);
    if (colon == text_.npos || colon > end || colon == at) Fail("field line \"%.80s\"", text_.substr(at, end - at).c_str());
    std::string name = text_.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    size_t from = colon + 1;
    while (from < end && text_[from] == ' ') ++from;
    fields_.emplace_back(std::move(name), text_.substr(from, end - from));
    at = end + 2;
  }
  text_.clear();
  head_done_ = true;
  Frame();
}

void MessageReader::Frame() {
  const auto lengths = All("content-length");
  const auto codings = All("transfer-encoding");
  if (lengths.size() + codings.size() > 1) Fail("more than one framing: %s %d", target_.c_str(), status_);
  if (response_ && (status_ < 200 || status_ == 204 || status_ == 304)) return NoBody();
  if (!codings.empty()) {
    if (codings[0] != "chunked") Fail("Transfer-Encoding: %s", codings[0].c_str());
    framing_ = Framing::kChunked;
  } else if (!lengths.empty()) {
    framing_ = Framing::kLength;
    length_ = left_ = std::strtoull(lengths[0].c_str(), nullptr, 10);
    done_ = left_ == 0;
  } else if (response_) {
    framing_ = Framing::kUntilClose;
  } else {
    done_ = true;
  }
}

void MessageReader::NoBody() {
  framing_ = Framing::kNone;
  done_ = true;
}

void MessageReader::End() {
  if (framing_ == Framing::kUntilClose && head_done_) done_ = true;
}

size_t MessageReader::FeedChunked(const char* data, size_t size) {
  size_t at = 0;
  while (at < size && !done_) {
    if (chunk_ == Chunk::kData) {
      const size_t part = std::min<uint64_t>(size - at, left_);
      Body(data + at, part);
      at += part;
      if ((left_ -= part) == 0) chunk_ = Chunk::kDataEnd;
      continue;
    }
    text_.push_back(data[at++]);
    if (text_.size() > 10000) Fail("a chunk line of more than 10000 bytes");
    if (!text_.ends_with("\r\n")) continue;
    text_.resize(text_.size() - 2);
    ChunkLine();
    text_.clear();
  }
  return at;
}

void MessageReader::ChunkLine() {
  if (chunk_ == Chunk::kDataEnd) {
    if (!text_.empty()) Fail("a chunk is followed by \"%.20s\"", text_.c_str());
    chunk_ = Chunk::kSize;
  } else if (chunk_ == Chunk::kSize) {
    char* end = nullptr;
    left_ = std::strtoull(text_.c_str(), &end, 16);
    if (end == text_.c_str() || (*end != 0 && *end != ';')) Fail("chunk size \"%.40s\"", text_.c_str());
    chunk_ = left_ > 0 ? Chunk::kData : Chunk::kTrailer;
  } else {
    done_ = text_.empty();
  }
}

std::vector<std::string> MessageReader::All(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : fields_) {
    if (key == name) out.push_back(value);
  }
  return out;
}

std::string MessageReader::One(std::string_view name) const {
  const auto all = All(name);
  if (all.size() > 1) Fail("%zu fields %s", all.size(), std::string(name).c_str());
  return all.empty() ? "" : all[0];
}

}  // namespace ringway::sim
