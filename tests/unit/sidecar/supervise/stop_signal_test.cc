// Signals by process name, by configuration, and their spelling.
#include "sidecar/supervise/stop_signal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "sidecar/supervise/signal_names.h"

namespace ringway::sidecar {
namespace {

TEST(GracefulSignalOf, KnowsTheWebServers) {
  EXPECT_EQ(GracefulSignalOf("apache2"), SIGWINCH);
  EXPECT_EQ(GracefulSignalOf("httpd"), SIGWINCH);
  EXPECT_EQ(GracefulSignalOf("nginx"), SIGQUIT);
  EXPECT_EQ(GracefulSignalOf("php-fpm8.2"), SIGQUIT);
  EXPECT_EQ(GracefulSignalOf("php"), 0);
  EXPECT_EQ(GracefulSignalOf("node"), 0);
}

TEST(ChooseStopTarget, AnUnknownProgramGetsTermOrWhatIsConfigured) {
  const StopTarget by_default = ChooseStopTarget(getpid(), 0);
  EXPECT_EQ(by_default.pid, getpid());
  EXPECT_EQ(by_default.signal, SIGTERM);
  EXPECT_EQ(ChooseStopTarget(getpid(), SIGUSR1).signal, SIGUSR1);
}

TEST(SignalNames, ReadsEverySpelling) {
  EXPECT_EQ(SignalFromName("TERM"), SIGTERM);
  EXPECT_EQ(SignalFromName("SIGWINCH"), SIGWINCH);
  EXPECT_EQ(SignalFromName("sigquit"), SIGQUIT);
  EXPECT_EQ(SignalFromName("15"), SIGTERM);
  EXPECT_EQ(SignalFromName("NOPE"), 0);
  EXPECT_EQ(SignalFromName(""), 0);
  EXPECT_EQ(SignalName(SIGHUP), "SIGHUP");
}

}  // namespace
}  // namespace ringway::sidecar
