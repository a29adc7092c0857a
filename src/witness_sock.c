/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets of the witness and its clients: one-to-one, single-homed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/sctp.h>

#include "witness_int.h"

enum { STREAMS = 2, BACKLOG = 32 };

union addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t
addr_len(const union addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static int
addr_parse(union addr *a, const char *text, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
		a->sa.sa_family = AF_INET;
		a->v4.sin_port = htons(port);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
		a->sa.sa_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		return 0;
	}
	errno = EINVAL;
	return -1;
}

/* A failed call, as text; keeps errno. */
static int
failed(int fd, const char *what, char *why, size_t size)
{
	int saved = errno;

	snprintf(why, size, "%s: %s%s", what, strerror(saved),
	    saved == EPROTONOSUPPORT || saved == ESOCKTNOSUPPORT
		? "; run 'modprobe sctp', or boot a kernel that has it"
		: "");
	if (fd != -1)
		close(fd);
	errno = saved;
	return -1;
}

/* An end that is gone is noticed within about two seconds. */
static int
set_timers(int fd)
{
	struct sctp_rtoinfo rto = {
	    .srto_initial = 200,
	    .srto_min = 50,
	    .srto_max = 400,
	};
	struct sctp_assocparams assoc = {.sasoc_asocmaxrxt = 5};
	struct sctp_paddrparams path = {
	    .spp_hbinterval = 1000,
	    .spp_pathmaxrxt = 5,
	    .spp_flags = SPP_HB_ENABLE,
	};
	struct sctp_initmsg init = {
	    .sinit_num_ostreams = STREAMS,
	    .sinit_max_instreams = STREAMS,
	    .sinit_max_attempts = 3,
	    .sinit_max_init_timeo = 400,
	};
	struct sctp_sack_info sack = {.sack_delay = 0, .sack_freq = 1};
#define SET(name, value) setsockopt(fd, SOL_SCTP, name, &(value), sizeof(value))

	if (SET(SCTP_RTOINFO, rto) == -1 || SET(SCTP_ASSOCINFO, assoc) == -1 ||
	    SET(SCTP_PEER_ADDR_PARAMS, path) == -1 ||
	    SET(SCTP_INITMSG, init) == -1)
		return -1;
	return SET(SCTP_DELAYED_SACK, sack);
#undef SET
}

/* What an accepted socket needs, too. */
static int
set_common(int fd)
{
	/* An end is an ABORT: the other one knows at once. */
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) ==
		-1 ||
	    setsockopt(fd, SOL_SCTP, SCTP_NODELAY, &on, sizeof(on)) == -1)
		return -1;
	return setsockopt(fd, SOL_SCTP, SCTP_RECVRCVINFO, &on, sizeof(on));
}

static int
open_socket(int family)
{
	int fd, saved;

	fd = socket(
	    family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_SCTP);
	if (fd == -1 || (set_common(fd) == 0 && set_timers(fd) == 0))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
wcn_listen(const char *addr, uint16_t port, char *why, size_t size)
{
	union addr a;
	int fd, on = 1;

	if (addr_parse(&a, addr, port) == -1)
		return failed(-1, addr, why, size);
	fd = open_socket(a.sa.sa_family);
	if (fd == -1)
		return failed(-1, "SCTP socket", why, size);
	/* The address may come later, with its interface. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof(on)) == -1 ||
	    bind(fd, &a.sa, addr_len(&a)) == -1 || listen(fd, BACKLOG) == -1)
		return failed(fd, addr, why, size);
	return fd;
}

int
wcn_accept(int listener, char *addr, size_t size)
{
	union addr a = {0};
	socklen_t len = sizeof(a);
	char text[INET6_ADDRSTRLEN] = "?";
	int fd;

	fd = accept4(listener, &a.sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1)
		return -1;
	if (a.sa.sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof(text));
	else if (a.sa.sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof(text));
	/* The port is at the same place in both families. */
	snprintf(addr, size, "%s port %u", text, ntohs(a.v4.sin_port));
	if (set_common(fd) == 0)
		return fd;
	close(fd);
	errno = ECONNABORTED;
	return -1;
}

/* The address that the kernel would send from; 0, or -1 with errno. */
static int
source_of(const union addr *to, union addr *from)
{
	socklen_t len = sizeof(*from);
	int fd, rc, saved;

	memset(from, 0, sizeof(*from));
	fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* Sends nothing: a datagram socket only remembers. */
	rc = connect(fd, &to->sa, addr_len(to));
	if (rc == 0)
		rc = getsockname(fd, &from->sa, &len);
	saved = errno;
	close(fd);
	errno = saved;
	from->v4.sin_port = 0;
	return rc;
}

int
wcn_connect(
    const char *addr, uint16_t port, const char *local, char *why, size_t size)
{
	union addr to, from;
	int fd;

	if (addr_parse(&to, addr, port) == -1)
		return failed(-1, addr, why, size);
	/*
	 * Bound to one address: the kernel would offer all that this node has
	 * now, floating ones among them.
	 */
	if (local[0] != '\0' ? addr_parse(&from, local, 0) == -1
			     : source_of(&to, &from) == -1)
		return failed(-1, local[0] != '\0' ? local : addr, why, size);
	fd = open_socket(to.sa.sa_family);
	if (fd == -1)
		return failed(-1, "SCTP socket", why, size);
	if (bind(fd, &from.sa, addr_len(&from)) == -1)
		return failed(fd, local[0] != '\0' ? local : "bind", why, size);
	if (connect(fd, &to.sa, addr_len(&to)) == -1 && errno != EINPROGRESS)
		return failed(fd, addr, why, size);
	return fd;
}

int
wcn_probe(const char *addr, const char *local, char *why, size_t size)
{
	union addr a;
	int fd;

	if (addr_parse(&a, addr, 0) == -1)
		return failed(-1, addr, why, size);
	if (local[0] != '\0' && addr_parse(&a, local, 0) == -1)
		return failed(-1, local, why, size);
	fd = open_socket(a.sa.sa_family);
	if (fd == -1)
		return failed(-1, "SCTP socket", why, size);
	close(fd);
	return 0;
}
