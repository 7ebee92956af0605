// io_uring, tried with what the workers use: SINGLE_ISSUER | DEFER_TASKRUN | SUBMIT_ALL (io_uring_setup(2)) and a
// provided-buffer ring (io_uring_setup_buf_ring(3)).
#include <liburing.h>

#include <cerrno>
#include <cstring>

#include "common/probe/probe.h"
#include "common/probe/proc.h"

namespace ringway::probe {
namespace {

constexpr unsigned kFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
constexpr char kLost[] = "the dataplane cannot run: every byte it moves goes through io_uring";

bool SeccompFilters() { return SelfStatus("Seccomp") == "2"; }

// Who says no, and what to do. `error` is the positive errno of io_uring_setup.
void Blame(int error, Finding& finding) {
  const long disabled = ReadNumber("/proc/sys/kernel/io_uring_disabled").value_or(0);
  if (error == EPERM && disabled != 0) {
    finding.detail = "refused (EPERM): the sysctl kernel.io_uring_disabled is " + std::to_string(disabled);
    finding.remedy = "as root on the host: sysctl kernel.io_uring_disabled=0";
  } else if ((error == EPERM || error == ENOSYS || error == EACCES) && SeccompFilters()) {
    finding.detail = std::string("refused (") + std::strerror(error) + "): a seccomp filter is active; Docker's default profile denies io_uring since Docker 25";
    finding.remedy = "run the container with deploy's seccomp profile (--security-opt seccomp=FILE) or --privileged";
  } else if (error == ENOSYS) {
    finding.detail = "refused (ENOSYS): this kernel was built without io_uring";
    finding.remedy = "a kernel with CONFIG_IO_URING=y";
  } else if (error == EINVAL) {
    finding.detail = "refused (EINVAL): this kernel does not know SINGLE_ISSUER, DEFER_TASKRUN or SUBMIT_ALL";
    finding.remedy = "Linux 6.1 or newer";
  } else if (error == ENOMEM) {
    finding.detail = "refused (ENOMEM): the limit of locked memory is too small";
    finding.remedy = "raise it: ulimit -l unlimited, LimitMEMLOCK=infinity, --ulimit memlock=-1";
  } else {
    finding.detail = std::string("refused: ") + std::strerror(error);
  }
}

Finding ProbeBufferRing(io_uring& ring) {
  Finding finding{.group = "io_uring", .what = "provided-buffer ring", .verdict = Verdict::kYes, .detail = "works", .lost = "", .remedy = ""};
  int error = 0;
  io_uring_buf_ring* buffers = io_uring_setup_buf_ring(&ring, 8, 0, 0, &error);
  if (buffers != nullptr) {
    io_uring_free_buf_ring(&ring, buffers, 8, 0);
    return finding;
  }
  finding.verdict = Verdict::kNo;
  finding.detail = std::string("refused: ") + std::strerror(-error);
  finding.lost = kLost;
  finding.remedy = "Linux 6.1 or newer";
  return finding;
}

Finding ProbeGates() {
  const auto disabled = ReadNumber("/proc/sys/kernel/io_uring_disabled");
  Finding finding{.group = "io_uring", .what = "gates", .verdict = Verdict::kYes, .detail = "", .lost = "", .remedy = ""};
  finding.detail = "sysctl kernel.io_uring_disabled is " + (disabled ? std::to_string(*disabled) : "absent (before 6.6)") + ", seccomp filter " +
                   (SeccompFilters() ? "active" : "none");
  return finding;
}

}  // namespace

std::vector<Finding> ProbeUring() {
  Finding finding{.group = "io_uring", .what = "ring", .verdict = Verdict::kYes, .detail = "", .lost = "", .remedy = ""};
  io_uring ring;
  std::memset(&ring, 0, sizeof(ring));
  const int result = io_uring_queue_init(8, &ring, kFlags);
  if (result < 0) {
    finding.verdict = Verdict::kNo;
    finding.lost = kLost;
    Blame(-result, finding);
    return {finding, ProbeGates()};
  }
  finding.detail = "works with SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL";
  const Finding buffers = ProbeBufferRing(ring);
  io_uring_queue_exit(&ring);
  return {finding, buffers, ProbeGates()};
}

}  // namespace ringway::probe
