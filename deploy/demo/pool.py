"""The web instances of scripts/demo: as many as were asked for, newest stopped first."""
import socket

import ringway_client as rw
from instance import Instance

FIRST_PORT = 8101
START_SECONDS = 30
STOP_SECONDS = 60


class Pool:
    def __init__(self, state_dir, balancer):
        self.state_dir = state_dir
        self.balancer = balancer
        self.catalog = rw.Catalog(balancer.catalog_url)
        self.instances = []
        self.started = 0  # names are never used twice

    def names(self):
        return [instance.name for instance in self.instances]

    def scale(self, count):
        """Starts or stops instances until there are `count`; returns when the last one answers, or has gone."""
        while len(self.instances) < count:
            self._start_one()
        leaving = self.instances[count:]
        for instance in leaving:
            instance.ask_to_stop()
        for instance in leaving:
            status = instance.wait_stopped(STOP_SECONDS)
            self.instances.remove(instance)
            if status != 0:
                what = "had to be killed" if status is None else f"ended with {status}"
                raise rw.GaveUp(f"{instance.name} {what}:\n{instance.last_words()}")
        rw.wait_until(self._registered, START_SECONDS, f"{count} instances passing in the catalog")

    def wait_serving(self, timeout=START_SECONDS):
        """Until every instance has answered a request that came through the balancer."""
        missing = set(self.names())

        def all_seen():
            status, headers, _ = rw.get(self.balancer.http_url + "/")
            if status == 200:
                missing.discard(headers.get("X-Served-By"))
            return not missing

        if missing:
            rw.wait_until(all_seen, timeout, "an answer of every instance", interval=0.01)

    def stop_all(self):
        """Never raises: the demo is ending."""
        for instance in self.instances:
            instance.ask_to_stop()
        for instance in self.instances:
            instance.wait_stopped(STOP_SECONDS)
        self.instances.clear()

    def dead(self):
        return [instance for instance in self.instances if not instance.alive()]

    def _start_one(self):
        self.started += 1
        port = self._free_port()
        instance = Instance(self.started, self.state_dir, port, self.balancer.catalog_url)
        self.instances.append(instance)  # before it starts: whatever interrupts, stop_all() knows it
        instance.start()

    def _free_port(self):
        taken = {instance.port for instance in self.instances}
        for port in range(FIRST_PORT, FIRST_PORT + 900):
            if port not in taken and port_is_free(port):
                return port
        raise rw.GaveUp("no free port from 8101 to 9000")

    def _registered(self):
        for instance in self.dead():
            raise rw.GaveUp(f"{instance.name} has ended:\n{instance.last_words()}")
        ports = {i["port"] for i in self.catalog.instances(passing=True)}
        return ports == {instance.port for instance in self.instances}


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
