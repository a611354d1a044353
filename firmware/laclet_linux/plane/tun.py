"""TUN interfaces with as many offloads as the kernel offers: virtio header, checksums, TCP and UDP segmentation."""

import contextlib
import errno
import fcntl
import os
import socket
import struct

from ..netlink import Netlink

_DEVICE = "/dev/net/tun"
# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_TUN_F_CSUM = 0x01
_TUN_F_TSO = 0x02 | 0x04  # TSO4 and TSO6; not TSO_ECN: the kernel cuts packets with CWR for us
_TUN_F_USO = 0x20 | 0x40  # USO4 and USO6, since Linux 6.2

# struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, in the host's byte order.
VNET = struct.Struct("=BBHHHH")
NEEDS_CSUM = 1
GSO_NONE = 0
GSO_TCP4 = 1
GSO_TCP6 = 4
GSO_UDP = 5  # VIRTIO_NET_HDR_GSO_UDP_L4: equal datagrams, not IP fragments

# linux/rtnetlink.h, linux/if_link.h
_RTM_NEWLINK = 16
_IFLA_GSO_MAX_SEGS = 40
_IFLA_GSO_MAX_SIZE = 41
# Of one UDP_SEGMENT send: datagrams in every kernel that has it, and bytes over IPv6 with extension headers.
MAX_SEGMENTS = 64
MAX_SEND = 65_000


class Tun:
    """An open TUN interface: ``fd`` (non-blocking), ``name``, ``vnet`` (packets carry a virtio header),
    ``tso`` and ``uso`` (TCP and UDP super-packets may be written and will be read)."""

    def __init__(self, fd, name, vnet, tso, uso):
        self.fd = fd
        self.name = name
        self.vnet = vnet
        self.tso = tso
        self.uso = uso

    def fileno(self):
        """The descriptor, for pollers."""
        return self.fd

    def offload(self, on):
        """Let packets carry work left to do (``vnet`` only), as much as the kernel offers; or none."""
        self.tso = self.uso = False
        if not self.vnet:
            return
        for tso, uso in ((True, True), (True, False), (False, False)) if on else ():
            with contextlib.suppress(OSError):
                flags = (_TUN_F_CSUM | _TUN_F_TSO if tso else 0) | (_TUN_F_USO if uso else 0)
                fcntl.ioctl(self.fd, _TUNSETOFFLOAD, flags)
                self.tso = tso
                self.uso = uso
                return
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.fd, _TUNSETOFFLOAD, 0)

    def close(self):
        """Close the descriptor; an interface that is not persistent goes with it."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def open_tun(name="", offload=True):
    """Make or attach to the TUN interface ``name`` (``%d`` is counted up by the kernel) and switch its offloads on.

    Raises OSError when there is no /dev/net/tun, no permission, or the name is taken by something else.
    """
    flags = _IFF_TUN | _IFF_NO_PI
    # A persistent interface made without a virtio header refuses one; so do kernels that have none.
    for vnet in (_IFF_VNET_HDR, 0) if offload else (0,):
        try:
            fd, made = _attach(name, flags | vnet)
        except OSError:
            if not vnet:
                raise
            continue
        tun = Tun(fd, made, bool(vnet), False, False)
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, _TUNSETOFFLOAD, 0)  # a persistent interface keeps what it was last told
        tun.offload(True)
        return tun
    raise AssertionError


def _attach(name, flags):
    try:
        fd = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(error, _DEVICE, "modprobe tun, or mknod /dev/net/tun c 10 200") from None
    try:
        reply = fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError as error:
        os.close(fd)
        mend = "an interface of this name is in use: choose another ifname, or remove it"
        raise _explained(error, name.replace("%d", ""), mend) from None
    return fd, reply[:16].split(b"\0")[0].decode()


def _explained(error, what, mend):
    """The same with the way out of it."""
    if error.errno in (errno.EPERM, errno.EACCES):
        mend = "run it as root, or with CAP_NET_ADMIN"
    return OSError(error.errno, f"{what}: {error.strerror} ({mend})")


def limit_gso(name, mtu):
    """Have the kernel make super-packets that fit one UDP_SEGMENT send each, for this ``mtu``; False: it would not.

    For a host: a router's larger ones, which come joined from elsewhere, would be cut up by the kernel instead.
    """
    segments = min(MAX_SEGMENTS, MAX_SEND // (mtu + 16))
    attributes = ((_IFLA_GSO_MAX_SEGS, struct.pack("=I", segments)),)
    attributes += ((_IFLA_GSO_MAX_SIZE, struct.pack("=I", segments * (mtu - 40))),)
    netlink = Netlink()
    try:
        netlink.call(_RTM_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(name), 0, 0), attributes)
    except OSError:
        return False
    finally:
        netlink.close()
    return True
