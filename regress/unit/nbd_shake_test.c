/* SPDX-License-Identifier: BSD-2-Clause */
/* The NBD server: the way in, and the socket itself. */
#include "nbd_world.h"

static void
the_socket_is_for_its_owner_alone(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(w.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
odd_configurations_are_refused(void **state)
{
	static const struct nbd_cb cb = {.request = on_request};
	static const struct nbd_conf bad[] = {
	    {.size = 1024, .block_min = 512, .clients_max = 0, .buffers = 8},
	    {.size = 1024, .block_min = 512, .clients_max = 4, .buffers = 15},
	    {.size = 1000, .block_min = 512, .clients_max = 1, .buffers = 8},
	    {.size = 4096, .block_min = 256, .clients_max = 1, .buffers = 8},
	    {.size = 6144, .block_min = 1536, .clients_max = 1, .buffers = 8},
	    {.size = 8192, .block_min = 8192, .clients_max = 1, .buffers = 8},
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(bad); i++) {
		assert_null(nbd_new(w.event, &bad[i], &cb, NULL));
		assert_int_equal(errno, EINVAL);
	}
}

static void
options_are_answered_one_by_one(void **state)
{
	static const uint8_t other[] = {0, 0, 0, 1, 'x', 0, 0};
	static const uint8_t short_go[] = {0, 0, 0};
	int fd = greeted(3);
	char b[256];

	(void)state;
	option(fd, NBDP_OPT_STARTTLS, NULL, 0);
	opt_reply(fd, NBDP_OPT_STARTTLS, NBDP_REP_ERR_UNSUP, b, sizeof(b));
	option(fd, NBDP_OPT_INFO, other, sizeof(other));
	opt_reply(fd, NBDP_OPT_INFO, NBDP_REP_ERR_UNKNOWN, b, sizeof(b));
	assert_string_equal(b, "no export of that name");
	option(fd, NBDP_OPT_GO, short_go, sizeof(short_go));
	opt_reply(fd, NBDP_OPT_GO, NBDP_REP_ERR_INVALID, b, sizeof(b));
	assert_string_equal(b, "option data too short");
	option(fd, NBDP_OPT_LIST, "x", 1);
	opt_reply(fd, NBDP_OPT_LIST, NBDP_REP_ERR_INVALID, b, sizeof(b));
	option(fd, NBDP_OPT_STRUCTURED_REPLY, "x", 1);
	opt_reply(
	    fd, NBDP_OPT_STRUCTURED_REPLY, NBDP_REP_ERR_INVALID, b, sizeof(b));
	option(fd, NBDP_OPT_LIST, NULL, 0);
	opt_reply(fd, NBDP_OPT_LIST, NBDP_REP_SERVER, b, sizeof(b));
	assert_string_equal(b + 4, "orders");
	opt_reply(fd, NBDP_OPT_LIST, NBDP_REP_ACK, b, sizeof(b));
	option(fd, NBDP_OPT_ABORT, NULL, 0);
	opt_reply(fd, NBDP_OPT_ABORT, NBDP_REP_ACK, b, sizeof(b));
	ended(fd);
	assert_int_equal(status().clients, 0);
}

static void
an_option_too_long_is_skipped_and_refused(void **state)
{
	static const uint8_t big[NBDP_OPT_DATA_MAX + 1];
	int fd = greeted(3);
	char b[64];

	(void)state;
	option(fd, NBDP_OPT_GO, big, sizeof(big));
	opt_reply(fd, NBDP_OPT_GO, NBDP_REP_ERR_TOO_BIG, b, sizeof(b));
	option(fd, NBDP_OPT_ABORT, NULL, 0);
	opt_reply(fd, NBDP_OPT_ABORT, NBDP_REP_ACK, b, sizeof(b));
	ended(fd);
}

static void
export_name_is_the_old_way_in(void **state)
{
	int fd = greeted(NBDP_FIXED_NEWSTYLE);
	uint8_t b[NBDP_EXPORT_REPLY_LEN];

	(void)state;
	w.at_once = true;
	option(fd, NBDP_OPT_EXPORT_NAME, "orders", 6);
	get(fd, b, sizeof(b));
	assert_int_equal(b[5], SIZE >> 16);
	assert_int_equal(b[9] & NBDP_SEND_DF, 0);
	ask(fd, 0, NBDP_READ, 1, 0, 512);
	simple(fd, 1, 0);
	data_is(fd, 0, 512);
	close(fd);
}

static void
these_end_the_handshake(void **state)
{
	static const uint8_t big[NBDP_OPT_DATA_MAX + 1];
	int fd;

	(void)state;
	fd = greeted(3); /* unknown name */
	option(fd, NBDP_OPT_EXPORT_NAME, "other", 5);
	ended(fd);
	fd = greeted(3); /* name too long */
	option(fd, NBDP_OPT_EXPORT_NAME, big, sizeof(big));
	ended(fd);
	fd = greeted(8); /* unknown flag */
	ended(fd);
	fd = greeted(0); /* not fixed newstyle, but an option of it */
	option(fd, NBDP_OPT_LIST, NULL, 0);
	ended(fd);
	fd = greeted(3); /* out of step */
	put(fd, "GET / HTTP/1.0\r\n\r\n", 18);
	ended(fd);
	assert_int_equal(status().refused, 5);
	assert_int_equal(status().clients, 0);
}

static void
one_client_too_many_waits_for_its_turn(void **state)
{
	int fds[4], fd;
	uint8_t b[18];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		fds[i] = greeted(3);
	fd = connected();
	nothing_there(fd);
	close(fds[2]);
	get(fd, b, sizeof(b));
	close(fd);
	for (unsigned i = 0; i < 4; i++)
		if (i != 2)
			close(fds[i]);
	turn();
	assert_int_equal(status().clients, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(the_socket_is_for_its_owner_alone),
	    T(odd_configurations_are_refused),
	    T(options_are_answered_one_by_one),
	    T(an_option_too_long_is_skipped_and_refused),
	    T(export_name_is_the_old_way_in),
	    T(these_end_the_handshake),
	    T(one_client_too_many_waits_for_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
