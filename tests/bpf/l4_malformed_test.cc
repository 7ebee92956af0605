// Packets that are cut off or contradict themselves, and a seeded million of changed ones: no packet with right checksums may come
// out with wrong ones, none may come out longer than its answer, each is counted once. RINGWAY_SEED and RINGWAY_ROUNDS repeat.
#include <cstdlib>
#include <random>

#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

class L4Malformed : public L4World {};

TEST_P(L4Malformed, EveryTruncationIsLeftToTheStack) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Frame whole = Build(FromClient(kSyn, 40000, "payload"));
  for (size_t size = 14; size < whole.size(); ++size) {
    const Frame frame(whole.begin(), whole.begin() + static_cast<long>(size));
    const int ifindex = rig.IndexOf("eth0");
    Frame out = frame;
    const int action = xdp() ? rig.RunXdp(out, ifindex) : rig.RunTc(out, ifindex);
    if (action == -EINVAL) continue;  // the kernel's test run itself wants a network header there
    EXPECT_EQ(action, xdp() ? 2 : kTcUnspec) << size;
    EXPECT_EQ(out, frame);
  }
  EXPECT_TRUE(rig.HalfOpen().empty());
}

TEST_P(L4Malformed, HeadersThatLie) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const size_t transport = v6() ? 54 : 34;
  struct Lie {
    const char* what;
    size_t at;
    uint8_t value;
  };
  std::vector<Lie> lies = {{"TCP header of 4 words", transport + 12, 0x40}, {"TCP header beyond the packet", transport + 12, 0xf0}};
  if (v6()) {
    lies.push_back({"payload beyond the frame", 19, 0xff});
    lies.push_back({"payload without a TCP header", 19, 10});
    lies.push_back({"version 5", 14, 0x50});
    lies.push_back({"hop-by-hop header that is not there", 20, 0});
    lies.push_back({"fragment header of TCP's bytes", 20, 44});
  } else {
    lies.push_back({"total length beyond the frame", 17, 0xff});
    lies.push_back({"total length below the header", 17, 19});
    lies.push_back({"total length without a TCP header", 17, 30});
    lies.push_back({"header of 4 words", 14, 0x44});
    lies.push_back({"version 5", 14, 0x55});
    lies.push_back({"header beyond the packet", 14, 0x4f});
  }
  for (const Lie& lie : lies) {
    Frame frame = Build(FromClient(kSyn));
    frame[lie.at] = lie.value;
    const Outcome outcome = rig.Run(way(), frame);
    EXPECT_NE(Name(outcome.verdict), "TO_ENDPOINT") << lie.what;
    EXPECT_EQ(outcome.action, kTcUnspec) << lie.what;
    EXPECT_EQ(outcome.frame, frame) << lie.what;
  }
  EXPECT_TRUE(rig.HalfOpen().empty());
}

TEST_P(L4Malformed, ExtensionHeadersWeDoNotWalk) {
  if (!v6()) return;
  L4Rig rig;
  Serve(rig, L4_NAT);
  for (const uint8_t next : {43, 51}) {  // routing, authentication
    Packet packet = FromClient(kSyn);
    packet.extension = 8;
    Frame frame = Build(packet);
    frame[20] = next;
    const Outcome outcome = rig.Run(way(), frame);
    EXPECT_EQ(Name(outcome.verdict), "HEADER_UNSUPPORTED");
    EXPECT_EQ(outcome.action, kTcUnspec);
  }
}

// The fuzz run. Where a changed packet still has right sums, what comes out must have them too.
class Fuzz {
 public:
  Fuzz(L4Rig& rig, uint64_t seed, std::vector<Frame> corpus) : rig_(rig), random_(seed), corpus_(std::move(corpus)) {}

  void Round(bool xdp) {
    Frame in = corpus_[Below(corpus_.size())];
    Change(in);
    if (in.size() < 14) in.resize(14);
    Frame out = in;
    const int action = xdp ? rig_.RunXdp(out, ifindex_) : rig_.RunTc(out, ifindex_);
    if (action == -EINVAL) return;
    ++ran;
    Check(in, out, action, xdp);
  }
  uint64_t ran = 0, sent = 0, answered = 0;
  std::string wrong;

 private:
  void Check(const Frame& in, const Frame& out, int action, bool xdp) {
    const bool left = xdp ? action == 2 : action == kTcUnspec, dropped = action == (xdp ? kXdpDrop : kTcShot);
    const bool gone = xdp ? action == kXdpTx || action == kXdpRedirect : action == kTcRedirect;
    if (!left && !dropped && !gone) wrong = "an action of another kind: " + std::to_string(action);
    if (left && out != in) wrong = "left to the stack, but changed";
    if (!gone) return;
    const Reading before = Read(in), after = Read(out);
    ++sent;
    if (out.size() > in.size()) ++answered;
    if (out.size() > in.size() + 48) wrong = "longer than an ICMP error's headers make it";
    if (!after.ok && before.ok) wrong = "a packet came out that cannot be read";
    if (SumsOk(before) && !SumsOk(after)) wrong = "wrong checksum";
    if (!wrong.empty() && in_.empty()) in_ = in;
  }
  void Change(Frame& frame) {
    switch (Below(8)) {
      case 0: frame.resize(Below(frame.size() + 1)); return;
      case 1: frame.resize(frame.size() + Below(64), static_cast<uint8_t>(Below(256))); return;
      case 2:  // headers alone
        for (uint64_t i = Below(4); i < 4; ++i) frame[12 + Below(std::min<size_t>(frame.size() - 12, 64))] = static_cast<uint8_t>(Below(256));
        return;
      case 3: frame[14 + Below(std::min<size_t>(frame.size() - 14, 48))] ^= static_cast<uint8_t>(1u << Below(8)); return;
      case 4:  // payload
        for (uint64_t i = Below(8); i < 8; ++i) frame[Below(frame.size())] = static_cast<uint8_t>(Below(256));
        return;
      default: return;  // as it is: states move on
    }
  }
  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }

  L4Rig& rig_;
  std::mt19937_64 random_;
  const std::vector<Frame> corpus_;
  const int ifindex_ = rig_.IndexOf("eth0");
  Frame in_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

TEST_P(L4Malformed, AMillionChangedPackets) {
  const uint64_t seed = FromEnvironment("RINGWAY_SEED", 5), rounds = FromEnvironment("RINGWAY_ROUNDS", 250000);  // of each of four
  L4Rig rig;
  Serve(rig, v6() ? L4_TRANSPARENT : L4_NAT, 0, 3);
  std::vector<Frame> corpus;
  auto add = [&](Packet packet) {
    corpus.push_back(Build(packet));
    packet.options = v6() ? 0 : 8;
    packet.extension = v6() ? 16 : 0;
    corpus.push_back(Build(packet));
  };
  for (uint16_t port = 40000; port < 40008; ++port) {
    const Outcome out = rig.Run(way(), FromClient(kSyn, port)), query = rig.Run(way(), Query(port));
    for (const uint8_t flags : {kSyn, kAck, static_cast<uint8_t>(kFin | kAck), kRst}) add(FromClient(flags, port, "payload"));
    for (const uint8_t flags : {static_cast<uint8_t>(kSyn | kAck), kAck, static_cast<uint8_t>(kFin | kAck)}) add(Answer(out.reading.packet, flags, "odd"));
    add(Query(port));
    add(Answer(query.reading.packet, 0, "answer"));
    for (const Fragment fragment : {kFirst, kLater}) {
      Packet part = Query(port, std::string(100, 'f'));
      part.fragment = fragment;
      corpus.push_back(Build(part));
    }
    Packet error = FromClient(0, port);
    error.source = out.reading.packet.dest;
    error.dest = out.reading.packet.source;
    error.protocol = v6() ? kIcmpV6 : kIcmp;
    error.icmp_type = v6() ? 1 : 3;
    error.inside = Inside(port % 2 ? out.frame : query.frame, port % 3 ? 9999 : v6() ? 48 : 28);
    corpus.push_back(Build(error));
    Packet low = FromClient(kSyn, port);
    low.ttl = 1;
    add(low);
  }
  Fuzz fuzz(rig, seed, corpus);
  const std::vector<uint64_t> before = rig.Counts();
  for (uint64_t i = 0; i < rounds && fuzz.wrong.empty(); ++i) fuzz.Round(xdp());
  EXPECT_EQ(fuzz.wrong, "") << "seed " << seed << ", after " << fuzz.ran;
  const std::vector<uint64_t> after = rig.Counts();
  uint64_t counted = 0;
  for (uint32_t i = 0; i < L4_VERDICTS; ++i) counted += after[i] - before[i];
  EXPECT_GE(counted, fuzz.ran);
  EXPECT_GT(fuzz.sent, fuzz.ran / 10) << "most were left alone: nothing was tested";
  if (!xdp()) {
    EXPECT_GT(fuzz.answered, 0u);
  }
}

L4_INSTANTIATE(L4Malformed);

}  // namespace
}  // namespace ringway::dp
