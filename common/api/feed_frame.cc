// Framing on the feed socket; see feed_frame.h.
#include "common/api/feed_frame.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ringway::api {
namespace {

constexpr size_t kLengthBytes = 4;
// Consumed bytes are dropped from the front only when they are worth the move.
constexpr size_t kCompactBytes = 64 << 10;

size_t ReadLength(const char* bytes) {
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length = (length << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return length;
}

}  // namespace

std::string Frame(std::string_view payload) {
  std::string frame;
  frame.reserve(kLengthBytes + payload.size());
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>((payload.size() >> shift) & 0xff));
  }
  frame.append(payload);
  return frame;
}

void FrameReader::Append(std::string_view bytes) { pending_.append(bytes); }

absl::StatusOr<std::optional<std::string>> FrameReader::Next() {
  if (pending_.size() - read_ < kLengthBytes) return std::nullopt;
  const size_t length = ReadLength(pending_.data() + read_);
  if (length > kFrameBytesMax) {
    return absl::OutOfRangeError(
        absl::StrCat("a frame of ", length, " bytes, at most ", kFrameBytesMax, " are allowed"));
  }
  if (pending_.size() - read_ - kLengthBytes < length) return std::nullopt;
  std::string payload = pending_.substr(read_ + kLengthBytes, length);
  read_ += kLengthBytes + length;
  if (read_ == pending_.size()) {
    pending_.clear();
    read_ = 0;
  } else if (read_ >= kCompactBytes) {
    pending_.erase(0, read_);
    read_ = 0;
  }
  return std::optional<std::string>(std::move(payload));
}

}  // namespace ringway::api
