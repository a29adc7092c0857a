/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * askers -i IFACE [-n CLIENTS] [-r ROUNDS] [-w MS] [-b] TARGET FIRST
 *
 * Many clients, FIRST and the addresses after it, ask by ARP who has TARGET,
 * once each in every round of MS milliseconds.  Afterwards, behind a first
 * line "asking", one line of JSON:
 * how many answers each machine gave (by the last byte of its address on the
 * wire), how many questions nobody answered, how many two answered, and whether
 * the answers named a group.  With -b, until SIGTERM comes.
 */
#include <arpa/inet.h>
#include <err.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 200 };

static uint8_t mac[6];
static uint32_t target, first;
static unsigned clients = 100;
static int sock;
/* By client, of this round: who answered last, and how many have. */
static struct answer {
	uint8_t by;
	unsigned n;
} answers[CLIENTS_MAX];
static unsigned long by[256], unanswered, twice, other_mac, round_no;
static unsigned worst;
static volatile sig_atomic_t ended;

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
open_socket(const char *ifname)
{
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
	struct ifreq ifr = {0};
	int size = 4 * 1024 * 1024;

	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ARP));
	if (sock < 0)
		err(1, "packet socket");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(sock, SIOCGIFHWADDR, &ifr) < 0)
		err(1, "%s", ifname);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	to.sll_ifindex = (int)if_nametoindex(ifname);
	if (bind(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "%s", ifname);
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

static void
ask(unsigned i)
{
	struct {
		struct ether_header eth;
		struct ether_arp arp;
	} f = {.eth = {.ether_type = htons(ETH_P_ARP)},
	    .arp = {.ea_hdr = {htons(ARPHRD_ETHER), htons(ETH_P_IP), 6, 4,
			htons(ARPOP_REQUEST)}}};
	uint32_t spa = htonl(first + i), tpa = htonl(target);

	memset(f.eth.ether_dhost, 0xff, 6);
	memcpy(f.eth.ether_shost, mac, 6);
	memcpy(f.arp.arp_sha, mac, 6);
	memcpy(f.arp.arp_spa, &spa, 4);
	memcpy(f.arp.arp_tpa, &tpa, 4);
	if (send(sock, &f, sizeof(f), 0) != sizeof(f))
		warn("send");
}

static void
hear(void)
{
	struct {
		struct ether_header eth;
		struct ether_arp arp;
		uint8_t rest[64];
	} f;
	uint32_t spa, tpa;
	unsigned i;

	if (recv(sock, &f, sizeof(f), 0) <
		(ssize_t)(sizeof(f.eth) + sizeof(f.arp)) ||
	    f.arp.ea_hdr.ar_op != htons(ARPOP_REPLY) ||
	    memcmp(f.eth.ether_dhost, mac, 6) != 0)
		return;
	memcpy(&spa, f.arp.arp_spa, 4);
	memcpy(&tpa, f.arp.arp_tpa, 4);
	i = ntohl(tpa) - first;
	if (ntohl(spa) != target || i >= clients)
		return;
	if ((f.arp.arp_sha[0] & 1) == 0)
		other_mac++;
	if (answers[i].n++ > 0 && answers[i].by != f.eth.ether_shost[5])
		twice++;
	answers[i].by = f.eth.ether_shost[5];
	by[answers[i].by]++;
}

static void
one_round(int ms)
{
	int64_t end = now_ms() + ms, left;
	unsigned none = 0;

	memset(answers, 0, sizeof(answers));
	for (unsigned i = 0; i < clients; i++)
		ask(i);
	while ((left = end - now_ms()) > 0) {
		struct pollfd p = {sock, POLLIN, 0};

		if (poll(&p, 1, (int)left) > 0)
			hear();
	}
	for (unsigned i = 0; i < clients; i++)
		none += answers[i].n == 0;
	unanswered += none;
	if (none > worst)
		worst = none;
	round_no++;
}

static void
on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static uint32_t
address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		errx(1, "%s: expected an IPv4 address", text);
	return ntohl(a.s_addr);
}

int
main(int argc, char **argv)
{
	const char *ifname = NULL, *sep = "";
	unsigned long rounds = 1;
	bool until_term = false;
	int ms = 100, c;

	while ((c = getopt(argc, argv, "i:n:r:w:b")) != -1)
		switch (c) {
		case 'i':
			ifname = optarg;
			break;
		case 'n':
			clients = (unsigned)atoi(optarg);
			break;
		case 'r':
			rounds = (unsigned long)atoi(optarg);
			break;
		case 'w':
			ms = atoi(optarg);
			break;
		case 'b':
			until_term = true;
			break;
		default:
			return 1;
		}
	if (ifname == NULL || argc - optind != 2 || clients == 0 ||
	    clients > CLIENTS_MAX)
		errx(1, "usage: askers -i IFACE [-n CLIENTS] [-r ROUNDS] "
			"[-w MS] [-b] TARGET FIRST");
	target = address(argv[optind]);
	first = address(argv[optind + 1]);
	open_socket(ifname);
	signal(SIGTERM, on_term);
	printf("asking\n");
	fflush(stdout);
	while (until_term ? !ended : round_no < rounds)
		one_round(ms);
	printf("{\"rounds\":%lu,\"by\":{", round_no);
	for (unsigned i = 0; i < 256; i++) {
		if (by[i] == 0)
			continue;
		printf("%s\"%u\":%lu", sep, i, by[i]);
		sep = ",";
	}
	printf("},\"unanswered\":%lu,\"worst\":%u,\"twice\":%lu,"
	       "\"no_group\":%lu}\n",
	    unanswered, worst, twice, other_mac);
	return 0;
}
