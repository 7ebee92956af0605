// supervisord.conf as its users write it, and as they write it wrong.
#include <gmock/gmock.h>

#include <csignal>
#include <cstdlib>

#include "sidecar/supervise/program_list.h"

namespace ringway::sidecar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The file of the classic demo.
constexpr const char* kDemo = R"([supervisord]
nodaemon=true

[program:apache2]
command=/bin/bash -c "source /etc/apache2/envvars && exec /usr/sbin/apache2 -DFOREGROUND"

[program:consul]
command=/usr/bin/consul agent -config-dir=/etc/consul.d -data-dir=/tmp/consul -join consul
)";

ProgramList Parse(std::string_view text) {
  absl::StatusOr<ProgramList> list = ParseSupervisordConf("s.conf", text);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? *list : ProgramList{};
}

std::string ErrorOf(std::string_view text) {
  absl::StatusOr<ProgramList> list = ParseSupervisordConf("s.conf", text);
  return list.ok() ? "accepted" : std::string(list.status().message());
}

TEST(SupervisordConf, DemoRunsApacheAndLeavesTheConsulAgentOut) {
  ProgramList list = Parse(kDemo);
  ASSERT_EQ(list.programs.size(), 1u);
  EXPECT_EQ(list.programs[0].name, "apache2");
  EXPECT_THAT(list.programs[0].argv,
              ElementsAre("/bin/bash", "-c", "source /etc/apache2/envvars && exec /usr/sbin/apache2 -DFOREGROUND"));
  EXPECT_THAT(list.consul_config_dirs, ElementsAre("/etc/consul.d"));
  EXPECT_THAT(list.notices, ElementsAre(HasSubstr("s.conf:7: [program:consul] runs a Consul agent")));
  EXPECT_THAT(list.warnings, IsEmpty());
  ChooseEssential(list.programs);
  EXPECT_TRUE(list.programs[0].essential);
}

TEST(SupervisordConf, RecognisesTheAgentInAShellAndWithSpacedOptions) {
  ProgramList list;
  EXPECT_TRUE(TakeConsulAgent({"sh", "-c", "exec consul agent -config-dir /a --config-dir=/b -config-file c.json"}, list));
  EXPECT_THAT(list.consul_config_dirs, ElementsAre("/a", "/b"));
  EXPECT_THAT(list.consul_config_files, ElementsAre("c.json"));
  EXPECT_FALSE(TakeConsulAgent({"consul", "watch"}, list));
  EXPECT_FALSE(TakeConsulAgent({"/usr/sbin/apache2"}, list));
}

TEST(SupervisordConf, TakesEveryKeyItHonours) {
  setenv("SIDECAR_TEST_PORT", "81", 1);
  const ProgramList list = Parse(R"(
[program:x]
command = run --port %(ENV_SIDECAR_TEST_PORT)s %(program_name)s ; a comment
autostart=false
autorestart=true
exitcodes=0, 2
startretries=7
startsecs=0
stopwaitsecs=3
stopsignal=QUIT
priority=5
directory=/srv
user=www-data
environment=A="1,2",B='x y',
    C=%(here)s
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
)");
  ASSERT_EQ(list.programs.size(), 1u);
  const Program& x = list.programs[0];
  EXPECT_THAT(x.argv, ElementsAre("run", "--port", "81", "x"));
  EXPECT_FALSE(x.autostart);
  EXPECT_EQ(x.rules.restart, Restart::kAlways);
  EXPECT_THAT(x.rules.expected_exit_codes, ElementsAre(0, 2));
  EXPECT_EQ(x.rules.start_retries_max, 7);
  EXPECT_EQ(x.rules.start_time.count(), 0);
  EXPECT_EQ(x.stop_timeout.count(), 3000);
  EXPECT_EQ(x.stop_signal, SIGQUIT);
  EXPECT_EQ(x.priority, 5);
  EXPECT_EQ(x.directory, "/srv");
  EXPECT_EQ(x.user, "www-data");
  EXPECT_EQ(x.environment.at("A"), "1,2");
  EXPECT_EQ(x.environment.at("B"), "x y");
  EXPECT_EQ(x.environment.at("C"), ".");
  EXPECT_EQ(x.standard_error.to, Output::To::kStdout);
  EXPECT_THAT(list.warnings, IsEmpty());
}

TEST(SupervisordConf, OutputsGoWhereTheyAreSent) {
  const ProgramList list = Parse("[program:x]\ncommand=a\nstdout_logfile=NONE\nstderr_logfile=/var/log/x\n");
  EXPECT_EQ(list.programs[0].standard_output.to, Output::To::kNull);
  EXPECT_EQ(list.programs[0].standard_error.to, Output::To::kFile);
  EXPECT_EQ(list.programs[0].standard_error.path, "/var/log/x");
}

TEST(SupervisordConf, NamesEveryKeyItDoesNotHonour) {
  const ProgramList list = Parse(
      "[unix_http_server]\nfile=/x\n[supervisord]\nloglevel=debug\n[program:x]\ncommand=a\nnumprocs=4\numask=022\n");
  EXPECT_THAT(list.warnings, ElementsAre("s.conf:1: [unix_http_server] is not honoured",
                                         "s.conf:4: [supervisord] loglevel is not honoured",
                                         "s.conf:7: [program:x] numprocs is not honoured",
                                         "s.conf:8: [program:x] umask is not honoured"));
}

TEST(SupervisordConf, ErrorsNameFileAndLine) {
  EXPECT_EQ(ErrorOf("x=1\n"), "s.conf:1: wanted a [section] before the first key");
  EXPECT_EQ(ErrorOf("[program:x]\nnonsense\n"), "s.conf:2: wanted [section] or key=value");
  EXPECT_EQ(ErrorOf("[program:x\n"), "s.conf:1: wanted ] at the end of the section's name");
  EXPECT_EQ(ErrorOf("[program:x]\nautostart=true\n"), "s.conf:1: [program:x] has no command");
  EXPECT_EQ(ErrorOf("[program:x]\ncommand=a\nstartsecs=soon\n"), "s.conf:3: startsecs: wanted a number, got \"soon\"");
  EXPECT_EQ(ErrorOf("[program:x]\ncommand=a\nstopsignal=NO\n"),
            "s.conf:3: stopsignal: wanted a signal such as TERM, got \"NO\"");
  EXPECT_THAT(ErrorOf("[program:x]\ncommand=%(ENV_SIDECAR_TEST_UNSET)s\n"), HasSubstr("s.conf:2: command: "));
}

TEST(SupervisordConf, TheFirstToStartIsEssential) {
  ProgramList list = Parse("[program:late]\ncommand=a\n[program:first]\ncommand=b\npriority=1\n");
  ChooseEssential(list.programs);
  EXPECT_FALSE(list.programs[0].essential);
  EXPECT_TRUE(list.programs[1].essential);
}

}  // namespace
}  // namespace ringway::sidecar
