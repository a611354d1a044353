"""Joins a kernel's X.25 to XOT (RFC 1613): a TUN whose link type is X.25 on one side, TCP on the other.

    x25tun.py listen PORT ROUTE              calls that come by TCP go to the kernel
    x25tun.py connect HOST PORT ROUTE        the kernel's calls to numbers that begin with ROUTE go to HOST

One virtual circuit at a time. The kernel's restarts end here, for a circuit of XOT has none. Standard library only.
"""

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, TUNSETLINK, SIOCADDRT = 0x400454CA, 0x400454CD, 0x890B
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_TUN, IFF_UP = 1, 1
ARPHRD_X25 = 271
AF_X25 = 9
PACKET_INFORMATION = b"\0\0\x08\x05"
DATA, CONNECT, DISCONNECT = b"\0", b"\1", b"\2"  # the octet before each packet
CALL, CLEAR, CLEAR_CONFIRMATION, RESTART, RESTART_CONFIRMATION = 0x0B, 0x13, 0x17, 0xFB, 0xFF


def kernel_side(route):
    """A TUN that the kernel's X.25 uses for numbers that begin with `route`."""
    tun = os.open("/dev/net/tun", os.O_RDWR)
    name = fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"x25tun%d", IFF_TUN))[:16]
    fcntl.ioctl(tun, TUNSETLINK, ARPHRD_X25)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = struct.unpack_from("16sH", fcntl.ioctl(control, SIOCGIFFLAGS, name + bytes(24)))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | IFF_UP))
    with socket.socket(AF_X25, socket.SOCK_SEQPACKET, 0) as x25:
        fcntl.ioctl(x25, SIOCADDRT, struct.pack("16sI200s", route.encode(), len(route), name.rstrip(b"\0")))
    return tun


class Bridge:
    """`line`: makes the TCP connection when the kernel calls."""

    def __init__(self, tun, line):
        self.tun = tun
        self.line = line
        self.tcp = None
        self.held = b""  # of the TCP stream
        self.circuit = None  # the first two octets of its packets, until it is cleared

    def put(self, kind, packet=b""):
        os.write(self.tun, PACKET_INFORMATION + kind + packet)

    def pass_on(self, packet):
        if packet[2] == CALL:
            self.circuit = packet[:2]
        elif packet[2] == CLEAR_CONFIRMATION:
            self.circuit = None

    def from_kernel(self):
        frame = os.read(self.tun, 65536)[4:]
        kind, packet = frame[:1], frame[1:]
        if kind != DATA:
            if kind == CONNECT:
                self.put(CONNECT)
        elif packet[2] == RESTART:
            self.put(DATA, packet[:2] + bytes([RESTART_CONFIRMATION]))
        elif packet[2] == CALL:
            if self.tcp is not None:
                self.tcp.close()
            self.tcp, self.held = self.line(), b""
            self.forward(packet)
        elif packet[2] != RESTART_CONFIRMATION and self.tcp is not None:
            self.forward(packet)

    def forward(self, packet):
        print("from kernel", packet.hex(), flush=True)
        self.pass_on(packet)
        with contextlib.suppress(ConnectionError):  # its end is read
            self.tcp.sendall(struct.pack("!HH", 0, len(packet)) + packet)

    def from_tcp(self):
        try:
            data = self.tcp.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            print("closed", flush=True)
            self.tcp = None
            if self.circuit is not None:
                self.put(DATA, self.circuit + bytes([CLEAR, 9, 0]))  # out of order
                self.circuit = None
            return
        self.held += data
        while len(self.held) >= 4 and len(self.held) >= 4 + struct.unpack("!HH", self.held[:4])[1]:
            size = struct.unpack("!HH", self.held[:4])[1]
            packet, self.held = self.held[4 : 4 + size], self.held[4 + size :]
            print("to kernel", packet.hex(), flush=True)
            self.pass_on(packet)
            self.put(DATA, packet)


def main(how, *words):
    server = None
    if how == "listen":
        server = socket.create_server(("", int(words[0])))
    bridge = Bridge(kernel_side(words[-1]), lambda: socket.create_connection((words[0], int(words[1]))))
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([each for each in (bridge.tun, bridge.tcp, server) if each is not None], [], [])
        if server in ready:
            bridge.tcp, bridge.held = server.accept()[0], b""
        elif bridge.tcp in ready:
            bridge.from_tcp()
        if bridge.tun in ready:
            bridge.from_kernel()


if __name__ == "__main__":
    main(*sys.argv[1:])
