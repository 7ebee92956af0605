#include "tests/support/load/response_reader.h"

#include <algorithm>
#include <charconv>

namespace ringway::load {
namespace {

constexpr size_t kHeadBytesMax = 64 << 10;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool ParseNumber(std::string_view text, int base, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

bool ResponseReader::Append(std::string_view bytes) {
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    switch (state_) {
      case State::kDone:
        return Fail("bytes after the end of the response");
      case State::kLength:
      case State::kUntilClose:
      case State::kChunkData:
        TakeBody(bytes);
        break;
      default: {
        const size_t end = bytes.find('\n');
        text_.append(bytes.substr(0, end == std::string_view::npos ? bytes.size() : end + 1));
        if (text_.size() > kHeadBytesMax) return Fail("head too long");
        if (end == std::string_view::npos) return true;
        bytes.remove_prefix(end + 1);
        if (!OnLine()) return false;
      }
    }
  }
  return true;
}

bool ResponseReader::OnClosed() {
  if (state_ == State::kUntilClose) state_ = State::kDone;
  return state_ == State::kDone;
}

const std::string* ResponseReader::Header(std::string_view name) const {
  for (const auto& [key, value] : headers_) {
    if (key == name) return &value;
  }
  return nullptr;
}

bool ResponseReader::Fail(std::string problem) {
  problem_ = std::move(problem);
  return false;
}

// text_ ends with a line feed. In the head it collects every line up to the empty one.
bool ResponseReader::OnLine() {
  if (state_ == State::kHead) {
    const bool end = text_.ends_with("\n\r\n") || text_.ends_with("\n\n");
    return end ? ParseHead() : true;
  }
  const std::string line(Trim(std::string_view(text_).substr(0, text_.size() - 1)));
  text_.clear();
  switch (state_) {
    case State::kChunkSize:
      if (!ParseNumber(Trim(std::string_view(line).substr(0, line.find(';'))), 16, left_)) return Fail("chunk size '" + line + "'");
      state_ = left_ == 0 ? State::kTrailers : State::kChunkData;
      return true;
    case State::kChunkEnd:
      if (!line.empty()) return Fail("no line end after a chunk");
      state_ = State::kChunkSize;
      return true;
    default:  // kTrailers
      if (line.empty()) state_ = State::kDone;
      return true;
  }
}

bool ResponseReader::ParseHead() {
  const std::string head = std::move(text_);
  text_.clear();
  headers_.clear();
  size_t begin = 0;
  for (bool first = true; begin < head.size(); first = false) {
    const size_t end = head.find('\n', begin);
    const std::string_view line = Trim(std::string_view(head).substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) break;
    if (!(first ? ParseStatusLine(line) : ParseHeader(line))) return false;
  }
  if (status_ >= 100 && status_ < 200 && status_ != 101) return true;  // the real head follows
  return ChooseFraming();
}

bool ResponseReader::ParseStatusLine(std::string_view line) {
  uint64_t status = 0;
  if (line.size() < 12 || line.substr(0, 7) != "HTTP/1." || !ParseNumber(line.substr(9, 3), 10, status)) {
    return Fail("status line '" + std::string(line.substr(0, 100)) + "'");
  }
  status_ = static_cast<int>(status);
  keep_alive_ = line[7] == '1';
  return true;
}

bool ResponseReader::ParseHeader(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Fail("header line '" + std::string(line.substr(0, 100)) + "'");
  headers_.emplace_back(Lower(line.substr(0, colon)), std::string(Trim(line.substr(colon + 1))));
  return true;
}

bool ResponseReader::ChooseFraming() {
  if (const std::string* connection = Header("connection")) {
    const std::string value = Lower(*connection);
    if (value.find("close") != std::string::npos) keep_alive_ = false;
  }
  const std::string* coding = Header("transfer-encoding");
  const std::string* length = Header("content-length");
  if (status_ == 204 || status_ == 304) {
    state_ = State::kDone;
  } else if (coding != nullptr) {
    if (Lower(*coding) != "chunked") return Fail("transfer coding '" + *coding + "'");
    if (length != nullptr) return Fail("both Content-Length and Transfer-Encoding");
    state_ = State::kChunkSize;
  } else if (length != nullptr) {
    if (!ParseNumber(*length, 10, left_)) return Fail("content length '" + *length + "'");
    state_ = left_ == 0 ? State::kDone : State::kLength;
  } else {
    keep_alive_ = false;
    state_ = State::kUntilClose;
  }
  return true;
}

void ResponseReader::TakeBody(std::string_view& bytes) {
  const size_t take = state_ == State::kUntilClose ? bytes.size() : static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  digest_.Update(bytes.substr(0, take));
  body_bytes_ += take;
  bytes.remove_prefix(take);
  if (state_ == State::kUntilClose) return;
  left_ -= take;
  if (left_ > 0) return;
  state_ = state_ == State::kLength ? State::kDone : State::kChunkEnd;
}

}  // namespace ringway::load
