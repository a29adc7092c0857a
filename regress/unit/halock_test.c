/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libhalock against the core behind a real socket: synchronous and
 * asynchronous calls, threads, the death of the daemon, strangers.
 */
#include "lock_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/un.h>

#include "halock.h"

static int
setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	server_start(s);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	server_end(*state);
	free(*state);
	return 0;
}

static struct halock *
open_it(const struct server *s)
{
	struct halock *h = halock_open(s->path, "default");

	assert_non_null(h);
	return h;
}

/* The next event of a type; waits on the descriptor. */
static struct halock_event
event(struct halock *h, enum halock_type type, uint64_t cookie)
{
	struct halock_event e;
	struct pollfd fd = {.fd = halock_fd(h), .events = POLLIN};
	int rc;

	for (;;) {
		while ((rc = halock_next(h, &e)) == 1)
			if (e.type == type &&
			    (cookie == 0 || e.cookie == cookie))
				return e;
		assert_int_equal(rc, 0);
		assert_int_equal(poll(&fd, 1, 10000), 1);
	}
}

static void
submit(struct halock *h, enum halock_op op, const char *name, uint64_t lock,
    enum halock_mode mode, unsigned flags, uint64_t cookie)
{
	struct halock_req r = {.op = op,
	    .mode = mode,
	    .flags = flags,
	    .cookie = cookie,
	    .lock = lock,
	    .name = name,
	    .name_len = name == NULL ? 0 : strlen(name)};

	assert_int_equal(halock_submit(h, &r, 1), 0);
}

static void
opening_says_why_not(void **state)
{
	struct server *s = *state;
	char path[128], longer[200];

	errno = 0;
	assert_null(halock_open("/nonexistent/lock.sock", "default"));
	assert_int_equal(errno, ENOENT);
	assert_null(halock_open(s->path, "nosuch"));
	assert_int_equal(errno, ENOENT);
	assert_null(halock_open(s->path, ""));
	assert_int_equal(errno, ENOENT);
	assert_null(halock_open(s->path, "closed"));
	assert_int_equal(errno, EACCES);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_null(halock_open(longer, "default"));
	assert_int_equal(errno, ENAMETOOLONG);
	/* A dead daemon leaves its socket; the next one replaces it. */
	server_kill(s);
	snprintf(path, sizeof(path), "%s", s->path);
	assert_null(halock_open(path, "default"));
	assert_int_equal(errno, ECONNREFUSED);
	server_run(s);
	setenv("HALOCK_SOCKET", s->path, 1);
	{
		struct halock *h = halock_open(NULL, "default");

		assert_non_null(h);
		halock_close(h);
	}
	unsetenv("HALOCK_SOCKET");
}

static void
synchronous_calls(void **state)
{
	struct halock *a = open_it(*state), *b = open_it(*state);
	struct halock_grant g, k;
	char value[HALOCK_VALUE_LEN] = "hello";

	assert_int_equal(halock_lock(a, "r", HALOCK_EX, 0, 0, &g), 0);
	assert_true(g.token > 0);
	assert_false(g.value_valid);
	assert_int_equal(
	    halock_lock(b, "r", HALOCK_PR, HALOCK_NOQUEUE, 0, &k), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(halock_lock(b, "r", HALOCK_PR, 0, 30, &k), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(
	    halock_convert(a, g.lock, HALOCK_PR, HALOCK_VALBLK, 0, value, &g),
	    0);
	assert_int_equal(
	    halock_lock(b, "r", HALOCK_PR, HALOCK_VALBLK, 0, &k), 0);
	assert_true(k.value_valid);
	assert_memory_equal(k.value, value, sizeof(value));
	assert_true(k.token > g.token);
	assert_int_equal(halock_cancel(b, k.lock), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(halock_unlock(a, g.lock, 0, NULL), 0);
	assert_int_equal(halock_unlock(a, g.lock, 0, NULL), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(
	    halock_lock(b, "", HALOCK_PR, HALOCK_VALBLK, 0, &k), -1);
	assert_int_equal(errno, EINVAL);
	halock_close(a);
	halock_close(b);
}

static void
asynchronous_calls(void **state)
{
	struct halock *a = open_it(*state), *b = open_it(*state);
	struct halock_event e;
	uint64_t lock;

	submit(a, HALOCK_OP_LOCK, "r", 0, HALOCK_EX, HALOCK_BAST, 1);
	lock = event(a, HALOCK_DONE, 1).lock;
	submit(b, HALOCK_OP_LOCK, "r", 0, HALOCK_PR, 0, 2);
	e = event(b, HALOCK_QUEUED, 2);
	assert_int_not_equal(e.lock, 0);
	e = event(a, HALOCK_BLOCKING, 0);
	assert_int_equal(e.lock, lock);
	assert_int_equal(e.mode, HALOCK_PR);
	submit(b, HALOCK_OP_QUERY, "r", 0, 0, 0, 3);
	e = event(b, HALOCK_ROW, 3);
	assert_int_equal(e.pid, getpid());
	assert_int_equal(e.node, 1);
	assert_false(e.waiting);
	assert_int_equal(e.mode, HALOCK_EX);
	e = event(b, HALOCK_ROW, 3);
	assert_true(e.waiting);
	assert_int_equal(e.rqmode, HALOCK_PR);
	assert_int_equal(event(b, HALOCK_DONE, 3).status, 0);
	submit(a, HALOCK_OP_UNLOCK, NULL, lock, 0, 0, 4);
	assert_int_equal(event(b, HALOCK_DONE, 2).status, 0);
	assert_int_equal(event(a, HALOCK_DONE, 4).status, 0);
	halock_close(a);
	halock_close(b);
}

static void
batches(void **state)
{
	struct halock *h = open_it(*state);
	static struct halock_req r[HALOCK_BATCH_MAX + 1];
	static char names[HALOCK_BATCH_MAX][8];
	uint64_t token = 0;

	for (unsigned i = 0; i < HALOCK_BATCH_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		r[i] = (struct halock_req){.op = HALOCK_OP_LOCK,
		    .mode = HALOCK_EX,
		    .cookie = i + 1,
		    .name = names[i],
		    .name_len = strlen(names[i])};
	}
	assert_int_equal(halock_submit(h, r, HALOCK_BATCH_MAX), 0);
	for (unsigned i = 0; i < HALOCK_BATCH_MAX; i++) {
		struct halock_event e = event(h, HALOCK_DONE, 0);

		assert_int_equal(e.status, 0);
		assert_int_equal(e.cookie, i + 1);
		assert_true(e.token > token);
		token = e.token;
	}
	/* All or nothing. */
	assert_int_equal(halock_submit(h, r, HALOCK_BATCH_MAX + 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(halock_submit(h, r, 0), -1);
	r[1].name_len = 0;
	assert_int_equal(halock_submit(h, r, 2), -1);
	assert_int_equal(errno, EINVAL);
	r[0].cookie = 1ULL << 63;
	assert_int_equal(halock_submit(h, r, 1), -1);
	halock_close(h);
}

static void
modes_have_names(void **state)
{
	(void)state;
	assert_string_equal(halock_mode_name(HALOCK_PW), "PW");
	assert_int_equal(halock_mode_parse("ex"), HALOCK_EX);
	assert_int_equal(halock_mode_parse("XX"), -1);
	assert_int_equal(errno, EINVAL);
}

/* Threads that share a connection. */
struct shared {
	struct halock *h;
	unsigned counter, both;
};

static char no_lock[] = "lock", two_hold[] = "two hold it",
	    no_unlock[] = "unlock";

static void *
count_up(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < 50; i++) {
		struct halock_grant g;

		if (halock_lock(s->h, "counter", HALOCK_EX, 0, 0, &g) != 0)
			return no_lock;
		if (__atomic_add_fetch(&s->both, 1, __ATOMIC_SEQ_CST) != 1)
			return two_hold;
		s->counter++;
		__atomic_sub_fetch(&s->both, 1, __ATOMIC_SEQ_CST);
		if (halock_unlock(s->h, g.lock, 0, NULL) != 0)
			return no_unlock;
	}
	return NULL;
}

static void
threads_share_a_connection(void **state)
{
	struct shared s = {.h = open_it(*state)};
	pthread_t t[8];

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, count_up, &s), 0);
	/* Meanwhile this one uses it asynchronously. */
	for (uint64_t i = 1; i <= 50; i++) {
		submit(s.h, HALOCK_OP_LOCK, "mine", 0, HALOCK_EX, 0, i);
		submit(s.h, HALOCK_OP_UNLOCK, NULL,
		    event(s.h, HALOCK_DONE, i).lock, 0, 0, 1000 + i);
		event(s.h, HALOCK_DONE, 1000 + i);
	}
	for (unsigned i = 0; i < 8; i++) {
		void *why;

		pthread_join(t[i], &why);
		assert_null(why);
	}
	assert_int_equal(s.counter, 8 * 50);
	halock_close(s.h);
}

static void
the_daemon_dies(void **state)
{
	struct server *s = *state;
	struct halock *h = open_it(s), *sync = open_it(s);
	struct pollfd fd = {.fd = halock_fd(h), .events = POLLIN};
	struct halock_event e;
	struct halock_grant g;
	int rc;

	submit(h, HALOCK_OP_LOCK, "r", 0, HALOCK_EX, 0, 1);
	event(h, HALOCK_DONE, 1);
	server_kill(s);
	do {
		assert_int_equal(poll(&fd, 1, 10000), 1);
		rc = halock_next(h, &e);
	} while (rc >= 0);
	assert_int_equal(errno, ENOTCONN);
	/* It stays readable, and says so again. */
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(halock_next(h, &e), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(halock_lock(sync, "r", HALOCK_EX, 0, 0, &g), -1);
	assert_int_equal(errno, ENOTCONN);
	halock_close(h);
	halock_close(sync);
}

static void
lost_and_found(void **state)
{
	struct server *s = *state;
	struct halock *h = open_it(s);
	struct halock_event e;

	submit(h, HALOCK_OP_LOCK, "r", 0, HALOCK_EX, 0, 1);
	event(h, HALOCK_DONE, 1);
	submit(h, HALOCK_OP_LOCK, "r", 0, HALOCK_EX, 0, 2);
	event(h, HALOCK_QUEUED, 2);
	server_tell(s, 'L');
	e = event(h, HALOCK_LOST, 0);
	assert_int_equal(e.grace_ms, SERVER_GRACE_MS);
	assert_int_equal(event(h, HALOCK_DONE, 2).status, ESTALE);
	submit(h, HALOCK_OP_LOCK, "r", 0, HALOCK_EX, 0, 3);
	event(h, HALOCK_QUEUED, 3);
	server_tell(s, 'R');
	event(h, HALOCK_RUNNING, 0);
	assert_int_equal(event(h, HALOCK_DONE, 3).status, 0);
	halock_close(h);
}

/* A program that uses synchronous calls only does not pile states up. */
static void
states_in_a_row_are_one_event(void **state)
{
	struct server *s = *state;
	struct halock *h = open_it(s);
	struct halock_event e;
	struct halock_grant g;
	unsigned n = 0;

	for (unsigned i = 0; i < 100; i++) {
		server_tell(s, 'S');
		server_tell(s, 'R');
	}
	assert_int_equal(halock_lock(h, "r", HALOCK_EX, 0, 0, &g), 0);
	while (halock_next(h, &e) == 1)
		n++;
	assert_int_equal(n, 1);
	assert_int_equal(e.type, HALOCK_RUNNING);
	halock_close(h);
}

/* Strangers. */

static int
raw_connect(const struct server *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, s->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Reads until the end; the status of the LKP_ERROR that came before it. */
static int
error_before_end(int fd)
{
	uint8_t buf[LKP_ANS_MSG_MAX];
	int status = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) != 0) {
		struct lkp_ans a;
		const char *why;

		if (n < 0) {
			/* It had not read all of it. */
			assert_int_equal(errno, ECONNRESET);
			continue;
		}
		assert_int_equal(
		    lkp_get_hdr(buf, (size_t)n, LKP_ANS_LEN, &why), 1);
		assert_int_equal(lkp_get_ans(&a, buf + LKP_HDR_LEN, &why), 0);
		if (a.type == LKP_ERROR)
			status = a.status;
	}
	close(fd);
	return status;
}

static void
garbage_hurts_only_its_sender(void **state)
{
	struct server *s = *state;
	struct halock *good = open_it(s);
	struct halock_grant g;
	static uint8_t junk[LKP_REQ_MSG_MAX + 1000];
	int fd;

	assert_int_equal(halock_lock(good, "r", HALOCK_EX, 0, 0, &g), 0);
	fd = raw_connect(s);
	assert_int_equal(send(fd, "what?", 5, 0), 5);
	assert_int_equal(error_before_end(fd), EPROTO);
	/* A message that is longer than any may be. */
	fd = raw_connect(s);
	lkp_put_hdr(junk, LKP_BATCH_MAX);
	assert_int_equal(
	    send(fd, junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
	assert_int_equal(error_before_end(fd), EPROTO);
	/* An empty one is the end. */
	fd = raw_connect(s);
	assert_int_equal(send(fd, "", 0, 0), 0);
	assert_int_equal(error_before_end(fd), 0);
	assert_int_equal(
	    halock_convert(good, g.lock, HALOCK_PR, 0, 0, NULL, &g), 0);
	halock_close(good);
}

static void
who_does_not_read_is_cut_off(void **state)
{
	struct server *s = *state;
	struct halock *good = open_it(s);
	struct halock_grant g;
	static uint8_t msg[LKP_HDR_LEN + 100 * LKP_REQ_LEN];
	int fd = raw_connect(s);
	unsigned n = 0;

	/* A hundred wrong requests each, and never an answer read. */
	lkp_put_hdr(msg, 100);
	for (unsigned i = 0; i < 100; i++) {
		struct lkp_req q = {.op = LKP_CONVERT, .lock = 1};

		lkp_put_req(msg + LKP_HDR_LEN + i * LKP_REQ_LEN, &q);
	}
	while (send(fd, msg, sizeof(msg), MSG_NOSIGNAL) > 0)
		assert_true(n++ < 10000);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	close(fd);
	assert_int_equal(halock_lock(good, "r", HALOCK_EX, 0, 0, &g), 0);
	halock_close(good);
}

static void
one_server_at_a_time(void **state)
{
	struct server *s = *state;
	static const struct lks_cb cb = {sv_spaces, sv_open, sv_msg, sv_eof};
	struct lks_conf conf = {
	    .path = s->path, .clients_max = 1, .queue_bytes = 1000};
	struct lks *lks;
	char longer[200];

	assert_int_equal(lks_new(&lks, NULL, &conf, &cb, NULL), -1);
	assert_int_equal(errno, EADDRINUSE);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	conf.path = longer;
	assert_int_equal(lks_new(&lks, NULL, &conf, &cb, NULL), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	conf.path = "/nonexistent/x.sock";
	assert_int_equal(lks_new(&lks, NULL, &conf, &cb, NULL), -1);
	assert_int_equal(errno, ENOENT);
}

/* As nobody: the quota of connections, and the group of a lockspace. */
static void
users_have_quotas_and_groups(void **state)
{
	struct server *s = *state;
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		struct halock *h[4];

		if (setgid(4242) == -1 || setuid(65534) == -1)
			_exit(10);
		for (unsigned i = 0; i < 3; i++)
			if ((h[i] = halock_open(s->path, "closed")) == NULL)
				_exit(11 + (int)i);
		h[3] = halock_open(s->path, "default");
		_exit(h[3] == NULL ? 0 : 20);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	/* Root is not counted. */
	struct halock *h[5];

	for (unsigned i = 0; i < 5; i++)
		h[i] = open_it(s);
	for (unsigned i = 0; i < 5; i++)
		halock_close(h[i]);
}

/* More than there are places for: the daemon hangs up, and lives. */
static void
places_are_bounded(void **state)
{
	struct server *s = *state;
	struct halock *h[SERVER_CLIENTS];

	for (unsigned i = 0; i < SERVER_CLIENTS; i++)
		h[i] = open_it(s);
	assert_null(halock_open(s->path, "default"));
	assert_int_equal(errno, ENOTCONN);
	halock_close(h[0]);
	/* Its place is free as soon as the daemon has noticed. */
	server_tell(s, 'R');
	do {
		h[0] = halock_open(s->path, "default");
	} while (h[0] == NULL && errno == ENOTCONN);
	for (unsigned i = 0; i < SERVER_CLIENTS; i++)
		halock_close(h[i]);
}

/* The example of the manual, as it is printed there. */
static void
the_manual_tells_the_truth(void **state)
{
	struct server *s = *state;
	char cmd[1024];

	if (access("man/halock.3", R_OK) == -1)
		fail_msg("run it in the top directory");
	snprintf(cmd, sizeof(cmd),
	    "awk '/^\\.Bd -literal/ { n++ } /^\\.Ed/ { on = 0 } on;"
	    "     /^\\.\\\\\" example begins/ { on = 1 }' man/halock.3 |"
	    "  grep -v '^\\.Bd' | sed 's/\\\\e/\\\\/g; s/\\\\&//g' >%s/ex.c &&"
	    "cc -std=gnu11 -Wall -Werror -Ilockmgr -Isrc -D_GNU_SOURCE"
	    "  -o %s/ex %s/ex.c lockmgr/halock.c lockmgr/halock_sync.c"
	    "  lockmgr/lock_proto.c -lpthread &&"
	    "HALOCK_SOCKET=%s timeout 20 %s/ex >%s/out && cat %s/out",
	    s->dir, s->dir, s->dir, s->path, s->dir, s->dir, s->dir);
	assert_int_equal(system(cmd), 0);
	snprintf(
	    cmd, sizeof(cmd), "grep -q '^run 1, token [0-9]*$' %s/out", s->dir);
	assert_int_equal(system(cmd), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(opening_says_why_not),
	    TEST(synchronous_calls),
	    TEST(asynchronous_calls),
	    TEST(batches),
	    TEST(modes_have_names),
	    TEST(threads_share_a_connection),
	    TEST(the_daemon_dies),
	    TEST(lost_and_found),
	    TEST(states_in_a_row_are_one_event),
	    TEST(garbage_hurts_only_its_sender),
	    TEST(who_does_not_read_is_cut_off),
	    TEST(one_server_at_a_time),
	    TEST(users_have_quotas_and_groups),
	    TEST(places_are_bounded),
	    TEST(the_manual_tells_the_truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
