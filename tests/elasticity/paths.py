"""Where the parts are; adds tests/support to the module path."""
import glob
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HTML = os.path.join(ROOT, "deploy", "web", "html")
APACHE_MODULES = "/usr/lib/apache2/modules"

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import ringway_client as rw  # noqa: E402


def program(name):
    return rw.program_path(name)


def apache():
    return shutil.which("apache2", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin") or ""


def php_module():
    found = sorted(glob.glob(os.path.join(APACHE_MODULES, "libphp*.so")))
    return found[-1] if found else ""
