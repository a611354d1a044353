"""The agent's own traffic: a TCP transfer both ways, and ICMP echo. Standard library only."""

import hashlib
import os
import random
import socket
import struct
import time

BLOCK = 65536


def send(connection, count, seed):
    """Send `count` bytes grown from `seed`; the hash of them."""
    source, digest = random.Random(seed), hashlib.sha256()
    while count:
        block = source.randbytes(min(count, BLOCK))
        digest.update(block)
        connection.sendall(block)
        count -= len(block)
    connection.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def receive(connection):
    """Receive to the end; (bytes, their hash)."""
    digest, count = hashlib.sha256(), 0
    while block := connection.recv(BLOCK):
        digest.update(block)
        count += len(block)
    return count, digest.hexdigest()


def listen(address, port):
    """A socket that waits for the other side's connection."""
    return socket.create_server((address, port), backlog=1)


def serve(listener, seconds):
    """Take one connection: hash the stream that comes, send as long another one back."""
    with listener:
        listener.settimeout(seconds)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(seconds)
            count, received = receive(connection)
            sent = send(connection, count, "back")
    return {"bytes": count, "received": received, "sent": sent}


def exchange(source, address, port, count, seconds):
    """The other side: send `count` bytes from the address `source`, then hash what comes back."""
    with socket.create_connection((address, port), 10, source_address=(source, 0)) as connection:
        connection.settimeout(seconds)
        begin = time.monotonic()
        sent = send(connection, count, "there")
        # The first byte back says that all of ours has arrived.
        connection.recv(1, socket.MSG_PEEK)
        half = time.monotonic()
        back, received = receive(connection)
        end = time.monotonic()
    return {"bytes": back, "sent": sent, "received": received, "out_s": half - begin, "in_s": end - half}


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ping(source, address, count, size):
    """Send an echo request, the next one as soon as it is answered, or 1 s late; round-trip times in ms."""
    times, payload = [], bytes(range(256)) * 6
    payload = payload[: size & ~1]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.bind((source, 0))
        for sequence in range(count):
            head = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, sequence)
            head = head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:]
            begin = time.monotonic()
            raw.sendto(head + payload, (address, 0))
            while (left := begin + 1 - time.monotonic()) > 0:
                raw.settimeout(left)
                try:
                    packet, (sender, _) = raw.recvfrom(2048)
                except TimeoutError:
                    break
                body = packet[(packet[0] & 15) * 4 :]
                if sender == address and body[0] == 0 and body[4:] == head[4:] + payload:
                    times.append(round((time.monotonic() - begin) * 1000, 3))
                    break
    return {"sent": count, "answered": len(times), "ms": times}
