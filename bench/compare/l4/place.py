"""Where one contender of a layer-4 row runs: a network and endpoints of its own, all on one CPU."""
import os
from dataclasses import replace

from l4.measure import OneCpu
from l4.network import ENDPOINTS, PORT, Network
from namespace import sysctl
from processes import Process


def place_for(row, contender, place, started):
    """`started` gets what has to be stopped, in the order in which it began."""
    network = Network(" ".join(sysctl("net/ipv4/tcp_congestion_control")), contender.xdp_ready)
    started.append(network)
    cpus = OneCpu(place.cpus.usable)
    os.sched_setaffinity(0, cpus.others)
    listen = [word for address in ENDPOINTS for word in ("--listen", f"{address}:{PORT}")]
    origin = Process([os.path.join(place.bin, "ringway-bench-origin"), *listen, *row.tcp], cpus.origin,
                     os.path.join(place.work, f"origin-{contender.name}.output"), netns=network.endpoints)
    started.append(origin)
    origin.wait_for(PORT, ENDPOINTS[-1], row.settings.protocol, space=network.client)
    return replace(place, net=network, cpus=cpus, origin=origin)
