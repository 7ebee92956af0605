#include "bench/compare/tools/request_head.h"

#include <charconv>

#include "dataplane/core/http_head.h"

namespace ringway::bench {
namespace {

constexpr dp::RequestRules kRules{{64 << 10, 8 << 10}, true, true};

Answer NotUnderstood() { return {AnswerKind::kNotUnderstood, true, true, 0}; }

bool TakeSize(std::string_view target, std::string_view prefix, uint64_t& size) {
  if (!target.starts_with(prefix)) return false;
  const std::string_view number = target.substr(prefix.size());
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), size);
  return error == std::errc() && end == number.data() + number.size() && size <= kAnswerBytesMax;
}

Answer ChooseAnswer(std::string_view target) {
  Answer answer;
  if (TakeSize(target, "/b/", answer.size) || target == "/") return answer;
  if (TakeSize(target, "/chunked/", answer.size)) return {AnswerKind::kChunked, false, true, answer.size};
  if (TakeSize(target, "/close/", answer.size)) return {AnswerKind::kLength, true, true, answer.size};
  return {AnswerKind::kNotFound, false, true, 0};
}

}  // namespace

OriginRequest ParseRequest(std::string_view bytes) {
  dp::RequestHead head;
  uint32_t scanned = 0;
  const dp::HeadError error = dp::ParseRequestHead(bytes.data(), static_cast<uint32_t>(bytes.size()), kRules, scanned, head);
  if (error == dp::HeadError::kIncomplete) return {};
  if (error != dp::HeadError::kNone || head.chunked) return {bytes.size(), 0, NotUnderstood()};
  OriginRequest request{head.size, head.length, {}};
  if (head.length == 0) request.answer = ChooseAnswer(bytes.substr(head.path.offset, head.path.size));
  request.answer.body = head.method != dp::Method::kHead;
  if (!head.keep_alive) request.answer.close = true;
  return request;
}

}  // namespace ringway::bench
