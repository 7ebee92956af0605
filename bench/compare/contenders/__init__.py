"""The balancers that are compared; each file holds one, with the config it gets."""
from contenders.haproxy import HAProxy
from contenders.layer4 import Connect, Direct, DirectXdp, Dnat, PacketTc, PacketTransparent, PacketXdp
from contenders.nginx import Nginx
from contenders.null_proxy import NullProxy
from contenders.ringway import Ringway

ALL = {c.name: c for c in (NullProxy, Ringway, HAProxy, Nginx, Direct, DirectXdp, PacketTc, PacketTransparent, PacketXdp, Connect,
                            Dnat)}
