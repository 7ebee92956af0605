"""HAProxy: its defaults, and settings that are known to pay for a row (`tuning`)."""
import os
import re
import subprocess

from contenders.base import Contender

TUNINGS = {
    "reuse": "http-reuse always",
    "buffers": "tune.bufsize 131072",
    "splice": "option splice-auto",
}

TEXT = """global
  maxconn 15000
  no strict-limits
  nbthread {workers}
{global_lines}
defaults
  mode {protocol}
  timeout connect 5s
  timeout client 300s
  timeout server 300s
{default_lines}
listen stats
  mode http
  bind 127.0.0.1:{stats_port}
  stats enable
  stats uri /haproxy_stats

frontend front
  bind {listen}:{port} backlog 65535{defer}
{front_lines}
  default_backend back

backend back
  balance roundrobin
{servers}
"""

FORWARDED = ["option forwardfor", "http-request set-header X-Forwarded-Port %[dst_port]",
             "http-request set-header X-Forwarded-Proto http"]


def indent(lines):
    return "\n".join("  " + line for line in lines)


class HAProxy(Contender):
    name, label, uses_chroot = "haproxy", "HAProxy", True

    @classmethod
    def missing(cls, place, settings):
        return "relays no UDP" if settings.protocol == "udp" else ""

    @classmethod
    def version(cls, place):
        command = (["chroot", place.chroot] if place.chroot else []) + ["haproxy", "-v"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return re.search(r"version (\S+)", text).group(1)

    def config(self):
        s = self.settings
        http = s.protocol == "http"
        global_lines = [TUNINGS["buffers"]] if "buffers" in s.tuning else []
        default_lines = ["option splice-auto"] if "splice" in s.tuning else []
        if http:
            default_lines += ["timeout http-keep-alive 300s"] + (["http-reuse always"] if "reuse" in s.tuning else [])
        if s.log:
            global_lines.append("log stdout format raw local0")
            default_lines += ["log global", "option httplog"]
        servers = [f"server s{n} {address}:{port} check inter {s.check_interval}s"
                   for n, (address, port) in enumerate(s.addresses(), 1)]
        return {"haproxy.cfg": TEXT.format(
            workers=s.workers, protocol=s.protocol, global_lines=indent(global_lines), default_lines=indent(default_lines), stats_port=self.stats_port, port=self.port, listen=s.listen,
            defer=" defer-accept" if s.defer_accept else "",
            front_lines=indent(FORWARDED if http else []), servers=indent(servers))}

    def command(self):
        return ["haproxy", "-db", "-f", os.path.join(self.seen, "haproxy.cfg")]
