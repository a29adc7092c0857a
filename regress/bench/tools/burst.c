/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What sending alone costs: as many frames as routers have adverts, of their
 * size, in one call every so many milliseconds.
 * usage: burst INTERFACE FRAMES MS
 */
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAMES_MAX = 1024, FRAME = 14 + 20 + 12 };

int
main(int argc, char **argv)
{
	static struct mmsghdr m[FRAMES_MAX];
	static uint8_t frame[FRAME] = {0x01, 0x00, 0x5e, 0, 0, 0x12, 2, 0, 0, 0,
	    1, 0xff, 8, 0, 0x45, 0xc0, 0, 32, [22] = 255, 112};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	struct iovec iov = {frame, sizeof(frame)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), size = 8 << 20;
	struct timespec at;
	unsigned i, n;
	long ms;

	n = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
	ms = argc == 4 ? atol(argv[3]) : 0;
	if (n == 0 || n > FRAMES_MAX || ms <= 0 || fd < 0) {
		fprintf(stderr, "usage: burst INTERFACE FRAMES MS\n");
		return 2;
	}
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	memcpy(&to.sll_protocol, frame + 12, 2);
	memcpy(to.sll_addr, frame, 6);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	for (i = 0; i < n; i++)
		m[i].msg_hdr = (struct msghdr){.msg_name = &to,
		    .msg_namelen = sizeof(to),
		    .msg_iov = &iov,
		    .msg_iovlen = 1};
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (;;) {
		at.tv_nsec += ms * 1000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		if (sendmmsg(fd, m, n, MSG_DONTWAIT) < 0) {
			perror("burst");
			return 1;
		}
	}
}
