/* The yardstick of the dataplane bench: a plain L2TP data forwarder, TUN <-> UDP, one packet per system call.
 *
 *   forwarder TUN LOCAL-ADDR PEER-ADDR PORT TUNNEL SESSION PEER-TUNNEL PEER-SESSION
 *
 * The same encapsulation as laclet's (L bit, FF 03, protocol 0021 or 0057), a connected socket, no offloads, no
 * allocation. Compiled with -DBURST=64 it moves up to 64 packets each way per wake-up: what a careful program does.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef BURST
#define BURST 1
#endif

enum { HEADER = 12, ROOM = 65536 };

static void put16(uint8_t *p, unsigned v) { p[0] = v >> 8; p[1] = v; }
static unsigned get16(const uint8_t *p) { return p[0] << 8 | p[1]; }

static int die(const char *what) { perror(what); return 1; }

/* Where the IP packet starts in an L2TP data message of n bytes for us, or 0. */
static int payload(const uint8_t *p, int n, unsigned tunnel, unsigned session)
{
	if (n < 6)
		return 0;
	unsigned flags = get16(p);
	int at = 2;
	if ((flags & 0x800f) != 2)
		return 0;
	if (flags & 0x4000)
		at += 2;
	if (n < at + 4 || get16(p + at) != tunnel || get16(p + at + 2) != session)
		return 0;
	at += 4;
	if (flags & 0x0800)
		at += 4;
	if (flags & 0x0200) {
		if (n < at + 2)
			return 0;
		at += 2 + get16(p + at);
	}
	if (n >= at + 2 && p[at] == 0xff && p[at + 1] == 0x03)
		at += 2;
	if (n < at + 3)
		return 0;
	unsigned protocol = get16(p + at);
	return protocol == 0x0021 || protocol == 0x0057 ? at + 2 : 0;
}

int main(int argc, char **argv)
{
	static uint8_t buf[ROOM + HEADER];
	if (argc != 9) {
		fprintf(stderr, "usage: %s TUN LOCAL PEER PORT TUNNEL SESSION PEER-TUNNEL PEER-SESSION\n", argv[0]);
		return 2;
	}
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	strncpy(ifr.ifr_name, argv[1], IFNAMSIZ - 1);
	int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &ifr) < 0)
		return die("tun");

	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[4])) }, peer = local;
	inet_pton(AF_INET, argv[2], &local.sin_addr);
	inet_pton(AF_INET, argv[3], &peer.sin_addr);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 4 << 20;
	setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(udp, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	if (bind(udp, (void *)&local, sizeof local) < 0 || connect(udp, (void *)&peer, sizeof peer) < 0)
		return die("udp");
	unsigned tunnel = atoi(argv[5]), session = atoi(argv[6]);

	put16(buf, 0x4002);
	put16(buf + 4, atoi(argv[7]));
	put16(buf + 6, atoi(argv[8]));
	put16(buf + 8, 0xff03);
	puts("ready");
	fflush(stdout);

	uint8_t in[ROOM];
	struct pollfd fds[2] = { { .fd = tun, .events = POLLIN }, { .fd = udp, .events = POLLIN } };
	while (poll(fds, 2, -1) >= 0) {
		if (fds[0].revents & POLLERR)
			return 1;
		for (int i = 0; fds[0].revents && i < BURST; i++) {
			int n = read(tun, buf + HEADER, ROOM);
			if (n <= 0)
				break;
			put16(buf + 2, n + HEADER);
			put16(buf + 10, buf[HEADER] >> 4 == 6 ? 0x0057 : 0x0021);
			if (write(udp, buf, n + HEADER) < 0)
				continue; /* as any router: what does not fit is lost */
		}
		for (int i = 0; fds[1].revents && i < BURST; i++) {
			int n = read(udp, in, ROOM), at;
			if (n < 0)
				break;
			if ((at = payload(in, n, tunnel, session)) && write(tun, in + at, n - at) < 0)
				continue;
		}
	}
	return die("poll");
}
