"""What runs behind the balancer: in each endpoint's namespace an Apache with PHP, a redis and a dnsmasq, as Debian has them. All of
them say which endpoint they are. What is started here is ended here, by its pid."""
import glob
import os
import shutil
import signal
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# One TXT record set of 3,600 bytes: more than a packet, less than what a resolver takes over UDP when asked to.
BIG_ANSWER = [f"{i:02d}-" + "x" * 77 for i in range(40)]
# Also when nobody is left to end it.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")
PROGRAMS = ("apache2", "redis-server", "redis-cli", "redis-benchmark", "dnsmasq", "dig", "curl")


def missing():
    """The programs that this machine lacks; scripts/install-deps test brings them."""
    return [name for name in PROGRAMS if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]


class Endpoint:
    def __init__(self, space, name, addresses, folder):
        self.space, self.name, self.addresses = space, name, addresses
        self.folder = os.path.join(folder, name)
        os.makedirs(os.path.join(self.folder, "tmp"))
        os.chmod(self.folder, 0o755)
        os.chmod(os.path.join(self.folder, "tmp"), 0o1777)
        self.processes = []

    def start(self):
        self._run("/usr/sbin/apache2", "-DFOREGROUND", "-f", self._apache_config())
        self._run("redis-server", "--bind", *self.addresses, "--port", "6379", "--save", "", "--protected-mode", "no", "--dir", self.folder)
        self._run("/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file",
                  "--bind-interfaces", "--edns-packet-max=4096", *[f"--listen-address={address}" for address in self.addresses],
                  f"--txt-record=whoami.test,{self.name}", *[f"--txt-record=big.test,{text}" for text in BIG_ANSWER])

    def _run(self, *command):
        with open(os.path.join(self.folder, os.path.basename(command[0]) + ".log"), "ab") as log:
            self.processes.append(subprocess.Popen([*ENDS_WITH_US, "ip", "netns", "exec", self.space.name, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                   env=dict(os.environ, TMPDIR=os.path.join(self.folder, "tmp")), start_new_session=True))

    def _apache_config(self):
        with open(os.path.join(ROOT, "deploy", "demo", "apache.conf.in")) as template:
            text = template.read()
        filled = {"DIR": self.folder, "NAME": self.name, "ADDRESS": self.addresses[0], "PORT": "80", "USER": "User www-data\nGroup www-data",
                  "MODULES": "/usr/lib/apache2/modules", "PHP_MODULE": glob.glob("/usr/lib/apache2/modules/libphp*.so")[0],
                  "HTML": os.path.join(ROOT, "deploy", "web", "html")}
        for key, value in filled.items():
            text = text.replace(f"@{key}@", value)
        path = os.path.join(self.folder, "apache.conf")
        with open(path, "w") as file:
            file.write(text + "".join(f"Listen [{address}]:80\n" for address in self.addresses if ":" in address))
        return path

    def power_off(self):
        """As when a host dies: the cable first, so that nobody hears a word of it."""
        self.space.ip("link", "set", "eth0", "down")
        self.close()

    def power_on(self, gateway, gateway6):
        self.space.ip("link", "set", "eth0", "up")
        self.join(gateway, gateway6)
        self.start()

    def join(self, gateway, gateway6):
        """An interface that was down has lost its routes and its IPv6 address."""
        self.space.ip("addr", "replace", f"{self.addresses[1]}/64", "dev", "eth0", "nodad")
        self.space.ip("route", "replace", "default", "via", gateway)
        self.space.ip("-6", "route", "replace", "default", "via", gateway6)

    def close(self):
        """Each program is the leader of a group: Apache has children."""
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self.processes.clear()

    def words(self):
        told = []
        for path in glob.glob(os.path.join(self.folder, "*.log")):
            with open(path, errors="replace") as file:
                told.append(f"{self.name} {os.path.basename(path)}: {file.read()[-300:]}")
        return "\n".join(told)

