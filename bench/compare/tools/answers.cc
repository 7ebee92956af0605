#include "bench/compare/tools/answers.h"

#include <algorithm>

namespace ringway::bench {
namespace {

constexpr size_t kBlockBytes = 1 << 20;   // stays in the processor's cache while a large body is sent from it again and again
constexpr size_t kInlineBytes = 64 << 10; // up to here an answer is one piece of memory
constexpr size_t kChunkBytes = 16 << 10;

std::string Chunk(size_t size) {
  char hex[16];
  snprintf(hex, sizeof hex, "%zx\r\n", size);
  return std::string(hex) + std::string(size, 'x') + "\r\n";
}

std::string StatusLine(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::kNotFound: return "HTTP/1.1 404 Not Found\r\n";
    case AnswerKind::kNotUnderstood: return "HTTP/1.1 400 Bad Request\r\n";
    default: return "HTTP/1.1 200 OK\r\n";
  }
}

iovec Part(const std::string& text, size_t size) { return {const_cast<char*>(text.data()), size}; }

}  // namespace

Answers::Answers() : plain_(kBlockBytes, 'x') {
  for (size_t size = 0; size < kBlockBytes; size += kChunkBytes) chunks_ += Chunk(kChunkBytes);
}

const BuiltAnswer* Answers::Get(const Answer& answer) {
  for (auto& built : built_) {
    if (built->key == answer) return built.get();
  }
  built_.push_back(Build(answer));
  return built_.back().get();
}

std::unique_ptr<BuiltAnswer> Answers::Build(const Answer& answer) {
  auto built = std::make_unique<BuiltAnswer>();
  built->key = answer;
  const bool chunked = answer.kind == AnswerKind::kChunked;
  built->head = StatusLine(answer.kind) + "Server: ringway-bench-origin\r\nContent-Type: text/plain\r\n" +
                (chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: " + std::to_string(answer.size) + "\r\n") +
                (answer.close ? "Connection: close\r\n\r\n" : "\r\n");
  uint64_t body = answer.body ? answer.size : 0;
  if (!chunked && body <= kInlineBytes) {
    built->head.append(body, 'x');
    body = 0;
  }
  built->parts.push_back({});  // the head, once its memory stays
  const std::string& block = chunked ? chunks_ : plain_;
  for (; body >= kBlockBytes; body -= kBlockBytes) built->parts.push_back(Part(block, block.size()));
  if (chunked && answer.body) {
    for (; body > 0; body -= std::min<uint64_t>(body, kChunkBytes)) built->tail += Chunk(std::min<uint64_t>(body, kChunkBytes));
    built->tail += "0\r\n\r\n";
    built->parts.push_back(Part(built->tail, built->tail.size()));
  } else if (body > 0) {
    built->parts.push_back(Part(plain_, body));
  }
  if (built->parts.size() == 2 && !built->tail.empty()) {  // a short chunked answer: one piece too
    built->head += built->tail;
    built->parts.pop_back();
  }
  built->parts.front() = Part(built->head, built->head.size());
  built->message.msg_iov = built->parts.data();
  built->message.msg_iovlen = built->parts.size();
  return built;
}

}  // namespace ringway::bench
