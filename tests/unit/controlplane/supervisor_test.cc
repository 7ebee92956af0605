// `ringway up` as a supervisor, with shell scripts as children and the supervisor itself in a process of its own.
#include "controlplane/cli/supervisor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

ChildProgram Script(const std::string& name, const std::string& script, std::chrono::milliseconds stop_wait = std::chrono::seconds(20)) {
  return {.name = name, .arguments = {"/bin/sh", "-c", script}, .stop_wait = stop_wait};
}

class SupervisorTest : public testing::Test {
 protected:
  ~SupervisorTest() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  void Start(std::vector<ChildProgram> programs) {
    pid_ = fork();
    if (pid_ == 0) _exit(Supervisor(UpPlan{.control = programs[0], .data = programs[1]}).Run());
  }
  int ExitCode() {
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string Log() const {
    std::ifstream stream(dir_.path() + "/log");
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  // Until the log holds what is wanted; the bound only ends a broken test.
  bool LogBecomes(const std::function<bool(const std::string&)>& wanted) const {
    for (int i = 0; i < 2000; ++i) {
      if (wanted(Log())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  static size_t Count(const std::string& text, const std::string& word) {
    size_t count = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
    return count;
  }
  // Notes a word in the log.
  std::string Say(const std::string& word) const { return "echo " + word + " >> " + dir_.path() + "/log; "; }

  TempDir dir_;
  pid_t pid_ = 0;
};

TEST_F(SupervisorTest, StopsTheLastStartedFirstAndExitsZero) {
  const std::string loop = "while :; do sleep 0.02; done";
  Start({Script("control", "trap '" + Say("control-term") + "exit 0' TERM; " + Say("control-up") + loop),
         Script("data", "trap '" + Say("data-term") + "sleep 0.2; " + Say("data-gone") + "exit 0' TERM; " + Say("data-up") + loop)});
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "-up") == 2; }));
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 0);
  const std::string log = Log();
  EXPECT_LT(log.find("data-term"), log.find("data-gone"));
  EXPECT_LT(log.find("data-gone"), log.find("control-term")) << log;
}

TEST_F(SupervisorTest, AChildThatDiesComesBackAndTheOtherStays) {
  Start({Script("control", Say("control-up") + "exec sleep 1000"), Script("data", Say("data-up") + "kill -9 $$")});
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "data-up") >= 3; }));
  EXPECT_EQ(Count(Log(), "control-up"), 1u);
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 0);
}

TEST_F(SupervisorTest, AFirstStartThatCannotWorkEndsItWithThatCode) {
  Start({Script("control", Say("control-up") + "exec sleep 1000"), Script("data", "exit 78")});
  EXPECT_EQ(ExitCode(), 78);
}

TEST_F(SupervisorTest, AControlPlaneWhoseSecondStartWorksIsNotGivenUp) {
  const std::string log = dir_.path() + "/log";
  const std::string control = "grep -qs control-up " + log + " && { " + Say("control-again") + "exec sleep 1000; }; " + Say("control-up") + "exit 73";
  // Says that it has nothing to serve when the control plane runs for the second time, and ends: what it said has then been judged.
  const std::string data = Say("data-up") + "until grep -qs control-again " + log + "; do sleep 0.02; done; echo waiting > /proc/self/fd/$1; exit 1";
  ChildProgram telling = Script("data", data);
  telling.tells = true;
  Start({Script("control", control), telling});
  ASSERT_TRUE(LogBecomes([](const std::string& text) { return Count(text, "data-up") >= 2; }));
  EXPECT_EQ(Count(Log(), "control-again"), 1u);
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 0);
}

TEST_F(SupervisorTest, HangupGoesToTheControlPlaneOnly) {
  const std::string loop = "while :; do sleep 0.02; done";
  Start({Script("control", "trap '" + Say("control-hup") + "' HUP; " + Say("control-up") + loop),
         Script("data", "trap '" + Say("data-hup") + "' HUP; " + Say("data-up") + loop)});
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "-up") == 2; }));
  kill(pid_, SIGHUP);
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "control-hup") == 1; }));
  EXPECT_EQ(Count(Log(), "data-hup"), 0u);
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 0);
}

TEST_F(SupervisorTest, AChildThatDoesNotStopIsKilled) {
  Start({Script("control", "exec sleep 1000"),
         Script("data", "trap '' TERM; " + Say("data-up") + "while :; do sleep 0.02; done", std::chrono::milliseconds(100))});
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "data-up") == 1; }));
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 0);
}

TEST_F(SupervisorTest, ASecondSignalKillsAtOnce) {
  Start({Script("control", "exec sleep 1000"),
         Script("data", "trap '" + Say("data-term") + "' TERM; " + Say("data-up") + "while :; do sleep 0.02; done", std::chrono::hours(1))});
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "data-up") == 1; }));
  kill(pid_, SIGTERM);
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "data-term") == 1; }));
  std::this_thread::sleep_for(Supervisor::kSameStop);
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 0);
}

TEST_F(SupervisorTest, TwoSignalsAtOnceAreOneStop) {
  Start({Script("control", "exec sleep 1000"),
         Script("data", "trap 'sleep 0.05; " + Say("data-done") + "exit 0' TERM; " + Say("data-up") + "while :; do sleep 0.02; done")});
  ASSERT_TRUE(LogBecomes([](const std::string& log) { return Count(log, "data-up") == 1; }));
  kill(pid_, SIGTERM);
  kill(pid_, SIGINT);  // not SIGTERM: two of a kind may become one on their way
  EXPECT_EQ(ExitCode(), 0);
  EXPECT_EQ(Count(Log(), "data-done"), 1u);
}

}  // namespace
}  // namespace ringway::cp
