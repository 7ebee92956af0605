// What the kernel knows of a connection's path: TCP_INFO (tcp(7)) with the fields that glibc's own copy of the struct lacks, and
// that is why it stands in a file of its own.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "dataplane/uring/uring_io.h"

namespace ringway::dp {

bool UringIo::SamplePath(int fd, PathSample& out) {
  struct tcp_info info {};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  out = {info.tcpi_rtt, info.tcpi_segs_out, info.tcpi_total_retrans};
  return true;
}

}  // namespace ringway::dp
