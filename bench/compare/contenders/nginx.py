"""nginx with kept-alive upstreams. It has no active health checks; it writes its access log to a file, buffered."""
import os
import re
import subprocess
import time

from contenders.base import Contender

TEXT = """daemon off;
user root;
worker_processes {workers};
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
{load_module}
events {{ worker_connections {connections}; multi_accept on; }}
{body}"""

HTTP = """http {{
  access_log {log};
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream back {{
{servers}
    keepalive 4000;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen}:{port} backlog=65535{reuseport};
    location / {{
      proxy_pass http://back;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }}
  }}
  server {{ listen 127.0.0.1:{stats_port}; location / {{ stub_status; }} }}
}}
"""

STREAM = """stream {{
  upstream back {{
{servers}
  }}
  server {{
    listen {listen}:{port}{kind};
    proxy_timeout 300s;
    proxy_pass back;
  }}
}}
"""
STREAM_MODULE = "usr/lib/nginx/modules/ngx_stream_module.so"


class Nginx(Contender):
    name, label, uses_chroot = "nginx", "nginx", True

    @classmethod
    def missing(cls, place, settings):
        if settings.protocol != "http" and not os.path.exists(os.path.join(place.chroot or "/", STREAM_MODULE)):
            return "its stream module is not installed (libnginx-mod-stream)"
        return ""

    @classmethod
    def version(cls, place):
        command = (["chroot", place.chroot] if place.chroot else []) + ["nginx", "-v"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        return re.search(r"nginx/(\S+)", text).group(1)

    def config(self):
        s = self.settings
        values = {
            "folder": self.seen, "port": self.port, "stats_port": self.stats_port, "listen": s.listen,
            "log": f"{self.seen}/access.log combined buffer=64k flush=1s" if s.log else "off",
            "reuseport": (" reuseport" if s.workers > 1 else "") + (" deferred" if s.defer_accept else ""),
            "servers": "\n".join(f"    server {address}:{port};" for address, port in s.addresses()),
        }
        stream = s.protocol != "http"
        values["kind"] = " udp reuseport" if s.protocol == "udp" else " backlog=65535" + values["reuseport"]
        return {"nginx.conf": TEXT.format(
            workers=s.workers, files=self.place.open_files, connections=min(60000, self.place.open_files - 100), folder=self.seen,
            load_module=f"load_module /{STREAM_MODULE};" if stream else "", body=(STREAM if stream else HTTP).format(**values))}

    def command(self):
        return ["nginx", "-c", os.path.join(self.seen, "nginx.conf"), "-e", os.path.join(self.seen, "error.log")]

    def sort_processes(self):
        until = time.monotonic() + 5
        while len(self.children()) < self.settings.workers and time.monotonic() < until:
            time.sleep(0.02)
        self.proxies, self.aside = self.children(), [self.process.pid]
