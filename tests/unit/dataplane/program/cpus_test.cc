// `--pin` and `--huge-pages`: what is understood, what is refused, and that a worker runs where it was told to.
#include "dataplane/program/cpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "dataplane/uring/buffer_memory.h"
#include "dataplane/uring/worker_thread.h"

namespace ringway::dp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Cpus, AListIsTakenInItsOrder) {
  EXPECT_THAT(*ParseCpuList("3"), ElementsAre(3u));
  EXPECT_THAT(*ParseCpuList("8,0-3,6"), ElementsAre(8u, 0u, 1u, 2u, 3u, 6u));
}

TEST(Cpus, AnythingElseIsRefusedInWords) {
  for (const char* text : {"", "x", "1,", ",1", "1-", "-1", "3-1", "1,1", "0-2,2", "1 2", "0x1", "1024", "99999999999", "1-2-3", "auto,1"}) {
    const auto cpus = ParseCpuList(text);
    ASSERT_FALSE(cpus.ok()) << text;
    EXPECT_THAT(std::string(cpus.status().message()), HasSubstr("wanted \"auto\" or CPUs like \"0-3,8\"")) << text;
  }
}

TEST(Cpus, OnlyThoseThatThisProcessMayUse) {
  const CpuList allowed = {2, 3, 7};
  EXPECT_TRUE(CpusToPin("", allowed)->empty());
  EXPECT_EQ(*CpusToPin("auto", allowed), allowed);
  EXPECT_THAT(*CpusToPin("7,2", allowed), ElementsAre(7u, 2u));
  EXPECT_EQ(CpusToPin("2-4", allowed).status().message(), "CPU 4 is none of those this process may use: 2,3,7");
}

TEST(Cpus, ThoseAllowedAreThere) {
  const CpuList allowed = AllowedCpus();
  ASSERT_FALSE(allowed.empty());
  EXPECT_LT(NodeOf(allowed[0]), 64u);
  const PreferNode near(allowed[0]);  // on one node it does nothing
}

TEST(Cpus, AWorkerRunsOnItsCpuAlone) {
  WorkerThreadOptions options;
  options.sessions_max = options.upstreams_max = 16;
  options.uring.buffers_small = 256;
  options.cpu = static_cast<int>(AllowedCpus().back());
  WorkerShared shared;
  auto thread = WorkerThread::Start(options, shared);
  ASSERT_TRUE(thread.ok()) << thread.status();
  EXPECT_EQ(shared.cpu.load(), options.cpu);
  shared.stop_timeout_ms = 0;
  shared.stop = true;
  (*thread)->Wake();
}

TEST(Cpus, ACpuThatIsNotThereIsSaid) {
  WorkerThreadOptions options;
  options.cpu = 1000;
  WorkerShared shared;
  const auto thread = WorkerThread::Start(options, shared);
  ASSERT_FALSE(thread.ok());
  EXPECT_THAT(std::string(thread.status().message()), HasSubstr("cannot run on CPU 1000: Invalid argument"));
}

// Whatever the kernel grants: the memory is there, whole and zero.
TEST(BufferMemory, HugeOrNotItIsThere) {
  for (const bool huge : {false, true}) {
    const BufferMemory memory = MapBuffers(3 << 20, huge);
    ASSERT_NE(memory.data, nullptr);
    EXPECT_GE(memory.size, size_t{3} << 20);
    if (!huge) {
      EXPECT_EQ(memory.pages, Pages::kSmall);
    }
    for (size_t at = 0; at < memory.size; at += 4096) EXPECT_EQ(memory.data[at], 0);
    std::memset(memory.data, 1, memory.size);
    EXPECT_EQ(munmap(memory.data, memory.size), 0);
  }
}

}  // namespace
}  // namespace ringway::dp
