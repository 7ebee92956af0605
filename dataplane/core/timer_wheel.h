// Deadlines of a fixed set of timers, one per slot of its owner. Setting a later deadline than the one linked is one store:
// the timer is moved when its old place comes up. One worker's; resolution kTickUs, a timer never fires early.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>

namespace ringway::dp {

class TimerWheel {
 public:
  static constexpr uint64_t kTickUs = 8192;
  static constexpr uint32_t kSlots = 1024;  // 8.4 s a round; what lies further is looked at once a round

  explicit TimerWheel(uint32_t timers) : nodes_(std::make_unique_for_overwrite<Node[]>(timers)) { heads_.fill(kNone); }

  // Before the first use of a timer, and when its owner's slot is handed out again.
  void Init(uint32_t timer) { nodes_[timer] = Node{}; }

  void Set(uint32_t timer, uint64_t deadline_us) {
    Node& node = nodes_[timer];
    node.deadline = deadline_us / kTickUs + 1;
    if (node.deadline < node.place) [[unlikely]] Move(timer);
  }

  void Clear(uint32_t timer) {
    if (nodes_[timer].place != kNowhere) Unlink(timer);
  }

  // Calls fire(timer) for each that is due at `now_us`. The timer is unlinked before; fire may set any timer.
  template <class Fire>
  void Advance(uint64_t now_us, Fire&& fire) {
    const uint64_t now = now_us / kTickUs;
    if (now <= now_) return;
    // After a long sleep or a jump of the clock one look at every slot is enough.
    const uint64_t from = now - now_ > kSlots ? now - kSlots : now_;
    now_ = now;
    for (uint64_t tick = from + 1; tick <= now; ++tick) {
      const uint32_t slot = tick % kSlots;
      if ((occupied_[slot / 64] >> (slot % 64) & 1) != 0) Sweep(slot, fire);
    }
  }

  // Milliseconds until the next occupied slot comes up, at most `most`. Not later than the next deadline.
  uint32_t WaitMs(uint64_t now_us, uint32_t most) const {
    const uint64_t now = now_us / kTickUs;
    for (uint32_t ahead = 1; ahead <= kSlots;) {
      const uint32_t slot = (now + ahead) % kSlots;
      const uint64_t word = occupied_[slot / 64] >> (slot % 64);
      if (word == 0) {
        ahead += 64 - slot % 64;
        continue;
      }
      ahead += static_cast<uint32_t>(std::countr_zero(word));
      if (ahead > kSlots) break;
      const uint64_t ms = ((now + ahead) * kTickUs - now_us + 999) / 1000;
      return ms < most ? static_cast<uint32_t>(ms) : most;
    }
    return most;
  }

  uint32_t linked() const { return linked_; }

 private:
  static constexpr uint32_t kNone = ~0u;
  static constexpr uint64_t kNowhere = ~uint64_t{0};  // not linked; after every deadline
  static constexpr uint32_t kAside = kSlots;  // head of the list being swept
  struct Node {
    uint64_t deadline = 0;  // ticks
    uint64_t place = kNowhere;  // tick under which it is linked, <= deadline
    uint32_t next = kNone;
    uint32_t previous = kNone;
    uint32_t list = 0;  // head it hangs on
  };

  [[gnu::noinline]] void Move(uint32_t timer) {
    if (nodes_[timer].place != kNowhere) Unlink(timer);
    Link(timer);
  }

  void Link(uint32_t timer) {
    Node& node = nodes_[timer];
    node.place = node.deadline > now_ ? node.deadline : now_ + 1;
    if (node.place > now_ + kSlots - 1) node.place = now_ + kSlots - 1;
    const uint32_t slot = node.place % kSlots;
    node.list = slot;
    node.previous = kNone;
    node.next = heads_[slot];
    if (node.next != kNone) nodes_[node.next].previous = timer;
    heads_[slot] = timer;
    occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
    ++linked_;
  }

  void Unlink(uint32_t timer) {
    Node& node = nodes_[timer];
    const uint32_t slot = node.list;
    if (node.previous != kNone) nodes_[node.previous].next = node.next;
    else heads_[slot] = node.next;
    if (node.next != kNone) nodes_[node.next].previous = node.previous;
    if (slot != kAside && heads_[slot] == kNone) occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
    node.place = kNowhere;
    --linked_;
  }

  // The slot's list is moved aside first: what is linked meanwhile, into this slot too, waits for a later round, and `fire`
  // may set or clear any timer, those still aside included.
  template <class Fire>
  void Sweep(uint32_t slot, Fire& fire) {
    heads_[kAside] = heads_[slot];
    heads_[slot] = kNone;
    occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
    for (uint32_t t = heads_[kAside]; t != kNone; t = nodes_[t].next) nodes_[t].list = kAside;
    while (heads_[kAside] != kNone) {
      const uint32_t timer = heads_[kAside];
      Unlink(timer);
      if (nodes_[timer].deadline > now_) Link(timer);
      else fire(timer);
    }
  }

  std::unique_ptr<Node[]> nodes_;
  std::array<uint32_t, kSlots + 1> heads_;
  std::array<uint64_t, kSlots / 64> occupied_{};
  uint64_t now_ = 0;  // ticks
  uint32_t linked_ = 0;
};

}  // namespace ringway::dp
