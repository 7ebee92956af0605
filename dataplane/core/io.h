// What a Worker asks of the kernel, as a concept: UringIo (production) and SimIo (seeded simulation) provide it.
//
// Every operation that takes a Tag completes exactly once with that tag (accepts and receives that are many: many times, the last
// one without `more`), in a later turn and never inside the call. Results are as in io_uring: >= 0, or a negative errno.
//
// Bulk is moved at once instead, when its socket is ready (worker_bulk.h): through a large buffer, or a pipe, that is taken for
// the moment of the move and given back still warm. None of these calls waits.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "dataplane/core/ip_address.h"

namespace ringway::dp {

// Layout of struct iovec, so that it goes to the kernel as it is (asserted in uring/).
struct Slice {
  const char* data;
  size_t size;
};

// Two classes of buffers: heads and small bodies, provided to the kernel; bulk, taken by hand.
enum class Group : uint8_t { kSmall, kLarge };
inline constexpr uint32_t kGroups = 2;

enum class Op : uint8_t { kNone, kAccept, kClientRecv, kClientSend, kConnect, kUpstreamRecv, kUpstreamSend };

// What an operation belongs to: never a pointer, so that a completion for a slot that lives on as another is recognised.
struct Tag {
  Op op = Op::kNone;
  uint32_t slot = 0;
  uint32_t generation = 0;  // 24 bits

  uint64_t Pack() const {
    return uint64_t{static_cast<uint8_t>(op)} << 56 | uint64_t{generation & 0xffffffu} << 32 | slot;
  }
  static Tag Unpack(uint64_t word) {
    return {static_cast<Op>(word >> 56), static_cast<uint32_t>(word),
            static_cast<uint32_t>(word >> 32) & 0xffffffu};
  }
};

inline constexpr uint16_t kNoBuffer = 0xffff;
inline constexpr uint16_t kNoPipe = 0xffff;

struct Completion {
  Tag tag;
  int32_t result = 0;
  uint16_t buffer = kNoBuffer;  // the provided buffer that a RecvSelect filled, if it took one
  bool more = false;            // still armed
};

// What the kernel knows of a connection's path (tcp(7), TCP_INFO): totals of the connection, and its smoothed round trip.
struct PathSample {
  uint32_t rtt_us = 0;  // 0: not known
  uint32_t segments_sent = 0;
  uint32_t retransmits = 0;
};

struct IgnoreCompletion {
  void operator()(const Completion&) const {}
};

template <class T>
concept Io = requires(T io, const T const_io, int fd, Tag tag, const IpAddress& address, IpAddress& out, char* data,
                      uint32_t size, const Slice* slices, Group group, uint16_t id, bool flag, PathSample& path, IgnoreCompletion handler) {
  // Monotonic, sampled once a turn.
  { const_io.NowUs() } -> std::convertible_to<uint64_t>;
  // A stream socket towards `address`, without delay (TCP_NODELAY): descriptor or negative errno.
  { io.OpenSocket(address) } -> std::same_as<int>;
  // The peer of an accepted socket; false when it has gone already.
  { io.PeerOf(fd, out) } -> std::same_as<bool>;

  // Asks the kernel about a connection, at once; half a microsecond. False when it cannot tell.
  { io.SamplePath(fd, path) } -> std::same_as<bool>;

  { io.Accept(fd, tag) };            // multishot; each result is a connected socket
  { io.Connect(fd, address, tag) };
  // Into a small buffer, bound only when bytes are there; -ENOBUFS when none is. `flag`: multishot, ends with the stream, an
  // error, or by itself.
  { io.RecvSelect(fd, tag, flag) };
  // `size` slices, at most kSlicesMax; what they name stays until completion. `flag`: the write side is ended as soon as it has
  // completed, so the FIN may go along with the last bytes.
  { io.Send(fd, slices, size, tag, flag) };
  { io.PollIn(fd, tag) };   // > 0 when a receive would give bytes, the end or an error; perhaps without reason
  { io.PollOut(fd, tag) };  // > 0 when a send would take bytes or give an error; perhaps without reason
  { io.Cancel(tag) };                  // asks the operation with this tag to end; it still completes once

  // At once: bytes moved, 0 at the end of the stream, or a negative errno; -EAGAIN where it would have to wait.
  { io.ReceiveNow(fd, data, size) } -> std::same_as<int32_t>;
  { io.SendNow(fd, slices, size, flag) } -> std::same_as<int32_t>;  // `flag`: more follows at once
  // At most `size` bytes from a socket into an empty pipe. -EOPNOTSUPP: refused, here and from now on; nothing was moved.
  { io.SpliceIn(fd, id, size) } -> std::same_as<int32_t>;
  { io.SpliceOut(id, fd, size) } -> std::same_as<int32_t>;  // `size` bytes, all that a pipe has, or a part, to a socket
  { io.TakePipe() } -> std::same_as<int32_t>;               // its id; -ENOBUFS when all are taken, or why none could be opened
  { io.ReturnPipe(id, flag) };                              // `flag`: it is empty
  { io.TakeLarge() } -> std::same_as<uint16_t>;             // a large buffer; kNoBuffer when all are taken

  // Without completion. Shutdown ends the write side; Reset closes so that the peer sees RST.
  { io.Shutdown(fd) };
  { io.Close(fd) };
  { io.Reset(fd) };

  { io.BufferData(group, id) } -> std::same_as<char*>;
  { const_io.BufferSize(group) } -> std::same_as<uint32_t>;
  { const_io.BuffersFree(group) } -> std::same_as<uint32_t>;
  { io.ReturnBuffer(group, id) };

  // Submits, waits until something completed, a wake-up came or `size` milliseconds passed, and hands out completions.
  { io.Turn(size, handler) };
};

// A head of kCutsMax + 1 pieces, an inserted block, the blank line with body bytes, and a rewritten target.
inline constexpr uint32_t kSlicesMax = 24;

}  // namespace ringway::dp
