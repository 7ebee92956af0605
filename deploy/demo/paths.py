"""Where the demo's parts are."""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HTML_SOURCE = os.path.join(ROOT, "deploy", "web", "html")
BIN = os.environ.get("RINGWAY_BIN") or os.path.join(ROOT, "build", "release", "bin")
APACHE_MODULES = "/usr/lib/apache2/modules"
STATE = os.path.join(os.environ.get("TMPDIR", "/tmp"), "ringway-demo")
HTML = os.path.join(STATE, "html")

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))  # ringway_client


def program(name):
    return os.path.join(BIN, name)


def apache():
    """Debian keeps it in /usr/sbin, which an ordinary user's PATH may lack."""
    return shutil.which("apache2", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin") or ""
