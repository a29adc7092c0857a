/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much plain TCP, or plain SCTP, moves over a link.
 *
 *	bulk [-s] serve ADDR PORT		until SIGTERM
 *	bulk [-s] send ADDR PORT SECONDS BYTES	messages of BYTES
 *
 * -s: SCTP.  The sender prints the bytes per second that were received, as
 * the receiver counted them, from its first byte to its last.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 128 * 1024 };

static uint8_t bytes[MESSAGE_MAX];

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int
sock_open(bool sctp, const char *addr, const char *port, struct sockaddr_in *a)
{
	int one = 1, fd;

	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, addr, &a->sin_addr) != 1)
		errx(2, "got '%s', expected an IPv4 address", addr);
	fd = socket(AF_INET, SOCK_STREAM, sctp ? IPPROTO_SCTP : IPPROTO_TCP);
	if (fd == -1)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

/*
 * The end of the data is a byte of 1 in front of nothing else: SCTP has no
 * half-close.
 */
static void
serve_one(int fd)
{
	uint64_t total = 0;
	int64_t start = 0, end = 0, result;
	bool last = false;
	ssize_t n;

	while (!last && (n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		end = now_us();
		if (start == 0)
			start = end;
		total += (uint64_t)n;
		last = bytes[n - 1] == 1;
	}
	if (!last)
		return;
	result = end > start ? (int64_t)(total * 1000000) / (end - start) : 0;
	if (send(fd, &result, sizeof(result), MSG_NOSIGNAL) == -1)
		warn("send");
}

static void
serve(bool sctp, const char *addr, const char *port)
{
	struct sockaddr_in a;
	int fd = sock_open(sctp, addr, port, &a), c;

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 4) == -1)
		err(1, "%s port %s", addr, port);
	puts("serving");
	fflush(stdout);
	while ((c = accept(fd, NULL, NULL)) != -1) {
		serve_one(c);
		close(c);
	}
	err(1, "accept");
}

static void
put(int fd, const uint8_t *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n)
		if ((n = send(fd, p, len, MSG_NOSIGNAL)) == -1)
			err(1, "send");
}

static void
send_all(bool sctp, char *argv[])
{
	static const uint8_t last[] = {1};
	size_t size = (size_t)atol(argv[3]);
	struct sockaddr_in a;
	int fd = sock_open(sctp, argv[0], argv[1], &a);
	int64_t end, result = 0;

	if (size < 1 || size > sizeof(bytes))
		errx(2, "got %s, expected 1 to %d bytes", argv[3], MESSAGE_MAX);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1)
		err(1, "connect");
	end = now_us() + atol(argv[2]) * 1000000;
	while (now_us() < end)
		put(fd, bytes, size);
	put(fd, last, sizeof(last));
	if (recv(fd, &result, sizeof(result), MSG_WAITALL) != sizeof(result))
		errx(1, "no result from the receiver");
	printf("%" PRId64 "\n", result);
	close(fd);
}

int
main(int argc, char *argv[])
{
	bool sctp = argc > 1 && strcmp(argv[1], "-s") == 0;

	argc -= sctp;
	argv += sctp;
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		serve(sctp, argv[2], argv[3]);
	else if (argc == 6 && strcmp(argv[1], "send") == 0)
		send_all(sctp, argv + 2);
	else
		errx(2, "usage: bulk [-s] serve ADDR PORT | "
			"send ADDR PORT SECONDS BYTES");
	return 0;
}
