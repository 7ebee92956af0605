"""The balancers that are compared; each file holds one, with the config it gets."""
from contenders.haproxy import HAProxy
from contenders.nginx import Nginx
from contenders.null_proxy import NullProxy
from contenders.ringway import Ringway
from l4.contenders import Connect, Direct, DirectXdp, Dnat, PacketTc, PacketTransparent, PacketXdp

ALL = {c.name: c for c in (NullProxy, Ringway, HAProxy, Nginx, Direct, DirectXdp, PacketTc, PacketTransparent, PacketXdp, Connect,
                            Dnat)}
