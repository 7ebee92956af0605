"""Newer releases of HAProxy and nginx than this system has: a small Debian in a cache folder, run by chroot.

Made once by debootstrap from the mirror that apt uses here (or --mirror) and reused; removing the folder is all it takes to have it
made anew. It is not an isolation: only a place for newer libraries.
"""
import os
import shutil
import subprocess
import time

PACKAGES = "haproxy,nginx,libnginx-mod-stream"
OLD_DAYS = 30


class Missing(Exception):
    """What is missing, and what to do about it."""


def debian_mirror():
    """The mirror of Debian's main archive among apt's sources, or None."""
    out = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)|$(ORIGIN)|$(COMPONENT)", "Created-By: Packages"],
                         capture_output=True, text=True, check=False).stdout
    for line in out.splitlines():
        uri, _, rest = line.partition(" ")
        if rest.startswith("Debian|Debian|main"):
            return uri.rstrip("/")
    return None


def usable(folder):
    return all(os.path.exists(os.path.join(folder, "usr/sbin", name)) for name in ("haproxy", "nginx"))


def make(folder, suite, mirror, say):
    if os.geteuid() != 0:
        raise Missing(f"HAProxy and nginx of Debian {suite} are not in {folder} yet: run once as root, or with --chroot-suite none")
    if not shutil.which("debootstrap"):
        raise Missing("debootstrap is not installed (scripts/install-deps bench); or use --chroot-suite none for this system's releases")
    mirror = mirror or debian_mirror()
    if not mirror:
        raise Missing("apt here knows no mirror of Debian: name one with --mirror URL, or use --chroot-suite none")
    part = folder + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    say(f"fetching HAProxy and nginx of Debian {suite} into {folder} (once, about half a minute, 300 MB)")
    log = folder + ".log"
    try:
        with open(log, "wb") as out:
            done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, part, mirror], check=False,
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if done.returncode != 0 or not usable(part):
            raise Missing(f"debootstrap of {suite} failed, see {log}; --chroot-suite none uses this system's releases")
        os.rename(part, folder)
        os.unlink(log)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def provide(suite, cache, mirror, say):
    """The folder to chroot into, or None for this system's own programs. Raises Missing."""
    if suite != "none":
        folder = os.path.join(cache, suite)
        if not usable(folder):
            make(folder, suite, mirror, say)
        elif time.time() - os.stat(folder).st_ctime > OLD_DAYS * 86400:
            say(f"{folder} is older than {OLD_DAYS} days: remove it to have the newest releases fetched")
        return folder
    return None
