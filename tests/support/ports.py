"""Ports for what a test starts."""
import random
import socket


given = set()


def free_port(address="127.0.0.1"):
    """Nobody listens on it, and no two calls get the same. Below the range that the kernel gives to connections, which would take it
    between this look and the bind."""
    while True:
        port = random.randrange(11000, 32000)
        if port in given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        given.add(port)
        return port
