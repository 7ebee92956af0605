// See stream_end.h.
#include "tests/sim/stream_end.h"

#include <algorithm>

namespace ringway::sim {

void StreamEnd::Accept(const char* data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (data[i] != in_.At(received_ + i)) {
      Fail("stream %u towards the %s differs at byte %llu", request_, client_ ? "client" : "endpoint",
           static_cast<unsigned long long>(received_ + i));
    }
  }
  received_ += size;
  if (received_ > Theirs().size) Fail("stream %u is longer than what was sent", request_);
}

void StreamEnd::EndMine() {
  if (Mine().ended) return;
  Mine().ended = true;
  Mine().ended_at = at_;
  network_.Shutdown(socket_);
}

void StreamEnd::Leave(bool reset) {
  if (!reset) EndMine();
  if (reset) network_.Reset(socket_);
  else network_.Close(socket_);
}

bool StreamEnd::Step(size_t most) {
  Socket& s = network_[socket_];
  char data[4096];
  while (most > 0 && s.readable() > 0) {
    const size_t size = network_.Read(socket_, data, std::min(most, sizeof data));
    Accept(data, size);
    most -= size;
  }
  if (s.reset_in && s.readable() == 0) {
    if (ledger_.mood.calm) Fail("stream %u was reset towards the %s", request_, client_ ? "client" : "endpoint");
    ++ledger_.totals.cut;
    network_.Close(socket_);
    return true;
  }
  if (s.fin_in && s.readable() == 0 && !in_ended_) {
    in_ended_ = true;
    if (!Theirs().ended || Theirs().ended_at != received_) {
      Fail("stream %u seems to end after %llu bytes towards the %s, but the other side %s (%llu)", request_,
           static_cast<unsigned long long>(received_), client_ ? "client" : "endpoint",
           Theirs().ended ? "ended after more" : "has not ended", static_cast<unsigned long long>(Theirs().ended_at));
    }
  }
  if (at_ < Mine().size && !Mine().ended) {
    std::string part;
    const uint64_t size = std::min<uint64_t>({Mine().size - at_, most, network_.Room(socket_), 16384});
    out_.Append(part, at_, size);
    at_ += network_.Write(socket_, part.data(), part.size());
  }
  if (at_ == Mine().size && (end_first_ || in_ended_)) EndMine();
  if (!in_ended_ || !Mine().ended) return false;
  network_.Close(socket_);
  return true;
}

}  // namespace ringway::sim
