"""PID 1's duties: exit status, signals, orphans, sessions, restarts. The real binary, no catalog."""
import json
import os
import signal
import subprocess

from support import Case, alive, main, wait_until


class ExitStatus(Case):
    def test_is_the_commands_own(self):
        self.assertEqual(self.sidecar(command=["sh", "-c", "exit 7"]).wait(), 7)
        self.assertEqual(self.sidecar(command=["true"]).wait(), 0)

    def test_is_128_and_the_signal_that_killed_it(self):
        self.assertEqual(self.sidecar(command=["sh", "-c", "kill -SEGV $$"]).wait(), 128 + signal.SIGSEGV)

    def test_follows_the_shell_for_what_cannot_be_run(self):
        self.assertEqual(self.sidecar(command=["no-such-program"]).wait(), 127)
        self.assertEqual(self.sidecar(command=["/etc/passwd"]).wait(), 126)

    def test_wrong_command_line_is_64_and_wrong_configuration_78(self):
        self.assertEqual(self.sidecar("apache2").wait(), 64)
        broken = self.file("web.json", '{"service":\n  {"name": }}')
        sidecar = self.sidecar("-config-file", broken, command=["true"])
        self.assertEqual(sidecar.wait(), 78)
        self.assertIn(broken + ":2:12: not valid JSON", sidecar.err())
        sidecar = self.sidecar("-config-file", self.file("web.hcl", "service {}"), command=["true"])
        self.assertEqual(sidecar.wait(), 78)
        self.assertIn("HCL is not read", sidecar.err())

    def test_requested_stop_is_0_for_each_stop_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH):
            sidecar = self.sidecar(command=["sleep", "1000"])
            sidecar.wait_err("started, pid")
            sidecar.send(number)
            self.assertEqual(sidecar.wait(), 0, signal.Signals(number).name)

    def test_a_program_that_will_not_go_is_killed_and_that_is_137(self):
        sidecar = self.sidecar("--stop-timeout", "100ms",
                               command=["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])
        sidecar.wait_out("ready")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 137)

    def test_the_programs_own_failure_at_a_stop_is_kept(self):
        sidecar = self.sidecar(command=["sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"])
        sidecar.wait_out("ready")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 9)


class Process(Case):
    def test_streams_pass_through_byte_for_byte(self):
        script = "printf 'a\\000b\\377 no newline'; printf 'to the other' >&2"
        sidecar = self.sidecar(command=["sh", "-c", script], environment={"RINGWAY_LOG": "error"})
        self.assertEqual(sidecar.wait(), 0)
        with open(sidecar.out_path, "rb") as out:
            self.assertEqual(out.read(), b"a\x00b\xff no newline")
        self.assertEqual(sidecar.err(), "to the other")

    def test_leads_its_own_session_without_a_terminal(self):
        script = "ps -o pid=,sid=,pgid=,tty= -p $$; (exec </dev/tty) 2>/dev/null || echo no terminal"
        sidecar = self.sidecar(command=["sh", "-c", script])
        sidecar.wait_out("no terminal")
        pid, session, group, tty = sidecar.out().split()[:4]
        self.assertEqual([session, group, tty], [pid, pid, "?"])
        sidecar.wait()

    def test_inherits_no_descriptor_and_no_ignored_signal(self):
        sidecar = self.sidecar(command=["sh", "-c", "ls /proc/self/fd | wc -l; grep -E 'SigBlk|SigIgn' /proc/self/status"])
        self.assertEqual(sidecar.wait(), 0)
        lines = sidecar.out().split("\n")
        self.assertEqual(int(lines[0]), 4)  # 0, 1, 2 and the directory that ls reads
        for line in lines[1:3]:
            self.assertEqual(int(line.split()[1], 16), 0, line)

    def test_dies_with_a_sidecar_that_is_killed(self):
        sidecar = self.sidecar(command=["sh", "-c", "echo $$; exec sleep 1000"])
        pid = int(wait_until(sidecar.out, "pid"))
        sidecar.process.kill()
        sidecar.wait()
        wait_until(lambda: not alive(pid), "the program ended with the sidecar")

    def test_orphans_are_reaped(self):
        # The middle shell ends at once; its child, now the sidecar's, ends later and must not stay as a zombie.
        script = "sh -c 'sleep 0.1 & echo $!'; exec sleep 1000"
        sidecar = self.sidecar(command=["sh", "-c", script])
        orphan = int(wait_until(sidecar.out, "orphan's pid"))
        wait_until(lambda: not os.path.exists(f"/proc/{orphan}"), "the orphan is reaped")

    def test_workers_of_a_dead_master_go_too(self):
        sidecar = self.sidecar(command=["sh", "-c", "sleep 1000 & echo $!; kill -9 $$"])
        self.assertEqual(sidecar.wait(), 137)
        worker = int(sidecar.out())
        wait_until(lambda: not alive(worker), "the worker ended")


class Pid1(Case):
    def in_pid_namespace(self, *command):
        unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("this user may not make a PID namespace")
        process = subprocess.Popen([*unshare, os.environ["RINGWAY_SIDECAR"], "--", *command],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        return process

    def test_exit_status_and_parenthood(self):
        process = self.in_pid_namespace("sh", "-c", "echo $PPID; exit 5")
        self.assertEqual(process.stdout.readline(), "1\n")
        self.assertEqual(process.wait(timeout=30), 5)

    def test_orphans_leave_no_zombie_and_term_stops(self):
        script = ("for i in 1 2 3 4 5 6 7 8; do sh -c 'sleep 0.05 & :'; done; "
                  "while ps -e -o comm= | grep -q sleep; do :; done; echo none left; exec sleep 1000")
        process = self.in_pid_namespace("sh", "-c", script)
        self.assertEqual(process.stdout.readline(), "none left\n")
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
            sidecar = int(children.read())
        os.kill(sidecar, signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), 0)


class Signals(Case):
    def test_hup_usr1_usr2_are_forwarded(self):
        script = "for s in HUP USR1 USR2; do trap \"echo got $s\" $s; done; echo ready; while :; do sleep 0.05; done"
        sidecar = self.sidecar(command=["sh", "-c", script])
        sidecar.wait_out("ready")
        for name in ("HUP", "USR1", "USR2"):
            sidecar.send(getattr(signal, "SIG" + name))
            sidecar.wait_out("got " + name)

    def test_stop_signal_can_be_chosen(self):
        sidecar = self.sidecar("--stop-signal", "USR2",
                               command=["sh", "-c", "trap 'echo usr2; exit 0' USR2; echo ready; while :; do sleep 0.05; done"])
        sidecar.wait_out("ready")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertIn("usr2", sidecar.out())

    def test_winch_with_a_terminal_is_a_resize_and_without_one_a_stop(self):
        # A child of ours takes a pseudo terminal as its controlling one and becomes the sidecar.
        master, slave = os.openpty()
        sidecar = subprocess.Popen(
            [os.environ["RINGWAY_SIDECAR"], "--", "sh", "-c",
             "trap 'echo winch' WINCH; echo ready; while :; do sleep 0.05; done"],
            stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
        try:
            self.assertEqual(sidecar.stdout.readline(), b"ready\n")
            sidecar.send_signal(signal.SIGWINCH)
            self.assertEqual(sidecar.stdout.readline(), b"winch\n")
            self.assertIsNone(sidecar.poll())
        finally:
            sidecar.terminate()
            self.assertEqual(sidecar.wait(timeout=30), 0)
            sidecar.stdout.close()
            os.close(master)
            os.close(slave)


class Programs(Case):
    def programs(self, *programs):
        return self.file("programs.json", json.dumps({"programs": list(programs)}))

    def test_a_killed_program_is_started_again(self):
        sidecar = self.sidecar("--programs", self.programs(
            {"name": "a", "command": "sh -c 'echo $$; exec sleep 1000'", "restart": "always", "start_time": "0s"}))
        first = int(wait_until(sidecar.out, "pid").split()[0])
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(sidecar.out().split()) == 2, "a second start")
        self.assertNotEqual(int(sidecar.out().split()[1]), first)

    def test_a_program_that_cannot_be_kept_up_ends_the_sidecar(self):
        sidecar = self.sidecar("--programs", self.programs(
            {"name": "good", "command": "sleep 1000", "essential": True},
            {"name": "bad", "command": "sh -c 'exit 3'", "start_retries": 1}))
        self.assertEqual(sidecar.wait(), 3)
        self.assertEqual(sidecar.err().count("program bad: started"), 2)
        self.assertIn("given up after 1 retries", sidecar.err())

    def test_a_side_program_may_end(self):
        sidecar = self.sidecar("--programs", self.programs(
            {"name": "main", "command": "sleep 1000", "essential": True},
            {"name": "once", "command": "true", "restart": "never", "start_time": "0s"}))
        sidecar.wait_err("program once: exited with status 0")
        self.assertIsNone(sidecar.process.poll())
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)

    def test_start_and_stop_follow_the_priority(self):
        report = "sh -c 'trap \"echo stop $N; exit 0\" TERM; echo start $N; while :; do sleep 0.02; done'"
        sidecar = self.sidecar("--programs", self.programs(
            {"name": "two", "command": report, "environment": {"N": "two"}, "priority": 2, "essential": True},
            {"name": "one", "command": report, "environment": {"N": "one"}, "priority": 1}))
        sidecar.wait_out("start one")
        sidecar.wait_out("start two")
        sidecar.send(signal.SIGTERM)
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(sidecar.out().split("\n")[2:4], ["stop two", "stop one"])
        self.assertLess(sidecar.err().index("program one: started"), sidecar.err().index("program two: started"))

    def test_runs_as_another_user_in_another_directory(self):
        sidecar = self.sidecar("--programs", self.programs(
            {"name": "who", "command": "sh -c 'id -un; pwd'", "user": "www-data", "directory": "/usr",
             "restart": "never", "start_time": "0s"}))
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(sidecar.out(), "www-data\n/usr\n")

    def test_supervisord_conf_warns_of_what_it_does_not_honour(self):
        conf = self.file("supervisord.conf", "[program:x]\ncommand=sh -c 'echo %(program_name)s'\n"
                         "startsecs=0\nnumprocs=3\nautorestart=false\n")
        sidecar = self.sidecar("--supervisord", conf)
        self.assertEqual(sidecar.wait(), 0)
        self.assertEqual(sidecar.out(), "x\n")
        self.assertIn(conf + ":4: [program:x] numprocs is not honoured", sidecar.err())
        self.assertIn("no service is defined", sidecar.err())


if __name__ == "__main__":
    main()
