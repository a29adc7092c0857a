/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket against well-behaved, malformed, impatient and deaf
 * clients.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl.h"

struct world {
	sd_event *event;
	struct ctl *ctl;
	char dir[64], path[96];
	uint64_t later; /* a request that is answered later */
	unsigned requests, gone;
};

static void
request(void *ctx, uint64_t token, const char *op, json_t *req)
{
	struct world *w = ctx;

	(void)req;
	w->requests++;
	if (strcmp(op, "later") == 0) {
		w->later = token;
		return;
	}
	if (strcmp(op, "flood") == 0) {
		char *big = calloc(1, 1 << 20);

		assert_non_null(big);
		memset(big, 'x', (1 << 20) - 1);
		for (unsigned i = 0; i < 8; i++)
			ctl_send(
			    w->ctl, token, json_pack("{s:s}", "text", big));
		free(big);
		return;
	}
	ctl_done(w->ctl, token, 0, NULL, json_pack("{s:s}", "op", op));
}

static void
gone(void *ctx, uint64_t token)
{
	(void)token;
	((struct world *)ctx)->gone++;
}

static const struct ctl_cb cb = {.request = request, .gone = gone};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	strcpy(w->dir, "/tmp/ctl_test.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/ctl.sock", w->dir);
	assert_true(sd_event_new(&w->event) >= 0);
	w->ctl = ctl_new(w->event, w->path, &cb, w);
	assert_non_null(w->ctl);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	ctl_free(w->ctl);
	sd_event_unref(w->event);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static int
client(const struct world *w)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", w->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void
turn(struct world *w)
{
	while (sd_event_run(w->event, 0) > 0)
		;
}

/* Sends text and returns all that comes back. */
static const char *
talk(struct world *w, int fd, const char *text)
{
	static char buf[65536];
	ssize_t n;

	assert_int_equal(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn(w);
	n = recv(fd, buf, sizeof(buf) - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void
a_request_is_answered(void **state)
{
	struct world *w = *state;
	int fd = client(w);

	assert_string_equal(talk(w, fd, "{\"op\":\"status\"}\n"),
	    "{\"op\":\"status\",\"done\":true,\"code\":0,\"version\":1}\n");
	close(fd);
	turn(w);
	assert_int_equal(w->gone, 0);
}

static void
malformed_requests_each_get_a_reason(void **state)
{
	static const struct {
		const char *text, *expect;
	} cases[] = {
	    {"hello\n", "not JSON"},
	    {"{\"op\":1}\n", "needs an \\\"op\\\" that is a string"},
	    {"{}\n", "needs an \\\"op\\\" that is a string"},
	    {"[]\n", "needs an \\\"op\\\" that is a string"},
	    {"{\"op\":\"a\",\"op\":\"b\"}\n", "duplicate"},
	    {"\n", "not JSON"},
	};
	struct world *w = *state;
	int fd = client(w);

	for (unsigned i = 0; i < NITEMS(cases); i++)
		assert_non_null(
		    strstr(talk(w, fd, cases[i].text), cases[i].expect));
	assert_int_equal(w->requests, 0);
	/* And the connection still works. */
	assert_non_null(strstr(talk(w, fd, "{\"op\":\"x\"}\n"), "\"code\":0"));
	close(fd);
}

static void
an_endless_line_ends_the_client(void **state)
{
	struct world *w = *state;
	int fd = client(w);
	char *line = calloc(1, CTL_REQUEST_MAX + 1);

	assert_non_null(line);
	memset(line, 'a', CTL_REQUEST_MAX);
	assert_non_null(strstr(talk(w, fd, line), "longer than 16 KiB"));
	assert_int_equal(recv(fd, line, 1, 0), 0);
	free(line);
	close(fd);
}

static void
requests_wait_for_the_answer_before(void **state)
{
	struct world *w = *state;
	int fd = client(w);

	assert_string_equal(
	    talk(w, fd, "{\"op\":\"later\"}\n{\"op\":\"next\"}\n"), "");
	assert_int_equal(w->requests, 1);
	ctl_done(w->ctl, w->later, 75, "busy", NULL);
	assert_int_equal(w->requests, 2);
	assert_string_equal(talk(w, fd, ""),
	    "{\"done\":true,\"code\":75,\"error\":\"busy\",\"version\":1}\n"
	    "{\"op\":\"next\",\"done\":true,\"code\":0,\"version\":1}\n");
	close(fd);
}

static void
a_client_that_leaves_is_reported_and_its_token_is_dead(void **state)
{
	struct world *w = *state;
	int fd = client(w), other;

	talk(w, fd, "{\"op\":\"later\"}\n");
	close(fd);
	turn(w);
	assert_int_equal(w->gone, 1);
	other = client(w); /* takes the same slot */
	turn(w);
	ctl_done(w->ctl, w->later, 0, NULL, NULL);
	assert_string_equal(talk(w, other, ""), "");
	close(other);
}

static void
a_client_that_does_not_read_hurts_only_itself(void **state)
{
	struct world *w = *state;
	int deaf = client(w), fd = client(w);
	const char *flood = "{\"op\":\"flood\"}\n";

	assert_true(send(deaf, flood, strlen(flood), 0) > 0);
	turn(w);
	assert_int_equal(w->gone, 1);
	assert_non_null(strstr(talk(w, fd, "{\"op\":\"x\"}\n"), "\"code\":0"));
	close(deaf);
	close(fd);
}

static void
too_many_clients_are_turned_away(void **state)
{
	struct world *w = *state;
	int fds[CTL_CLIENTS_MAX + 1];
	char c;

	/* The listen queue is short: accept as they come. */
	for (unsigned i = 0; i < NITEMS(fds); i++) {
		fds[i] = client(w);
		turn(w);
	}
	assert_int_equal(recv(fds[CTL_CLIENTS_MAX], &c, 1, 0), 0);
	assert_non_null(
	    strstr(talk(w, fds[0], "{\"op\":\"x\"}\n"), "\"code\":0"));
	for (unsigned i = 0; i < NITEMS(fds); i++)
		close(fds[i]);
}

static void
a_living_daemon_keeps_its_socket_a_dead_ones_is_replaced(void **state)
{
	struct world *w = *state;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct ctl *second;
	int fd;

	assert_null(ctl_new(w->event, w->path, &cb, w));
	assert_int_equal(errno, EADDRINUSE);
	ctl_free(w->ctl);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	second = ctl_new(w->event, w->path, &cb, w);
	assert_non_null(second);
	w->ctl = second;
}

/* It is frozen, and as many as may wait for it do so. */
static void
a_socket_whose_daemon_hangs_is_not_taken(void **state)
{
	struct world *w = *state;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fds[256], rc = 0;
	unsigned n = 0;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", w->path);
	while (rc == 0) {
		assert_true(n < NITEMS(fds));
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		rc = connect(fds[n++], (struct sockaddr *)&sun, sizeof(sun));
	}
	assert_int_equal(errno, EAGAIN);
	assert_null(ctl_new(w->event, w->path, &cb, w));
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(access(w->path, F_OK), 0);
	while (n > 0)
		close(fds[--n]);
	turn(w);
}

/* The file goes with its daemon, and no file of another kind does. */
static void
nothing_but_a_socket_is_removed(void **state)
{
	struct world *w = *state;
	FILE *f;

	ctl_free(w->ctl);
	assert_int_equal(access(w->path, F_OK), -1);
	f = fopen(w->path, "w");
	assert_non_null(f);
	fclose(f);
	w->ctl = ctl_new(w->event, w->path, &cb, w);
	assert_null(w->ctl);
	assert_int_equal(errno, ENOTSOCK);
	assert_int_equal(unlink(w->path), 0);
	w->ctl = ctl_new(w->event, w->path, &cb, w);
	assert_non_null(w->ctl);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_request_is_answered),
	    T(malformed_requests_each_get_a_reason),
	    T(an_endless_line_ends_the_client),
	    T(requests_wait_for_the_answer_before),
	    T(a_client_that_leaves_is_reported_and_its_token_is_dead),
	    T(a_client_that_does_not_read_hurts_only_itself),
	    T(too_many_clients_are_turned_away),
	    T(a_living_daemon_keeps_its_socket_a_dead_ones_is_replaced),
	    T(a_socket_whose_daemon_hangs_is_not_taken),
	    T(nothing_but_a_socket_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
