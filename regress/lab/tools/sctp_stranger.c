/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Somebody who has no business here.  Connects and then
 *	silent		says nothing
 *	plain		says something in plain text
 *	oversized	says very much of nothing
 *	tls12		begins a handshake of an old TLS, framed as it should be
 * Prints how long it was tolerated, "closed MS" (or "refused MS"), or
 * "tolerated" after five seconds.
 *	sctp_stranger MODE LOCAL LOCALPORT REMOTE REMOTEPORT
 * Also: keygen FILE makes a key and prints its fingerprint, as hactl does;
 * kill PID SIGNAL sends it and prints when, in milliseconds since boot.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keyfile.h"
#include "loop.h"

static struct sockaddr_in
address(const char *text, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		errx(2, "%s: not an address", text);
	a.sin_port = htons((uint16_t)atoi(port));
	return a;
}

/* False: it was refused before it could say anything. */
static bool
say(int fd, const char *mode)
{
	static char bytes[100 * 1024];
	static const unsigned char tls12[] = {1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0, 0, 0x16, 3, 1, 0, 0x2d, 1, 0, 0, 0x29, 3, 3};
	size_t len = 0;

	if (strcmp(mode, "plain") == 0) {
		strcpy(bytes, "EHLO bravo\r\nMAIL FROM:<nobody>\r\n");
		len = strlen(bytes);
	} else if (strcmp(mode, "oversized") == 0) {
		len = sizeof(bytes);
		bytes[0] = bytes[1] = 1;
	} else if (strcmp(mode, "tls12") == 0) {
		memcpy(bytes, tls12, sizeof(tls12));
		bytes[60] = 2;
		bytes[62] = (char)0xc0;
		bytes[63] = 0x2f;
		bytes[64] = 1;
		len = sizeof(tls12) + 39;
	} else if (strcmp(mode, "silent") != 0) {
		errx(2, "%s: not a mode", mode);
	}
	return len == 0 ||
	       sctp_sendmsg(fd, bytes, len, NULL, 0, 0, 0, 0, 0, 0) != -1;
}

static int
keygen(const char *path)
{
	char why[256], text[KEYFILE_TEXT];
	uint8_t fp[32];

	if (keyfile_generate(path, fp, why, sizeof(why)) == -1)
		errx(1, "%s", why);
	keyfile_text(fp, text);
	puts(text);
	return 0;
}

static int
kill_at(const char *pid, const char *number)
{
	int64_t us = loop_now().us;

	if (kill((pid_t)atol(pid), atoi(number)) == -1)
		err(1, "kill %s", pid);
	printf("%lld\n", (long long)(us / 1000));
	return 0;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in from, to;
	struct pollfd p;
	char buf[4096];
	int64_t begin;
	ssize_t n;

	if (argc == 3 && strcmp(argv[1], "keygen") == 0)
		return keygen(argv[2]);
	if (argc == 4 && strcmp(argv[1], "kill") == 0)
		return kill_at(argv[2], argv[3]);
	if (argc != 6)
		errx(2, "MODE LOCAL LOCALPORT REMOTE REMOTEPORT");
	from = address(argv[2], argv[3]);
	to = address(argv[4], argv[5]);
	p.fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	p.events = POLLIN;
	if (p.fd == -1 ||
	    bind(p.fd, (struct sockaddr *)&from, sizeof(from)) == -1)
		err(2, "socket");
	begin = loop_now().us;
	if (connect(p.fd, (struct sockaddr *)&to, sizeof(to)) == -1) {
		printf("refused %d\n", (int)((loop_now().us - begin) / 1000));
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	n = say(p.fd, argv[1]) ? 1 : -1;
	while (n == -1 ||
	       poll(&p, 1, 5000 - (int)((loop_now().us - begin) / 1000)) == 1) {
		if (n != -1)
			n = recv(p.fd, buf, sizeof(buf), 0);
		if (n > 0)
			continue;
		printf("closed %d\n", (int)((loop_now().us - begin) / 1000));
		return 0;
	}
	printf("tolerated\n");
	return 0;
}
