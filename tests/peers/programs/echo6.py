"""Ping a link-local address: echo6.py INTERFACE ADDRESS COUNT. Ends 0 when every request was answered."""

import socket
import struct
import sys

ECHO_REQUEST, ECHO_REPLY = 128, 129
PATIENCE = 5.0  # s for an answer


def main(interface, address, count):
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.settimeout(PATIENCE)
        raw.connect((address, 0, 0, socket.if_nametoindex(interface)))
        for sequence in range(count):
            request = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, 0x1AC1, sequence) + bytes(range(200))
            raw.send(request)  # the kernel adds the checksum
            while True:
                reply = raw.recv(2000)
                if reply[0] == ECHO_REPLY and reply[4:] == request[4:]:
                    break
    print(count)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
