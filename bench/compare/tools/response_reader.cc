#include "bench/compare/tools/response_reader.h"

namespace ringway::bench {
namespace {

constexpr uint32_t kHeadBytesMax = 64 << 10;

}  // namespace

const dp::ResponseHead* HeadCache::Parse(std::string_view bytes, dp::HeadError& error) {
  error = dp::HeadError::kNone;
  if (!bytes_.empty() && bytes.starts_with(bytes_)) return &head_;
  uint32_t scanned = 0;
  dp::ResponseHead head;
  error = dp::ParseResponseHead(bytes.data(), static_cast<uint32_t>(bytes.size()), kHeadBytesMax, scanned, head);
  if (error != dp::HeadError::kNone) return nullptr;
  bytes_ = bytes.substr(0, head.size);
  head_ = head;
  return &head_;
}

void ResponseReader::Start(std::optional<uint64_t> length) {
  state_ = State::kHead;
  started_ = false;
  body_bytes_ = 0;
  expected_ = length;
}

ResponseReader::Result ResponseReader::Take(HeadCache& cache, char* data, uint32_t size) {
  started_ = true;
  if (state_ != State::kHead) return TakeBody(data, size);
  if (partial_.empty()) return TakeHead(cache, data, size);
  partial_.append(data, size);
  std::string all = std::move(partial_);
  partial_.clear();
  return TakeHead(cache, all.data(), static_cast<uint32_t>(all.size()));
}

ResponseReader::Result ResponseReader::TakeHead(HeadCache& cache, char* data, uint32_t size) {
  dp::HeadError error;
  const dp::ResponseHead* head = cache.Parse({data, size}, error);
  if (error == dp::HeadError::kIncomplete && size < kHeadBytesMax) {
    partial_.assign(data, size);
    return Result::kMore;
  }
  if (head == nullptr || head->status == 101) return Result::kMalformed;
  data += head->size;
  size -= head->size;
  if (head->status < 200) return size == 0 ? Result::kMore : TakeHead(cache, data, size);  // the real head follows
  status_ = head->status;
  keep_alive_ = head->keep_alive;
  left_ = head->length;
  chunks_ = {};
  if (status_ == 204 || status_ == 304) {
    left_ = 0;
    state_ = State::kLength;
  } else {
    state_ = head->chunked ? State::kChunked : head->has_length ? State::kLength : State::kUntilClose;
  }
  return TakeBody(data, size);
}

ResponseReader::Result ResponseReader::TakeBody(char* data, uint32_t size) {
  switch (state_) {
    case State::kLength:
      return Skip(size);
    case State::kChunked:
      return TakeChunks(data, size);
    case State::kUntilClose:
      body_bytes_ += size;
      return Result::kMore;
    default:
      return Result::kMalformed;
  }
}

ResponseReader::Result ResponseReader::Skip(uint64_t bytes) {
  if (bytes > left_) return Result::kMalformed;  // nothing here pipelines: bytes behind the response belong to none
  body_bytes_ += bytes;
  left_ -= bytes;
  if (left_ > 0) return Result::kMore;
  state_ = State::kDone;
  return Result::kDone;
}

ResponseReader::Result ResponseReader::TakeChunks(char* data, uint32_t size) {
  uint32_t consumed = 0, payload = 0;
  const dp::ChunkScanner::Result result = chunks_.Strip(data, size, consumed, payload);
  body_bytes_ += payload;
  if (result == dp::ChunkScanner::Result::kMore) return Result::kMore;
  if (result == dp::ChunkScanner::Result::kBad || consumed != size) return Result::kMalformed;
  state_ = State::kDone;
  return Result::kDone;
}

}  // namespace ringway::bench
