// One end of a byte stream through the proxy (TCP session, or after a 101): sends content, checks what comes, and that an end
// is seen only where the other side made one.
#pragma once

#include "tests/sim/content.h"
#include "tests/sim/ledger.h"
#include "tests/sim/network.h"

namespace ringway::sim {

class StreamEnd {
 public:
  // `request` is looked up each time: the ledger grows.
  StreamEnd(Network& network, Ledger& ledger, uint32_t request, bool client, SocketId socket)
      : network_(network), ledger_(ledger), request_(request), client_(client), socket_(socket),
        out_(ContentKey(request, 0, client)), in_(ContentKey(request, 0, !client)),
        end_first_(request % 3 != (client ? 0u : 1u)) {}

  // Moves up to `most` bytes each way. True when the stream is over and the socket closed.
  bool Step(size_t most);
  void Accept(const char* data, size_t size);  // bytes that were read before the stream began
  // Ends it here and now; without `reset` in the way of an orderly end.
  void Leave(bool reset);
  // Something to do at once?
  bool busy() { return network_[socket_].readable() > 0 || (at_ < Mine().size && network_.Room(socket_) > 0); }

 private:
  StreamSide& Mine() { return client_ ? ledger_.requests[request_].from_client : ledger_.requests[request_].from_server; }
  StreamSide& Theirs() { return client_ ? ledger_.requests[request_].from_server : ledger_.requests[request_].from_client; }
  void EndMine();

  Network& network_;
  Ledger& ledger_;
  const uint32_t request_;
  const bool client_;
  const SocketId socket_;
  Content out_, in_;
  const bool end_first_;  // ends its side as soon as all is sent, else after the other one has; at least one of the two does
  uint64_t at_ = 0, received_ = 0;
  bool in_ended_ = false;
};

}  // namespace ringway::sim
