/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the tests of the NBD server: a disk in memory that completes its pieces
 * when the test says so, and clients on socket pairs and the UNIX socket.
 * The loop is turned by hand until nothing is left to do: no clock, no sleep.
 */
#ifndef NBD_WORLD_H
#define NBD_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bsd/string.h>
#include <cmocka.h>

#include "mirror.h"
#include "nbd.h"
#include "nbd_proto.h"

enum { SIZE = 1 << 20, LENT_MAX = 512, K64 = 65536 };

struct lent {
	uint64_t cookie, off;
	enum nbd_cmd cmd;
	bool fua;
	uint32_t len;
	uint8_t *buf;
};

static struct world {
	sd_event *event;
	struct nbd *nbd;
	uint8_t disk[SIZE];
	struct lent lent[LENT_MAX];
	unsigned n_lent;
	bool at_once; /* pieces complete inside the callback */
	unsigned stopped, closed, closed_tag;
	int error; /* of pieces that touch bad_off */
	uint64_t bad_off;
	char path[64];
} w;

static inline void
finish(const struct lent *l)
{
	int error = 0;

	if (w.error != 0 && l->cmd != NBD_FLUSH && w.bad_off >= l->off &&
	    w.bad_off - l->off < l->len)
		error = w.error;
	else if (l->cmd == NBD_READ)
		memcpy(l->buf, w.disk + l->off, l->len);
	else if (l->cmd == NBD_WRITE)
		memcpy(w.disk + l->off, l->buf, l->len);
	else
		memset(w.disk + l->off, 0, l->len);
	nbd_complete(w.nbd, l->cookie, error);
}

static inline void
on_request(void *ctx, uint64_t cookie, enum nbd_cmd cmd, bool fua, uint64_t off,
    uint32_t len, void *buf)
{
	struct lent l = {cookie, off, cmd, fua, len, buf};
	uint32_t max = cmd == NBD_TRIM || cmd == NBD_ZERO ? MIR_TRIM_MAX : K64;

	assert_ptr_equal(ctx, &w);
	assert_true(off % 512 == 0 && len % 512 == 0 && off + len <= SIZE);
	assert_true((cmd == NBD_FLUSH) == (len == 0));
	if (len > 0)
		assert_true(off / max == (off + len - 1) / max);
	assert_true((buf != NULL) == (cmd == NBD_READ || cmd == NBD_WRITE));
	assert_true((uintptr_t)buf % 4096 == 0);
	if (w.at_once) {
		finish(&l);
		return;
	}
	assert_true(w.n_lent < LENT_MAX);
	w.lent[w.n_lent++] = l;
}

static inline void
on_closed(void *ctx, unsigned tag)
{
	(void)ctx;
	w.closed++;
	w.closed_tag = tag;
}

static inline void
on_stopped(void *ctx)
{
	(void)ctx;
	w.stopped++;
}

static inline void
turn(void)
{
	while (sd_event_run(w.event, 0) > 0)
		;
}

/* Completes the piece number i of those that are out. */
static inline void
complete(unsigned i)
{
	struct lent l = w.lent[i];

	assert_true(i < w.n_lent);
	memmove(w.lent + i, w.lent + i + 1, (--w.n_lent - i) * sizeof(l));
	finish(&l);
}

static inline void
complete_all(void)
{
	turn();
	while (w.n_lent > 0) {
		complete(0);
		turn();
	}
}

static inline void
start_with(unsigned clients, unsigned buffers)
{
	static const struct nbd_cb cb = {
	    .request = on_request, .closed = on_closed, .stopped = on_stopped};
	struct nbd_conf c = {.name = "orders",
	    .size = SIZE,
	    .block_min = 512,
	    .trim = true,
	    .clients_max = clients,
	    .buffers = buffers};

	strlcpy(c.path, w.path, sizeof(c.path));
	w.nbd = nbd_new(w.event, &c, &cb, &w);
	assert_non_null(w.nbd);
}

static inline int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	for (unsigned i = 0; i < SIZE; i++)
		w.disk[i] = (uint8_t)(i / 512 * 7 + i);
	snprintf(w.path, sizeof(w.path), "/tmp/nbd_test.%d", getpid());
	assert_true(sd_event_new(&w.event) >= 0);
	start_with(4, 32);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	if (w.nbd != NULL) {
		nbd_stop(w.nbd, false);
		complete_all();
		assert_int_equal(w.stopped, 1);
		nbd_free(w.nbd);
	}
	sd_event_unref(w.event);
	assert_int_equal(access(w.path, F_OK), -1);
	return 0;
}

static inline void
restart_with(unsigned clients, unsigned buffers)
{
	nbd_stop(w.nbd, false);
	turn();
	nbd_free(w.nbd);
	w.stopped = 0;
	start_with(clients, buffers);
}

/* Clients. */

static inline int
adopted(unsigned tag)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(fcntl(sv[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(nbd_adopt(w.nbd, sv[1], tag), 0);
	return sv[0];
}

static inline void
put(int fd, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1) {
			assert_int_equal(errno, EAGAIN);
			turn();
			continue;
		}
		p += n;
		len -= (size_t)n;
		turn();
	}
}

/* Exactly len bytes are there. */
static inline void
get(int fd, void *bytes, size_t len)
{
	uint8_t *p = bytes;
	ssize_t n;

	while (len > 0) {
		turn();
		n = read(fd, p, len);
		if (n <= 0)
			fail_msg("%zu bytes missing", len);
		p += n;
		len -= (size_t)n;
	}
}

static inline void
nothing_there(int fd)
{
	uint8_t b;

	turn();
	assert_int_equal(read(fd, &b, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static inline void
ended(int fd)
{
	uint8_t b;
	ssize_t n;

	turn();
	n = read(fd, &b, 1);
	assert_true(n == 0 || (n == -1 && errno == ECONNRESET));
	close(fd);
}

static inline void
be(uint8_t *p, uint64_t v, unsigned n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static inline uint64_t
get_be(int fd, unsigned n)
{
	uint8_t b[8];
	uint64_t v = 0;

	get(fd, b, n);
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | b[i];
	return v;
}

static inline void
ask(int fd, uint16_t flags, uint16_t cmd, uint64_t handle, uint64_t off,
    uint32_t len)
{
	uint8_t b[28];

	be(b, NBDP_REQUEST_MAGIC, 4);
	be(b + 4, flags, 2);
	be(b + 6, cmd, 2);
	be(b + 8, handle, 8);
	be(b + 16, off, 8);
	be(b + 24, len, 4);
	put(fd, b, sizeof(b));
}

static inline void
simple(int fd, uint64_t handle, uint32_t error)
{
	assert_int_equal(get_be(fd, 4), NBDP_SIMPLE_MAGIC);
	assert_int_equal(get_be(fd, 4), error);
	assert_true(get_be(fd, 8) == handle);
}

/* A chunk's header; returns its length. */
static inline uint32_t
chunk(int fd, uint64_t handle, uint16_t flags, uint16_t type)
{
	assert_int_equal(get_be(fd, 4), NBDP_STRUCTURED_MAGIC);
	assert_int_equal(get_be(fd, 2), flags);
	assert_int_equal(get_be(fd, 2), type);
	assert_true(get_be(fd, 8) == handle);
	return (uint32_t)get_be(fd, 4);
}

static inline void
data_is(int fd, uint64_t off, size_t len)
{
	static uint8_t b[SIZE];

	get(fd, b, len);
	assert_memory_equal(b, w.disk + off, len);
}

static inline int
connected(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strlcpy(sun.sun_path, w.path, sizeof(sun.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	turn();
	return fd;
}

static inline void
option(int fd, uint32_t opt, const void *data, uint32_t len)
{
	uint8_t b[16] = "IHAVEOPT";

	be(b + 8, opt, 4);
	be(b + 12, len, 4);
	put(fd, b, sizeof(b));
	if (len > 0)
		put(fd, data, len);
}

static inline int
greeted(uint32_t flags)
{
	int fd = connected();
	uint8_t b[18], f[4];

	get(fd, b, sizeof(b));
	assert_memory_equal(b, "NBDMAGICIHAVEOPT\0\3", 18);
	be(f, flags, 4);
	put(fd, f, 4);
	return fd;
}

/* An option's reply; its data are read into buf and terminated. */
static inline uint32_t
opt_reply(int fd, uint32_t opt, uint32_t type, char *buf, size_t size)
{
	uint32_t len;

	assert_true(get_be(fd, 8) == NBDP_OPT_REPLY_MAGIC);
	assert_int_equal(get_be(fd, 4), opt);
	assert_int_equal(get_be(fd, 4), type);
	len = (uint32_t)get_be(fd, 4);
	assert_true(len < size);
	get(fd, buf, len);
	buf[len] = '\0';
	return len;
}

static inline int
structured(void)
{
	static const uint8_t go[6] = {0};
	int fd = greeted(3);
	char b[64];

	option(fd, NBDP_OPT_STRUCTURED_REPLY, NULL, 0);
	opt_reply(fd, NBDP_OPT_STRUCTURED_REPLY, NBDP_REP_ACK, b, sizeof(b));
	option(fd, NBDP_OPT_GO, go, sizeof(go));
	assert_int_equal(
	    opt_reply(fd, NBDP_OPT_GO, NBDP_REP_INFO, b, sizeof(b)), 12);
	assert_true(b[11] & NBDP_SEND_DF);
	opt_reply(fd, NBDP_OPT_GO, NBDP_REP_INFO, b, sizeof(b));
	opt_reply(fd, NBDP_OPT_GO, NBDP_REP_ACK, b, sizeof(b));
	return fd;
}

static inline struct nbd_status
status(void)
{
	struct nbd_status st;

	nbd_status(w.nbd, &st);
	return st;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
