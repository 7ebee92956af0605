"""The limit of userspace: bytes relayed both ways on io_uring, nothing parsed, counted, checked or logged."""
import os

from contenders.base import Contender


class NullProxy(Contender):
    name, label = "null", "null proxy"

    @classmethod
    def missing(cls, place, settings):
        if settings.endpoints > 1 or settings.log or settings.defer_accept or settings.workers > 1:
            return "relays to one endpoint, on one thread, without a log or deferred accepts"
        return ""

    @classmethod
    def files_wanted(cls, _settings, active, idle):
        return 2 * (active + idle) + 200

    @classmethod
    def version(cls, _place):
        return "of this commit"

    def command(self):
        address, port = self.settings.addresses()[0]
        return [os.path.join(self.place.bin, "ringway-null-proxy"), "--listen", f"127.0.0.1:{self.port}",
                "--to", f"{address}:{port}"]
