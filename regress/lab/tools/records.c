/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tiny service and its client, for the demo and the lab.
 *
 *	records serve ADDR PORT DIR	appends each record to DIR/records and
 *					makes it durable before it answers
 *	records write ADDR PORT LOG	one record after the other until
 *SIGTERM; LOG gets "MS SEQ" for each answer records verify ADDR PORT LOG
 *reads all back and compares
 *
 * A record is 128 bytes: sequence, 112 bytes that follow from it, checksum.
 * The client resends a record until it is answered, over a new connection if
 * the old one is silent or reset.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORD = 128,
	CLIENTS = 64,
	CONNECT_MS = 50,
	ANSWER_MS = 150,
	/* Twice as long after each silence: a slow server is not flooded. */
	ANSWER_MAX_MS = 2400,
	SEQ_MAX = 1 << 22,
};

static volatile sig_atomic_t ended;

static void
on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccd;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53;
	return x ^ x >> 33;
}

/* The only valid record of that sequence. */
static void
make(uint64_t seq, uint8_t record[RECORD])
{
	uint64_t words[RECORD / 8], sum = mix(seq);

	words[0] = seq;
	for (unsigned i = 1; i < RECORD / 8 - 1; i++) {
		words[i] = mix(seq * 131 + i);
		sum = mix(sum ^ words[i]);
	}
	words[RECORD / 8 - 1] = sum;
	memcpy(record, words, RECORD);
}

static bool
valid(const uint8_t record[RECORD], uint64_t *seq)
{
	uint8_t want[RECORD];

	memcpy(seq, record, sizeof(*seq));
	make(*seq, want);
	return memcmp(record, want, RECORD) == 0;
}

static int
address(const char *addr, const char *port, struct sockaddr_storage *ss,
    socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, addr, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)atoi(port));
		*len = sizeof(*in);
		return 0;
	}
	if (inet_pton(AF_INET6, addr, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(port));
		*len = sizeof(*in6);
		return 0;
	}
	fprintf(stderr, "records: not an address: %s\n", addr);
	return -1;
}

struct client {
	int fd;
	size_t used;
	uint8_t in[RECORD];
};

/* Sends the whole file; a blocking send is enough for a test. */
static bool
dump(int fd, int file)
{
	uint8_t buf[16 * RECORD];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(file, buf, sizeof(buf), at)) > 0) {
		if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
			return false;
		at += n;
	}
	return false; /* the end of the connection ends the dump */
}

/* One record, or zeroes: "send me everything".  False: hang up. */
static bool
serve_record(struct client *c, int file)
{
	static const uint8_t all[RECORD];
	uint64_t seq;

	if (memcmp(c->in, all, RECORD) == 0)
		return dump(c->fd, file);
	if (!valid(c->in, &seq))
		return false;
	if (write(file, c->in, RECORD) != RECORD || fdatasync(file) < 0)
		return false;
	return send(c->fd, &seq, sizeof(seq), MSG_NOSIGNAL) == sizeof(seq);
}

static bool
serve_client(struct client *c, int file)
{
	ssize_t n = recv(c->fd, c->in + c->used, RECORD - c->used, 0);

	if (n <= 0)
		return false;
	c->used += (size_t)n;
	if (c->used < RECORD)
		return true;
	c->used = 0;
	return serve_record(c, file);
}

static int
listen_at(const char *addr, const char *port)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1, fd;

	if (address(addr, port, &ss, &len) < 0)
		return -1;
	fd = socket(ss.ss_family, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* The address may come later than the server. */
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 64) < 0) {
		perror("records: bind");
		close(fd);
		return -1;
	}
	return fd;
}

static int
serve(const char *addr, const char *port, const char *dir)
{
	struct client clients[CLIENTS];
	struct pollfd pfds[CLIENTS + 1];
	char path[512];
	int file, lfd;

	snprintf(path, sizeof(path), "%s/records", dir);
	file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (file < 0) {
		perror(path);
		return 1;
	}
	/* A crash may have left a part of a record, never acknowledged. */
	if (ftruncate(file, lseek(file, 0, SEEK_END) / RECORD * RECORD) < 0) {
		perror(path);
		return 1;
	}
	lfd = listen_at(addr, port);
	if (lfd < 0)
		return 1;
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	while (!ended) {
		for (unsigned i = 0; i < CLIENTS; i++) {
			pfds[i].fd = clients[i].fd;
			pfds[i].events = POLLIN;
		}
		pfds[CLIENTS].fd = lfd;
		pfds[CLIENTS].events = POLLIN;
		if (poll(pfds, CLIENTS + 1, -1) < 0)
			continue;
		for (unsigned i = 0; i < CLIENTS; i++) {
			if (clients[i].fd < 0 || pfds[i].revents == 0)
				continue;
			if (!serve_client(&clients[i], file)) {
				close(clients[i].fd);
				clients[i].fd = -1;
			}
		}
		if (pfds[CLIENTS].revents != 0) {
			int fd = accept(lfd, NULL, NULL);
			unsigned i = 0;

			while (i < CLIENTS && clients[i].fd >= 0)
				i++;
			if (i == CLIENTS && fd >= 0)
				close(fd);
			else if (fd >= 0)
				clients[i] = (struct client){.fd = fd};
		}
	}
	return 0;
}

static int
connect_to(const struct sockaddr_storage *ss, socklen_t len, int ms)
{
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int err = 0;
	socklen_t el = sizeof(err);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)ss, len) < 0 &&
	    (errno != EINPROGRESS || poll(&p, 1, ms) != 1 ||
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &el) < 0 ||
		err != 0)) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, 0);
	return fd;
}

/* One record and its answer.  1: answered; 0: silent; -1: reset. */
static int
exchange(int fd, uint64_t seq, int ms)
{
	uint8_t record[RECORD];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t got;

	make(seq, record);
	if (send(fd, record, RECORD, MSG_NOSIGNAL) != RECORD)
		return -1;
	if (poll(&p, 1, ms) != 1)
		return 0;
	if (recv(fd, &got, sizeof(got), MSG_WAITALL) != sizeof(got))
		return -1;
	return got == seq ? 1 : -1;
}

static int
write_records(const char *addr, const char *port, const char *log)
{
	struct sockaddr_storage ss;
	socklen_t len;
	uint64_t seq = 1, reset = 0, silent = 0;
	FILE *f = fopen(log, "w");
	int fd = -1, ms = ANSWER_MS;

	if (f == NULL || address(addr, port, &ss, &len) < 0)
		return 1;
	setlinebuf(f);
	while (!ended && seq < SEQ_MAX) {
		int r;

		if (fd < 0 && (fd = connect_to(&ss, len, CONNECT_MS)) < 0) {
			usleep(2000);
			continue;
		}
		r = exchange(fd, seq, ms);
		ms = r == 1 ? ANSWER_MS : ms * 2;
		if (ms > ANSWER_MAX_MS)
			ms = ANSWER_MAX_MS;
		if (r == 1) {
			fprintf(f, "%lld %llu\n", (long long)now_ms(),
			    (unsigned long long)seq++);
			usleep(1000);
			continue;
		}
		reset += r < 0;
		silent += r == 0;
		close(fd);
		fd = -1;
	}
	fclose(f);
	printf("{\"acknowledged\": %llu, \"resets\": %llu, \"silent\": "
	       "%llu}\n",
	    (unsigned long long)seq - 1, (unsigned long long)reset,
	    (unsigned long long)silent);
	return 0;
}

/* Marks what the server has; 0, or -1 if something there is not a record. */
static int
read_back(const char *addr, const char *port, uint8_t *have)
{
	static const uint8_t all[RECORD];
	struct sockaddr_storage ss;
	socklen_t len;
	uint8_t record[RECORD];
	uint64_t seq;
	int fd = -1, bad = 0;

	if (address(addr, port, &ss, &len) < 0)
		return -1;
	for (unsigned i = 0; i < 100 && fd < 0; i++) {
		fd = connect_to(&ss, len, 200);
		if (fd < 0)
			usleep(50000);
	}
	if (fd < 0 || send(fd, all, RECORD, MSG_NOSIGNAL) != RECORD) {
		fprintf(stderr, "records: no connection to %s\n", addr);
		return -1;
	}
	while (recv(fd, record, RECORD, MSG_WAITALL) == RECORD) {
		if (!valid(record, &seq) || seq >= SEQ_MAX)
			bad++;
		else
			have[seq] = 1;
	}
	close(fd);
	if (bad > 0)
		fprintf(stderr, "records: %d damaged records\n", bad);
	return bad > 0 ? -1 : 0;
}

/* The log first: what is acknowledged from then on proves nothing. */
static int
verify(const char *addr, const char *port, const char *log)
{
	uint8_t *have = calloc(1, SEQ_MAX), *acked = calloc(1, SEQ_MAX);
	FILE *f = fopen(log, "r");
	long long ms, n = 0, lost = 0;
	unsigned long long seq;

	if (have == NULL || acked == NULL || f == NULL) {
		perror(log);
		return 1;
	}
	while (fscanf(f, "%lld %llu", &ms, &seq) == 2)
		if (seq < SEQ_MAX)
			acked[seq] = 1;
	fclose(f);
	if (read_back(addr, port, have) < 0)
		return 1;
	for (seq = 0; seq < SEQ_MAX; seq++) {
		n += acked[seq];
		if (!acked[seq] || have[seq])
			continue;
		if (lost++ < 10)
			fprintf(stderr,
			    "records: %llu was acknowledged and "
			    "is lost\n",
			    seq);
	}
	free(have);
	free(acked);
	printf("{\"acknowledged\": %lld, \"lost\": %lld}\n", n, lost);
	return lost == 0 && n > 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if (argc == 5 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argv[3], argv[4]);
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return write_records(argv[2], argv[3], argv[4]);
	if (argc == 5 && strcmp(argv[1], "verify") == 0)
		return verify(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: records serve ADDR PORT DIR\n"
			"       records write ADDR PORT LOG\n"
			"       records verify ADDR PORT LOG\n");
	return 64;
}
