// The restart rules as supervisord documents them, transition by transition.
#include "sidecar/supervise/restart.h"

#include <gtest/gtest.h>

#include <csignal>

namespace ringway::sidecar {
namespace {

using State = RestartMachine::State;
using Next = RestartMachine::Verdict::Next;
using std::chrono::milliseconds;

constexpr int Exited(int code) { return code << 8; }  // man 2 waitpid: the encoding of Linux
constexpr milliseconds kLong{60000};
constexpr milliseconds kShort{10};

RestartMachine Running(Restart restart) {
  RestartRules rules;
  rules.restart = restart;
  RestartMachine machine(rules);
  machine.OnStarted();
  machine.OnStayedUp();
  return machine;
}

TEST(RestartMachine, RunningOnlyAfterStartTime) {
  RestartMachine machine(RestartRules{});
  machine.OnStarted();
  EXPECT_EQ(machine.state(), State::kStarting);
  machine.OnStayedUp();
  EXPECT_EQ(machine.state(), State::kRunning);
}

TEST(RestartMachine, NoStartTimeMeansRunningAtOnce) {
  RestartRules rules;
  rules.start_time = milliseconds(0);
  RestartMachine machine(rules);
  machine.OnStarted();
  EXPECT_EQ(machine.state(), State::kRunning);
}

TEST(RestartMachine, AlwaysRestartsAlsoAfterSuccess) {
  EXPECT_EQ(Running(Restart::kAlways).OnEnded(Exited(0), kLong).next, Next::kRestart);
}

TEST(RestartMachine, OnFailureKnowsExpectedCodesAndSignals) {
  EXPECT_EQ(Running(Restart::kOnFailure).OnEnded(Exited(0), kLong).next, Next::kDone);
  EXPECT_EQ(Running(Restart::kOnFailure).OnEnded(Exited(1), kLong).next, Next::kRestart);
  EXPECT_EQ(Running(Restart::kOnFailure).OnEnded(SIGKILL, kLong).next, Next::kRestart);
}

TEST(RestartMachine, NeverIsDoneWhateverTheStatus) {
  RestartMachine machine = Running(Restart::kNever);
  EXPECT_EQ(machine.OnEnded(SIGSEGV, kLong).next, Next::kDone);
  EXPECT_EQ(machine.state(), State::kExited);
}

TEST(RestartMachine, QuickEndsAreRetriedWithGrowingDelayThenFatal) {
  RestartMachine machine(RestartRules{});
  milliseconds before{0};
  for (int retry = 0; retry < 3; ++retry) {
    machine.OnStarted();
    const RestartMachine::Verdict verdict = machine.OnEnded(Exited(0), kShort);
    ASSERT_EQ(verdict.next, Next::kRestart) << retry;
    EXPECT_GT(verdict.delay, before);
    before = verdict.delay;
  }
  machine.OnStarted();
  EXPECT_EQ(machine.OnEnded(Exited(0), kShort).next, Next::kFatal);
  EXPECT_EQ(machine.state(), State::kFatal);
}

TEST(RestartMachine, StayingUpForgivesEarlierFailures) {
  RestartMachine machine(RestartRules{});
  for (int round = 0; round < 10; ++round) {
    machine.OnStarted();
    ASSERT_EQ(machine.OnEnded(Exited(1), kShort).next, Next::kRestart) << round;
    machine.OnStarted();
    machine.OnStayedUp();
    ASSERT_EQ(machine.OnEnded(Exited(1), milliseconds(1500)).next, Next::kRestart) << round;
  }
}

TEST(RestartMachine, WhatCannotBeStartedIsFatalAfterItsRetries) {
  RestartRules rules;
  rules.start_retries_max = 0;
  RestartMachine machine(rules);
  EXPECT_EQ(machine.OnStartFailed().next, Next::kFatal);
}

TEST(RestartMachine, CrashLoopBacksOffToACapAndAStableRunResetsIt) {
  RestartMachine machine = Running(Restart::kAlways);
  const milliseconds first = machine.OnEnded(Exited(1), milliseconds(2000)).delay;
  milliseconds last = first;
  for (int crash = 0; crash < 20; ++crash) {
    machine.OnStarted();
    machine.OnStayedUp();
    last = machine.OnEnded(Exited(1), milliseconds(2000)).delay;
  }
  EXPECT_EQ(last, milliseconds(10000));
  machine.OnStarted();
  machine.OnStayedUp();
  EXPECT_EQ(machine.OnEnded(Exited(1), kLong).delay, first);
}

TEST(ExitCodeOf, FollowsTheShell) {
  EXPECT_EQ(ExitCodeOf(Exited(3)), 3);
  EXPECT_EQ(ExitCodeOf(SIGTERM), 143);
  EXPECT_EQ(DescribeEnd(SIGKILL), "was killed by SIGKILL");
  EXPECT_EQ(DescribeEnd(Exited(3)), "exited with status 3");
}

TEST(Backoff, DoublesUpToTheCapAndResets) {
  Backoff backoff(milliseconds(50), milliseconds(150));
  EXPECT_EQ(backoff.Next(), milliseconds(50));
  EXPECT_EQ(backoff.Next(), milliseconds(100));
  EXPECT_EQ(backoff.Next(), milliseconds(150));
  EXPECT_EQ(backoff.Next(), milliseconds(150));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), milliseconds(50));
}

TEST(Backoff, JitterStaysBetweenHalfAndAll) {
  std::minstd_rand random(1);
  for (int i = 0; i < 1000; ++i) {
    const milliseconds wait = WithJitter(milliseconds(100), random);
    ASSERT_GE(wait, milliseconds(50));
    ASSERT_LE(wait, milliseconds(100));
  }
}

}  // namespace
}  // namespace ringway::sidecar
