/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock socket alone: its loop is turned by hand, clients are sockets of
 * this process, and what the core would be told is written down.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lock_proto.h"
#include "lock_sock.h"
#include "loop.h"

/* MANY big answers are more than a socket takes, and less than the queue. */
enum { CLIENTS = 4, QUEUE = 1 << 20, BIG = 16 * 1024, MANY = 40 };

struct world {
	char dir[40], path[60];
	sd_event *event;
	struct lks *lks;
	char told[4096]; /* "open 0; msg 0 hello; eof 0; " */
	gid_t gids[40];
	size_t n_gids;
	int close_at; /* hang up on whoever sends this many bytes; 0: none */
	int answers; /* big ones to give before that */
	pid_t other; /* it is the client, not this process */
};

static uint16_t
on_spaces(void *ctx, uid_t uid, const gid_t *gids, size_t n)
{
	struct world *w = ctx;

	(void)uid;
	w->n_gids = n < NITEMS(w->gids) ? n : NITEMS(w->gids);
	memcpy(w->gids, gids, w->n_gids * sizeof(*gids));
	return 5;
}

static void
tell(struct world *w, const char *what, unsigned client, const char *more)
{
	size_t used = strlen(w->told);

	snprintf(w->told + used, sizeof(w->told) - used, "%s %u%s; ", what,
	    client, more);
}

static void
on_open(void *ctx, uint32_t client, uid_t uid, gid_t gid, pid_t pid,
    uint16_t spaces)
{
	struct world *w = ctx;

	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, w->other != 0 ? 4000 : getegid());
	assert_int_equal(pid, w->other != 0 ? w->other : getpid());
	assert_int_equal(spaces, 5);
	tell(ctx, "open", client, "");
}

static void
on_msg(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	static const uint8_t big[BIG];
	struct world *w = ctx;
	char more[40];

	snprintf(more, sizeof(more), " %zu '%.8s'", len, (const char *)bytes);
	tell(w, "msg", client, more);
	for (int i = 0; i < w->answers; i++)
		lks_send(w->lks, client, big, sizeof(big));
	if (w->close_at == (int)len)
		lks_close(w->lks, client, "the test says so");
}

static void
on_eof(void *ctx, uint32_t client)
{
	tell(ctx, "eof", client, "");
}

static const struct lks_cb cb = {on_spaces, on_open, on_msg, on_eof};

/* Everything that can happen now happens. */
static void
turn(struct world *w)
{
	unsigned n = 0;

	while (sd_event_run(w->event, 0) > 0)
		assert_true(n++ < 1000);
}

/* What was told since the last time. */
static void
was_told(struct world *w, const char *what)
{
	turn(w);
	assert_string_equal(w->told, what);
	w->told[0] = '\0';
}

static int
serve(struct world *w, uint32_t uid_clients)
{
	struct lks_conf conf = {.path = w->path,
	    .clients_max = CLIENTS,
	    .uid_clients_max = uid_clients,
	    .queue_bytes = QUEUE};

	return lks_new(&w->lks, w->event, &conf, &cb, w);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/had-lks-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	snprintf(w->path, sizeof(w->path), "%s/sock", w->dir);
	assert_true(sd_event_new(&w->event) >= 0);
	assert_int_equal(serve(w, 0), 0);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	lks_free(w->lks);
	sd_event_unref(w->event);
	/* Nothing is left behind. */
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static int
client(struct world *w)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	strcpy(sa.sun_path, w->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	size_t len = strlen(text) + 1;

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* Length of the next message; 0: the end, -1: nothing now. */
static ssize_t
hear(int fd)
{
	static uint8_t buf[2 * BIG];
	ssize_t n;

	do {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	} while (n == -1 && errno == ECONNRESET);
	return n;
}

static void
clients_come_and_go(void **state)
{
	struct world *w = *state;
	struct lks_stats st;
	struct stat sb;
	int a = client(w), b;

	assert_int_equal(stat(w->path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0666);
	was_told(w, "open 0; ");
	b = client(w);
	say(a, "one");
	say(b, "two");
	turn(w);
	assert_non_null(strstr(w->told, "open 1; "));
	assert_non_null(strstr(w->told, "msg 0 4 'one'; "));
	assert_non_null(strstr(w->told, "msg 1 4 'two'; "));
	w->told[0] = '\0';
	close(a);
	was_told(w, "eof 0; ");
	a = client(w);
	was_told(w, "open 0; ");
	lks_send(w->lks, 0, (const uint8_t *)"hi", 3);
	assert_int_equal(hear(a), 3);
	assert_int_equal(hear(b), -1);
	lks_stats(w->lks, &st);
	assert_int_equal(st.clients, 2);
	assert_int_equal(st.accepted, 3);
	assert_int_equal(st.messages, 2);
	assert_int_equal(st.bytes_in, 8);
	assert_int_equal(st.bytes_out, 3);
	lks_free(w->lks);
	w->lks = NULL;
	assert_int_equal(hear(a), 0);
	assert_int_equal(hear(b), 0);
	was_told(w, "");
	close(a);
	close(b);
}

/* Who unlocks and leaves at once has unlocked, whatever it has not read. */
static void
last_words_are_heard(void **state)
{
	struct world *w = *state;
	int a = client(w);

	was_told(w, "open 0; ");
	lks_send(w->lks, 0, (const uint8_t *)"unread", 7);
	for (unsigned i = 0; i < 20; i++)
		say(a, "bye");
	close(a);
	turn(w);
	for (unsigned i = 0; i < 20; i++)
		assert_memory_equal(w->told + i * 15, "msg 0 4 'bye'; ", 15);
	assert_string_equal(w->told + 300, "eof 0; ");
}

static void
a_longer_message_shows(void **state)
{
	struct world *w = *state;
	static uint8_t junk[LKP_REQ_MSG_MAX + 5000];
	char wanted[40];
	int a = client(w);

	assert_int_equal(send(a, junk, LKP_REQ_MSG_MAX, 0), LKP_REQ_MSG_MAX);
	assert_int_equal(send(a, junk, sizeof(junk), 0), sizeof(junk));
	snprintf(wanted, sizeof(wanted), "msg 0 %d ''; ", LKP_REQ_MSG_MAX + 1);
	turn(w);
	assert_non_null(strstr(w->told, wanted));
	close(a);
}

/* What was queued arrives, then the end; the core hears no more of it. */
static void
hanging_up_waits_for_the_reader(void **state)
{
	struct world *w = *state;
	int a = client(w), heard = 0;
	ssize_t n;

	w->answers = MANY;
	w->close_at = 5;
	say(a, "done");
	was_told(w, "open 0; msg 0 5 'done'; ");
	say(a, "more");
	was_told(w, "");
	while ((n = hear(a)) != 0) {
		if (n == -1) {
			turn(w);
			continue;
		}
		assert_int_equal(n, BIG);
		heard++;
	}
	assert_int_equal(heard, MANY);
	was_told(w, "");
	close(a);
	a = client(w);
	was_told(w, "open 0; ");
	close(a);
}

static void
hanging_up_on_one_that_leaves(void **state)
{
	struct world *w = *state;
	struct lks_stats st;
	int a = client(w);

	w->answers = MANY;
	w->close_at = 5;
	say(a, "done");
	was_told(w, "open 0; msg 0 5 'done'; ");
	close(a);
	was_told(w, "");
	lks_stats(w->lks, &st);
	assert_int_equal(st.clients, 0);
}

/* It keeps nobody out who comes when all places are taken. */
static void
hanging_up_gives_way(void **state)
{
	struct world *w = *state;
	int fds[CLIENTS], late;

	for (unsigned i = 0; i < CLIENTS; i++)
		fds[i] = client(w);
	was_told(w, "open 0; open 1; open 2; open 3; ");
	w->answers = MANY;
	w->close_at = 5;
	say(fds[2], "done");
	was_told(w, "msg 2 5 'done'; ");
	late = client(w);
	was_told(w, "open 2; ");
	for (unsigned i = 0; i < CLIENTS; i++)
		close(fds[i]);
	close(late);
}

static void
who_does_not_read_is_cut_off(void **state)
{
	struct world *w = *state;
	static const uint8_t big[BIG];
	struct lks_stats st;
	int a = client(w), b = client(w), n = 0;

	was_told(w, "open 0; open 1; ");
	lks_stats(w->lks, &st);
	while (st.cut_off == 0) {
		lks_send(w->lks, 0, big, sizeof(big));
		lks_stats(w->lks, &st);
		assert_true(n++ < 1000);
	}
	/* Not from inside the call. */
	assert_string_equal(w->told, "");
	lks_send(w->lks, 0, big, sizeof(big));
	was_told(w, "eof 0; ");
	lks_stats(w->lks, &st);
	assert_int_equal(st.cut_off, 1);
	assert_int_equal(st.clients, 1);
	say(b, "well");
	was_told(w, "msg 1 5 'well'; ");
	close(a);
	close(b);
}

static void
places_are_bounded(void **state)
{
	struct world *w = *state;
	struct lks_stats st;
	int fds[CLIENTS], late;

	for (unsigned i = 0; i < CLIENTS; i++)
		fds[i] = client(w);
	late = client(w);
	was_told(w, "open 0; open 1; open 2; open 3; ");
	assert_int_equal(hear(late), 0);
	lks_stats(w->lks, &st);
	assert_int_equal(st.refused, 1);
	assert_int_equal(st.clients, CLIENTS);
	close(late);
	for (unsigned i = 0; i < CLIENTS; i++)
		close(fds[i]);
	turn(w);
	assert_int_equal(strlen(w->told), CLIENTS * strlen("eof 0; "));
	assert_non_null(strstr(w->told, "eof 0; "));
	assert_non_null(strstr(w->told, "eof 3; "));
}

/* One descriptor short: the client is turned away, the loop rests. */
static void
no_descriptor_no_spinning(void **state)
{
	struct world *w = *state;
	struct rlimit was, now;
	struct lks_stats st;
	int a = client(w), next;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(next);
	now = was;
	now.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	turn(w);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_string_equal(w->told, "");
	assert_int_equal(hear(a), 0);
	lks_stats(w->lks, &st);
	assert_int_equal(st.refused, 1);
	close(a);
	a = client(w);
	was_told(w, "open 0; ");
	close(a);
}

/* Supplementary groups are told, after the primary one. */
static void
groups_are_told(void **state)
{
	struct world *w = *state;
	const gid_t more[] = {4001, 4002};
	int status, ready[2];
	char c;

	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe(ready), 0);
	w->other = fork();
	if (w->other == 0) {
		if (setgroups(2, more) == -1 || setgid(4000) == -1)
			_exit(1);
		client(w);
		if (write(ready[1], "c", 1) != 1)
			_exit(2);
		pause();
		_exit(3);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	was_told(w, "open 0; ");
	assert_int_equal(w->n_gids, 3);
	assert_int_equal(w->gids[0], 4000);
	assert_int_equal(w->gids[1], 4001);
	assert_int_equal(w->gids[2], 4002);
	kill(w->other, SIGKILL);
	assert_int_equal(waitpid(w->other, &status, 0), w->other);
	was_told(w, "eof 0; ");
}

static void
a_dead_server_is_replaced(void **state)
{
	struct world *w = *state;
	struct world again = *w;
	char other[80];
	int fd;

	assert_int_equal(serve(&again, 0), -1);
	assert_int_equal(errno, EADDRINUSE);
	/* As if it had been killed: the file stays. */
	snprintf(other, sizeof(other), "%s.kept", w->path);
	assert_int_equal(rename(w->path, other), 0);
	lks_free(w->lks);
	w->lks = NULL;
	assert_int_equal(rename(other, w->path), 0);
	assert_int_equal(serve(w, 0), 0);
	fd = client(w);
	was_told(w, "open 0; ");
	close(fd);
}

static void
nothing_but_a_socket_is_removed(void **state)
{
	struct world *w = *state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	lks_free(w->lks);
	w->lks = NULL;
	fd = open(w->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(serve(w, 0), -1);
	assert_int_equal(errno, ENOTSOCK);
	assert_int_equal(unlink(w->path), 0);
	/* A live server of another kind is one, too. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(sa.sun_path, w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(serve(w, 0), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	assert_int_equal(serve(w, 0), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(clients_come_and_go),
	    T(last_words_are_heard),
	    T(a_longer_message_shows),
	    T(hanging_up_waits_for_the_reader),
	    T(hanging_up_on_one_that_leaves),
	    T(hanging_up_gives_way),
	    T(who_does_not_read_is_cut_off),
	    T(places_are_bounded),
	    T(no_descriptor_no_spinning),
	    T(groups_are_told),
	    T(a_dead_server_is_replaced),
	    T(nothing_but_a_socket_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
