/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SCTP sockets: addresses, options, connecting, ending.
 */
#include "assoc_int.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/utsname.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "Enabled" in the words of net.sctp.pf_expose; no header has a name. */
enum { TP_PF_EXPOSE = 2 };

int
tp_addr_parse(union tp_addr *a, const struct tp_link *link)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, link->addr, &a->v4.sin_addr) == 1) {
		a->sa.sa_family = AF_INET;
		return 0;
	}
	if (inet_pton(AF_INET6, link->addr, &a->v6.sin6_addr) == 1) {
		a->sa.sa_family = AF_INET6;
		if (IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr))
			a->v6.sin6_scope_id = if_nametoindex(link->ifname);
		return 0;
	}
	errno = EINVAL;
	return -1;
}

/* The kernel writes IPv4 as mapped IPv6 on some sockets. */
static void
tp_addr_plain(const union tp_addr *a, int *family, const void **bytes)
{
	*family = a->sa.sa_family;
	*bytes = &a->v4.sin_addr;
	if (*family != AF_INET6)
		return;
	*bytes = &a->v6.sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
		*family = AF_INET;
		*bytes = &a->v6.sin6_addr.s6_addr[12];
	}
}

/* Ports aside. */
bool
tp_addr_equal(const union tp_addr *a, const union tp_addr *b)
{
	const void *pa, *pb;
	int fa, fb;

	tp_addr_plain(a, &fa, &pa);
	tp_addr_plain(b, &fb, &pb);
	return fa == fb && memcmp(pa, pb, fa == AF_INET ? 4 : 16) == 0;
}

void
tp_addr_text(const union tp_addr *a, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "?";
	const void *bytes;
	int family;

	tp_addr_plain(a, &family, &bytes);
	if (family == AF_INET || family == AF_INET6)
		(void)inet_ntop(family, bytes, text, sizeof(text));
	/* The port is at the same place in both families. */
	snprintf(buf, size, "%s port %u", text, ntohs(a->v4.sin_port));
}

socklen_t
tp_addr_len(const union tp_addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

/* Packs addresses one after the other, as libsctp wants them. */
static void
tp_pack(uint8_t *buf, const union tp_addr *const *addrs, int n, uint16_t port)
{
	union tp_addr a;
	int i;

	for (i = 0; i < n; i++) {
		a = *addrs[i];
		a.v4.sin_port = htons(port);
		memcpy(buf, &a, tp_addr_len(&a));
		buf += tp_addr_len(&a);
	}
}

/* Scope as the kernel sees it: smaller ones are more private. */
static int
tp_scope(const union tp_addr *a)
{
	uint32_t v4;

	if (a->sa.sa_family == AF_INET6) {
		if (IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr))
			return 0;
		return IN6_IS_ADDR_SITELOCAL(&a->v6.sin6_addr) ? 1 : 2;
	}
	v4 = ntohl(a->v4.sin_addr.s_addr);
	if ((v4 & 0xffff0000) == 0xa9fe0000)
		return 0;
	if ((v4 & 0xff000000) == 0x0a000000 ||
	    (v4 & 0xfff00000) == 0xac100000 || (v4 & 0xffff0000) == 0xc0a80000)
		return 1;
	return 2;
}

/*
 * The addresses in the order of links, but the more private ones first: the
 * kernel leaves out of an INIT what is more private than its destination.
 */
static int
tp_order(const union tp_addr *addrs, const struct tp_link *links, int n,
    const struct tp_ep *ep, const union tp_addr **out)
{
	int i, scope, used = 0;

	for (scope = 0; scope <= 2; scope++)
		for (i = 0; i < n; i++)
			if (tp_scope(&addrs[i]) == scope &&
			    (ep->kind != TP_HB || links[i].index == ep->link))
				out[used++] = &addrs[i];
	return used;
}

static int
set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int
tp_sock_buffers(const struct tp_ep *ep)
{
	int size = ep->kind == TP_BULK  ? 4 << 20
		   : ep->kind == TP_CTL ? 1 << 20
					: 256 << 10;

	/* The forcing ones need a capability; the others obey sysctls. */
	if (set_int(ep->fd, SOL_SOCKET, SO_SNDBUFFORCE, size) == -1 &&
	    set_int(ep->fd, SOL_SOCKET, SO_SNDBUF, size) == -1)
		return -1;
	if (set_int(ep->fd, SOL_SOCKET, SO_RCVBUFFORCE, size) == -1 &&
	    set_int(ep->fd, SOL_SOCKET, SO_RCVBUF, size) == -1)
		return -1;
	return 0;
}

/*
 * Retransmission: heartbeats decide about death, the kernel never first.  What
 * a lost link took is sent anew over another one after a timeout, which must
 * not last half of dead_ms.
 */
static int
tp_sock_timers(const struct tp_ep *ep)
{
	bool hb = ep->kind == TP_HB;
	uint32_t half = ep->tp->conf.dead_ms / 2;
	uint32_t rto_max = half < 100 ? 100 : half > 200 ? 200 : half;
	struct sctp_rtoinfo rto = {
	    .srto_initial = 100,
	    .srto_min = hb ? 30 : 50,
	    .srto_max = hb ? 60 : rto_max,
	};
	struct sctp_assocparams assoc = {
	    .sasoc_asocmaxrxt = hb ? 1000 : (uint16_t)(4000 / rto_max),
	};
	struct sctp_paddrparams path = {
	    .spp_hbinterval = 200,
	    .spp_pathmaxrxt = hb ? 1000 : 2,
	    .spp_flags = SPP_HB_ENABLE,
	};
	struct sctp_paddrthlds thresholds = {
	    .spt_pathmaxrxt = 2,
	    .spt_pathpfthld = 0,
	};
	struct sctp_initmsg init = {
	    .sinit_num_ostreams = SEAL_STREAMS,
	    .sinit_max_instreams = SEAL_STREAMS,
	    .sinit_max_attempts = 3,
	    .sinit_max_init_timeo = 300,
	};
	/*
	 * Not delayed, on bulk neither: after a loss, or with a large MTU, the
	 * congestion window is one packet, and the sender would wait out the
	 * delay for each (0.4 MB/s instead of 8 in the lab at MTU 9000).
	 */
	struct sctp_sack_info sack = {
	    .sack_delay = 0,
	    .sack_freq = 1,
	};
	struct sctp_assoc_value expose = {.assoc_value = TP_PF_EXPOSE};
#define SET(name, value) \
	setsockopt(ep->fd, SOL_SCTP, name, &(value), sizeof(value))

	if (SET(SCTP_RTOINFO, rto) == -1 || SET(SCTP_ASSOCINFO, assoc) == -1 ||
	    SET(SCTP_PEER_ADDR_PARAMS, path) == -1 ||
	    SET(SCTP_INITMSG, init) == -1 || SET(SCTP_DELAYED_SACK, sack) == -1)
		return -1;
	/* Not in every kernel: without it data leaves a bad path later. */
	if (!hb) {
		(void)SET(SCTP_PEER_ADDR_THLDS, thresholds);
		(void)SET(SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, expose);
	}
#undef SET
	return 0;
}

static int
tp_sock_options(const struct tp_ep *ep)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct sctp_event_subscribe events = {
	    .sctp_association_event = 1,
	    .sctp_address_event = 1,
	    .sctp_shutdown_event = 1,
	    .sctp_partial_delivery_event = 1,
	};
	int fd = ep->fd;

	/*
	 * A bound address may not be there yet, or not be there now: its
	 * interface is down.  Linger 0 makes a crash an ABORT.
	 */
	if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1 ||
	    set_int(fd, SOL_IP, IP_FREEBIND, 1) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) ==
		-1 ||
	    set_int(fd, SOL_SCTP, SCTP_NODELAY, 1) == -1 ||
	    set_int(fd, SOL_SCTP, SCTP_RECVRCVINFO, 1) == -1 ||
	    set_int(fd, SOL_SCTP, SCTP_FRAGMENT_INTERLEAVE, 1) == -1 ||
	    setsockopt(fd, SOL_SCTP, SCTP_EVENTS, &events, sizeof(events)) ==
		-1)
		return -1;
	if (tp_sock_buffers(ep) == -1 || tp_sock_timers(ep) == -1)
		return -1;
	/* Fewer messages in parts; they are put together in any case. */
	(void)set_int(fd, SOL_SCTP, SCTP_PARTIAL_DELIVERY_POINT, HAD_MSG_MAX);
	/* Urgent packets first, on this host at least. */
	(void)set_int(fd, SOL_IP, IP_TOS, ep->kind == TP_BULK ? 0x08 : 0xc0);
	return 0;
}

static int
tp_sock_bind(struct tp_ep *ep)
{
	const struct tp *tp = ep->tp;
	const union tp_addr *addrs[HAD_LINKS_MAX];
	uint8_t packed[HAD_LINKS_MAX * sizeof(union tp_addr)];
	unsigned i;
	int n;

	n = tp_order(tp->addrs, tp->conf.links, tp->conf.n_links, ep, addrs);
	ASSERT(n > 0);
	tp_pack(packed, addrs, n, ep->port);
	/* A heartbeat that takes another link's cable proves nothing. */
	for (i = 0; i < tp->conf.n_links; i++)
		if (ep->kind == TP_HB && tp->conf.links[i].index == ep->link &&
		    tp->conf.links[i].ifname[0] != '\0')
			(void)setsockopt(ep->fd, SOL_SOCKET, SO_BINDTODEVICE,
			    tp->conf.links[i].ifname,
			    (socklen_t)strlen(tp->conf.links[i].ifname));
	if (sctp_bindx(ep->fd, (struct sockaddr *)packed, n,
		SCTP_BINDX_ADD_ADDR) == -1)
		return -1;
	return listen(ep->fd, 8);
}

int
tp_sock_open(struct tp_ep *ep, char *why, size_t why_size)
{
	const struct tp *tp = ep->tp;
	int family = AF_INET, saved;
	unsigned i;

	for (i = 0; i < tp->conf.n_links; i++)
		if (tp->addrs[i].sa.sa_family == AF_INET6)
			family = AF_INET6;
	ep->fd = socket(family, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    IPPROTO_SCTP);
	if (ep->fd == -1) {
		saved = errno;
		if (tp_probe(why, why_size) == 0)
			snprintf(
			    why, why_size, "SCTP socket: %s", strerror(saved));
		errno = saved;
		return -1;
	}
	if (tp_sock_options(ep) == 0 && tp_sock_bind(ep) == 0)
		return 0;
	saved = errno;
	snprintf(why, why_size, "SCTP socket for %s, port %u: %s",
	    tp_kind_text(ep->kind), ep->port, strerror(saved));
	close(ep->fd);
	ep->fd = -1;
	errno = saved;
	return -1;
}

int
tp_sock_connect(struct tp_ep *ep, const struct tp_peer *peer, sctp_assoc_t *id)
{
	const union tp_addr *addrs[HAD_LINKS_MAX];
	uint8_t packed[HAD_LINKS_MAX * sizeof(union tp_addr)];
	int n;

	n = tp_order(
	    peer->addrs, peer->conf.links, peer->conf.n_links, ep, addrs);
	if (n == 0) {
		errno = EADDRNOTAVAIL; /* the peer lacks this link */
		return -1;
	}
	tp_pack(packed, addrs, n, ep->port);
	if (sctp_connectx(ep->fd, (struct sockaddr *)packed, n, id) == -1 &&
	    errno != EINPROGRESS)
		return -1; /* EISCONN too: one that is just ending */
	return 0;
}

int
tp_sock_peers(
    const struct tp_ep *ep, sctp_assoc_t id, union tp_addr *out, int max)
{
	struct sockaddr *packed;
	const uint8_t *p;
	int i, n;

	n = sctp_getpaddrs(ep->fd, id, &packed);
	if (n <= 0)
		return -1;
	p = (const uint8_t *)packed;
	for (i = 0; i < n && i < max; i++) {
		memset(&out[i], 0, sizeof(out[i]));
		memcpy(&out[i].sa, p, sizeof(struct sockaddr_in));
		memcpy(&out[i], p, tp_addr_len(&out[i]));
		p += tp_addr_len(&out[i]);
	}
	sctp_freepaddrs(packed);
	return n;
}

/* A message of no bytes with a flag: SCTP_ABORT or SCTP_EOF. */
static int
tp_sock_flag(const struct tp_ep *ep, sctp_assoc_t id, uint16_t flag)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct sctp_sndinfo))];
	} control = {0};
	struct msghdr m = {
	    .msg_control = &control,
	    .msg_controllen = sizeof(control),
	};
	struct sctp_sndinfo info = {.snd_flags = flag, .snd_assoc_id = id};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = IPPROTO_SCTP;
	c->cmsg_type = SCTP_SNDINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return sendmsg(ep->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == -1 ? -1 : 0;
}

void
tp_sock_abort(const struct tp_ep *ep, sctp_assoc_t id)
{
	/* It may be gone already. */
	(void)tp_sock_flag(ep, id, SCTP_ABORT);
}

int
tp_sock_eof(const struct tp_ep *ep, sctp_assoc_t id)
{
	return tp_sock_flag(ep, id, SCTP_EOF);
}

void
tp_sock_primary(
    const struct tp_ep *ep, sctp_assoc_t id, const union tp_addr *addr)
{
	struct sctp_setprim prim = {.ssp_assoc_id = id};
	union tp_addr a = *addr;

	a.v4.sin_port = htons(ep->port);
	memcpy(&prim.ssp_addr, &a, tp_addr_len(&a));
	/* Refused if the path is not part of the association: no matter. */
	(void)setsockopt(
	    ep->fd, SOL_SCTP, SCTP_PRIMARY_ADDR, &prim, sizeof(prim));
}

static void
tp_probe_sysctl(const char *name, int wanted, const char *effect, char *why,
    size_t why_size)
{
	char path[64], text[16] = "";
	size_t used = strlen(why);
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/sctp/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0 || text[0] - '0' == wanted)
		return;
	snprintf(why + used, why_size - used,
	    "net.sctp.%s is %c, should be %d: %s\n", name, text[0], wanted,
	    effect);
}

int
tp_probe(char *why, size_t why_size)
{
	struct utsname name = {.release = "?"};
	int fd, saved;

	ASSERT(why_size > 0);
	(void)uname(&name);
	why[0] = '\0';
	fd = socket(AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC, IPPROTO_SCTP);
	if (fd == -1) {
		saved = errno;
		if (saved == EPROTONOSUPPORT || saved == ESOCKTNOSUPPORT)
			snprintf(why, why_size,
			    "this kernel (%s) has no SCTP: its module sctp is "
			    "missing or kept from loading. Run 'modprobe "
			    "sctp'; if there is no such module, boot Debian's "
			    "stock kernel (package linux-image-amd64); if it "
			    "is blocked, remove 'blacklist sctp' and 'install "
			    "sctp' from /etc/modprobe.d",
			    name.release);
		else
			snprintf(
			    why, why_size, "SCTP socket: %s", strerror(saved));
		errno = saved;
		return -1;
	}
	close(fd);
	tp_probe_sysctl(
	    "prsctp_enable", 1, "heartbeats do not expire", why, why_size);
	tp_probe_sysctl("pf_enable", 1,
	    "data leaves a silent path only after its retransmissions", why,
	    why_size);
	return 0;
}
