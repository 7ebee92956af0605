#include "bench/compare/tools/udp_echo.h"

namespace ringway::bench {
namespace {

constexpr uint32_t kBuffers = 1024;
constexpr uint32_t kBufferBytes = 66 << 10;  // the longest datagram, its sender's address, io_uring's own head

}  // namespace

UdpEcho::UdpEcho(const std::vector<Address>& listen) : pool_(ring_.AddPool(kBuffers, kBufferBytes)), replies_(kBuffers) {
  shape_.msg_namelen = sizeof(sockaddr_storage);
  for (const Address& address : listen) {
    sockets_.push_back(Listen(address, true));
    Receive(static_cast<uint32_t>(sockets_.size() - 1));
  }
}

void UdpEcho::Run() {
  while (!ring_.stopping()) {
    ring_.Turn([this](Tag tag, const io_uring_cqe& cqe) {
      if (tag.op == kRecv) OnReceived(tag.slot, cqe);
      else if (tag.op == kSend) pool_.Return(static_cast<uint16_t>(tag.slot));  // sent, or lost as datagrams are
    });
  }
}

void UdpEcho::Receive(uint32_t socket) {
  io_uring_sqe* sqe = ring_.Sqe(Tag{kRecv, socket});
  io_uring_prep_recvmsg_multishot(sqe, sockets_[socket], &shape_, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = pool_.group();
}

void UdpEcho::OnReceived(uint32_t socket, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) Receive(socket);
  if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return;
  const uint16_t id = BufferPool::IdOf(cqe);
  pool_.Taken();
  io_uring_recvmsg_out* out = cqe.res < 0 ? nullptr : io_uring_recvmsg_validate(pool_.Data(id), cqe.res, &shape_);
  if (out == nullptr) return pool_.Return(id);
  Reply& reply = replies_[id];
  reply.part = {io_uring_recvmsg_payload(out, &shape_), io_uring_recvmsg_payload_length(out, cqe.res, &shape_)};
  reply.message.msg_name = io_uring_recvmsg_name(out);
  reply.message.msg_namelen = out->namelen;
  reply.message.msg_iov = &reply.part;
  reply.message.msg_iovlen = 1;
  io_uring_prep_sendmsg(ring_.Sqe(Tag{kSend, id}), sockets_[socket], &reply.message, 0);
}

}  // namespace ringway::bench
