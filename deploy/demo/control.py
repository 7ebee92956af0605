"""How `scripts/demo scale N` reaches the demo that runs: one line on a unix socket, answered by lines."""
import os
import socket


def socket_path(state_dir):
    return os.path.join(state_dir, "demo.sock")


def listen(state_dir):
    path = socket_path(state_dir)
    if os.path.exists(path):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o600)
    server.listen(4)
    return server


def serve_one(server, timeout, handle):
    """Waits up to `timeout` seconds for a caller; `handle(words)` returns the text of the answer."""
    server.settimeout(timeout)
    try:
        connection, _ = server.accept()
    except TimeoutError:
        return
    with connection:
        connection.settimeout(2)
        try:
            words = connection.recv(200).decode(errors="replace").split()
            connection.sendall(handle(words).encode())
        except OSError:
            pass  # the caller has gone


def ask(state_dir, *words):
    """The answer, or None when no demo runs."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(socket_path(state_dir))
        except OSError:
            return None
        connection.sendall(" ".join(words).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        return answer.decode()
