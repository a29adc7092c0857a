/* SPDX-License-Identifier: BSD-2-Clause */
/* The NBD server: requests, replies, misbehaving clients, the end. */
#include "nbd_world.h"

static void
what_is_written_is_read_back(void **state)
{
	static uint8_t data[200 * 1024];
	int fd = adopted(0);

	(void)state;
	w.at_once = true;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	ask(fd, 0, NBDP_WRITE, 1, 512, sizeof(data));
	put(fd, data, sizeof(data));
	simple(fd, 1, 0);
	assert_memory_equal(w.disk + 512, data, sizeof(data));
	ask(fd, 0, NBDP_READ, 2, 512, 4096);
	simple(fd, 2, 0);
	data_is(fd, 512, 4096);
	ask(fd, 0, NBDP_WRITE_ZEROES, 3, 0, SIZE);
	simple(fd, 3, 0);
	ask(fd, 0, NBDP_FLUSH, 4, 0, 0);
	simple(fd, 4, 0);
	assert_int_equal(w.disk[513], 0);
	assert_int_equal(status().writes, 1);
	assert_int_equal(status().written_bytes, sizeof(data));
	close(fd);
}

static void
a_request_is_cut_at_multiples_of_64k(void **state)
{
	int fd = adopted(0);

	(void)state;
	ask(fd, 0, NBDP_READ, 1, K64 - 1024, 2 * K64);
	turn();
	assert_int_equal(w.n_lent, 3);
	assert_int_equal(w.lent[0].len, 1024);
	assert_int_equal(w.lent[1].len, K64);
	assert_int_equal(w.lent[2].len, K64 - 1024);
	/* In whatever order they complete, the reply is one piece. */
	complete(1);
	complete(1);
	nothing_there(fd);
	complete(0);
	simple(fd, 1, 0);
	data_is(fd, K64 - 1024, 2 * K64);
	assert_int_equal(status().buffers_free, 32);
	close(fd);
}

static void
fua_reaches_the_pieces_that_it_concerns(void **state)
{
	static const uint8_t data[512];
	int fd = adopted(0);

	(void)state;
	ask(fd, NBDP_CMD_FUA, NBDP_WRITE, 1, 0, 512);
	put(fd, data, sizeof(data));
	ask(fd, 0, NBDP_WRITE, 2, 0, 512);
	put(fd, data, sizeof(data));
	ask(fd, NBDP_CMD_FUA, NBDP_TRIM, 3, 0, 512);
	ask(fd, NBDP_CMD_FUA, NBDP_READ, 4, 0, 512);
	turn();
	assert_int_equal(w.n_lent, 4);
	assert_true(w.lent[0].fua && !w.lent[1].fua);
	assert_true(w.lent[2].fua && !w.lent[3].fua);
	close(fd);
}

static void
structured_reads_answer_as_pieces_complete(void **state)
{
	int fd = structured();

	(void)state;
	ask(fd, 0, NBDP_READ, 9, 0, 2 * K64);
	turn();
	assert_int_equal(w.n_lent, 2);
	complete(1);
	assert_int_equal(chunk(fd, 9, 0, NBDP_CHUNK_DATA), K64 + 8);
	assert_int_equal(get_be(fd, 8), K64);
	data_is(fd, K64, K64);
	complete(0);
	assert_int_equal(
	    chunk(fd, 9, NBDP_CHUNK_DONE, NBDP_CHUNK_DATA), K64 + 8);
	assert_int_equal(get_be(fd, 8), 0);
	data_is(fd, 0, K64);
	close(fd);
}

static void
df_means_one_chunk_or_an_error(void **state)
{
	int fd = structured();
	char b[64];

	(void)state;
	ask(fd, NBDP_CMD_DF, NBDP_READ, 1, 512, K64);
	turn();
	assert_int_equal(w.n_lent, 2);
	complete(1);
	nothing_there(fd);
	complete(0);
	assert_int_equal(
	    chunk(fd, 1, NBDP_CHUNK_DONE, NBDP_CHUNK_DATA), K64 + 8);
	assert_int_equal(get_be(fd, 8), 512);
	data_is(fd, 512, K64);
	/* More than the four buffers that are its own. */
	ask(fd, NBDP_CMD_DF, NBDP_READ, 2, 0, 5 * K64);
	assert_int_equal(chunk(fd, 2, NBDP_CHUNK_DONE, NBDP_CHUNK_ERROR),
	    6 + strlen("too long for one fragment"));
	assert_int_equal(get_be(fd, 4), NBDP_EOVERFLOW);
	get(fd, b, 2 + strlen("too long for one fragment"));
	close(fd);
}

static void
an_error_of_one_piece_is_told_with_its_place(void **state)
{
	int fd = structured();

	(void)state;
	w.error = EIO;
	w.bad_off = K64;
	ask(fd, 0, NBDP_READ, 1, 0, 2 * K64);
	turn();
	complete(1);
	assert_int_equal(chunk(fd, 1, 0, NBDP_CHUNK_ERROR_OFFSET), 14);
	assert_int_equal(get_be(fd, 4), NBDP_EIO);
	assert_int_equal(get_be(fd, 2), 0);
	assert_int_equal(get_be(fd, 8), K64);
	complete(0);
	chunk(fd, 1, NBDP_CHUNK_DONE, NBDP_CHUNK_DATA);
	get_be(fd, 8);
	data_is(fd, 0, K64);
	assert_int_equal(status().errors, 1);
	close(fd);
}

static void
an_error_of_one_piece_fails_a_simple_request(void **state)
{
	static const uint8_t data[2 * K64];
	int fd = adopted(0);

	(void)state;
	w.at_once = true;
	w.error = ENOSPC;
	w.bad_off = K64;
	ask(fd, 0, NBDP_WRITE, 1, 0, sizeof(data));
	put(fd, data, sizeof(data));
	simple(fd, 1, NBDP_ENOSPC);
	ask(fd, 0, NBDP_READ, 2, 0, sizeof(data));
	simple(fd, 2, NBDP_ENOSPC);
	ask(fd, 0, NBDP_READ, 3, 0, 512);
	simple(fd, 3, 0);
	data_is(fd, 0, 512);
	assert_int_equal(status().buffers_free, 32);
	close(fd);
}

static void
a_read_longer_than_the_pool_streams(void **state)
{
	int fd = adopted(0);

	(void)state;
	restart_with(1, 4);
	close(fd);
	fd = adopted(0);
	w.at_once = true;
	ask(fd, 0, NBDP_READ, 1, 0, SIZE);
	simple(fd, 1, 0);
	data_is(fd, 0, SIZE);
	/* An error in its middle cannot be told: the connection ends. */
	w.error = EIO;
	w.bad_off = SIZE - 1;
	ask(fd, 0, NBDP_READ, 2, 0, SIZE);
	for (uint8_t b[4096]; read(fd, b, sizeof(b)) > 0;)
		turn();
	ended(fd);
	assert_int_equal(w.closed, 2);
	assert_int_equal(status().buffers_free, 4);
}

static void
each_malformed_request_gets_its_error_and_the_next_is_served(void **state)
{
	static const uint8_t data[40 << 20];
	int fd = adopted(0);

	(void)state;
	w.at_once = true;
	ask(fd, 0, 77, 1, 0, 512);
	simple(fd, 1, NBDP_EINVAL);
	ask(fd, 0, NBDP_READ, 2, SIZE, 512);
	simple(fd, 2, NBDP_EINVAL);
	ask(fd, 0, NBDP_WRITE, 3, SIZE, 512);
	put(fd, data, 512);
	simple(fd, 3, NBDP_ENOSPC);
	ask(fd, 0, NBDP_WRITE, 4, 0, sizeof(data));
	put(fd, data, sizeof(data));
	simple(fd, 4, NBDP_EINVAL);
	ask(fd, NBDP_CMD_DF, NBDP_READ, 5, 0, 512);
	simple(fd, 5, NBDP_EINVAL);
	ask(fd, 0, NBDP_TRIM, 6, 0, 100);
	simple(fd, 6, NBDP_EINVAL);
	ask(fd, 0, NBDP_READ, 7, 0, 512);
	simple(fd, 7, 0);
	data_is(fd, 0, 512);
	assert_int_equal(status().refused, 6);
	assert_int_equal(status().errors, 6);
	close(fd);
}

static void
bytes_out_of_step_end_the_connection_alone(void **state)
{
	int bad = adopted(7), good = adopted(8);
	uint8_t b[28] = {1, 2, 3};

	(void)state;
	w.at_once = true;
	put(bad, b, sizeof(b));
	ended(bad);
	assert_int_equal(w.closed, 1);
	assert_int_equal(w.closed_tag, 7);
	ask(good, 0, NBDP_READ, 1, 0, 512);
	simple(good, 1, 0);
	close(good);
}

static void
a_disconnect_waits_for_what_is_under_way(void **state)
{
	uint8_t b[512];
	int fd = adopted(0);

	(void)state;
	ask(fd, 0, NBDP_READ, 1, 0, 512);
	ask(fd, 0, NBDP_DISC, 2, 0, 0);
	nothing_there(fd);
	complete(0);
	simple(fd, 1, 0);
	get(fd, b, sizeof(b));
	ended(fd);
	assert_int_equal(status().refused, 0);
}

static void
the_pieces_of_a_client_that_left_stay_valid(void **state)
{
	int fd = adopted(0);

	(void)state;
	ask(fd, 0, NBDP_READ, 1, 0, 2 * K64);
	ask(fd, 0, NBDP_FLUSH, 2, 0, 0);
	turn();
	assert_int_equal(w.n_lent, 3);
	close(fd);
	turn();
	assert_int_equal(status().clients, 0);
	assert_int_equal(status().in_flight, 3);
	assert_int_equal(status().buffers_free, 30);
	/* Its slot is free for the next one at once. */
	fd = adopted(1);
	complete_all();
	assert_int_equal(status().buffers_free, 32);
	nothing_there(fd);
	close(fd);
}

static void
a_client_that_floods_leaves_room_for_others(void **state)
{
	int flood = adopted(0), other = adopted(1);

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		ask(flood, 0, NBDP_READ, i, 0, K64);
	turn();
	/* All but what is kept for the three others. */
	assert_int_equal(w.n_lent, 32 - 3 * 4);
	for (unsigned i = 0; i < 6; i++)
		ask(other, 0, NBDP_READ, i, 0, K64);
	turn();
	assert_int_equal(w.n_lent, 32 - 2 * 4);
	/* The flood reads no reply: the other one gets on all the same. */
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned k = 20; k < w.n_lent;)
			complete(k);
		simple(other, i, 0);
		data_is(other, 0, K64);
	}
	complete_all();
	close(flood);
	close(other);
}

static void
a_client_that_takes_no_replies_hurts_itself_alone(void **state)
{
	int deaf = adopted(0), other = adopted(1);

	(void)state;
	w.at_once = true;
	for (unsigned i = 0; i < 100; i++)
		ask(deaf, 0, NBDP_READ, i, 0, K64);
	for (unsigned i = 0; i < 40; i++) {
		ask(other, 0, NBDP_READ, i, 0, K64);
		simple(other, i, 0);
		data_is(other, 0, K64);
	}
	/* When it listens at last, everything is there. */
	for (unsigned i = 0; i < 100; i++) {
		simple(deaf, i, 0);
		data_is(deaf, 0, K64);
	}
	close(deaf);
	close(other);
}

static void
more_requests_than_fit_wait_in_the_socket(void **state)
{
	int fd = adopted(0);

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		ask(fd, 0, NBDP_FLUSH, i, 0, 0);
	turn();
	assert_int_equal(w.n_lent, NBD_PLAIN);
	for (unsigned i = 0; i < 200; i++) {
		complete(0);
		simple(fd, i, 0);
	}
	nothing_there(fd);
	close(fd);
}

static void
ready_replies_go_out_in_one_send(void **state)
{
	uint64_t before;
	int fd = adopted(0);

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		ask(fd, 0, NBDP_READ, i, i * 512, 512);
	turn();
	before = status().sends;
	while (w.n_lent > 0)
		complete(0);
	turn();
	assert_int_equal(status().sends, before + 1);
	for (unsigned i = 0; i < 16; i++) {
		simple(fd, i, 0);
		data_is(fd, i * 512, 512);
	}
	close(fd);
}

static void
a_trim_of_everything_does_not_hold_the_loop(void **state)
{
	int fd = adopted(0);

	(void)state;
	w.at_once = true;
	for (unsigned i = 0; i < 500; i++)
		ask(fd, 0, NBDP_TRIM, i, 0, SIZE);
	for (unsigned i = 0; i < 500; i++)
		simple(fd, i, 0);
	assert_int_equal(status().trims, 500);
	close(fd);
}

/* The end. */

static void
a_drain_answers_what_is_under_way(void **state)
{
	static const uint8_t part[1000];
	int fd = adopted(0), idle = greeted(3), half = adopted(1), sv[2];

	(void)state;
	ask(fd, 0, NBDP_READ, 1, 0, 512);
	ask(half, 0, NBDP_WRITE, 2, 0, K64);
	put(half, part, sizeof(part));
	turn();
	nbd_stop(w.nbd, true);
	turn();
	assert_int_equal(access(w.path, F_OK), -1);
	ended(idle);
	ended(half);
	assert_int_equal(w.stopped, 0);
	ask(fd, 0, NBDP_READ, 3, 0, 512); /* too late: never read */
	complete(0);
	simple(fd, 1, 0);
	data_is(fd, 0, 512);
	ended(fd);
	assert_int_equal(w.n_lent, 0);
	assert_int_equal(w.stopped, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(nbd_adopt(w.nbd, sv[1], 9), -1);
	assert_int_equal(errno, ESHUTDOWN);
	ended(sv[0]);
	nbd_free(w.nbd);
	w.nbd = NULL;
}

static void
a_stop_without_drain_ends_all_at_once(void **state)
{
	int fd = adopted(0);

	(void)state;
	ask(fd, 0, NBDP_READ, 1, 0, 512);
	turn();
	nbd_stop(w.nbd, false);
	ended(fd);
	assert_int_equal(w.stopped, 0); /* a piece is out */
	complete(0);
	turn();
	assert_int_equal(w.stopped, 1);
	nbd_free(w.nbd);
	w.nbd = NULL;
}

static void
a_drain_can_be_cut_short(void **state)
{
	int fd = adopted(0);

	(void)state;
	w.at_once = true;
	for (unsigned i = 0; i < 100; i++) /* and it does not read */
		ask(fd, 0, NBDP_READ, i, 0, K64);
	nbd_stop(w.nbd, true);
	turn();
	assert_int_equal(w.stopped, 0);
	nbd_stop(w.nbd, false);
	turn();
	assert_int_equal(w.stopped, 1);
	close(fd);
	nbd_free(w.nbd);
	w.nbd = NULL;
}

/* Random bytes, and random requests with a grain of sense. */
static uint32_t
rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)(*s >> 16);
}

static void
hostile(int fd, uint64_t *s)
{
	uint8_t junk[600];
	uint32_t n = rnd(s) % sizeof(junk);

	for (unsigned i = 0; i < n; i++)
		junk[i] = (uint8_t)rnd(s);
	switch (rnd(s) % 4) {
	case 0:
		(void)!write(fd, junk, n);
		break;
	case 1:
		be(junk, NBDP_REQUEST_MAGIC, 4);
		be(junk + 4, rnd(s) % 4, 2);
		be(junk + 6, rnd(s) % 9, 2);
		be(junk + 16, rnd(s) % (SIZE / 512 + 4) * 512, 8);
		be(junk + 24, rnd(s) % 300 * 512, 4);
		(void)!write(fd, junk, 28);
		break;
	case 2:
		memcpy(junk, "IHAVEOPT", 8);
		be(junk + 8, rnd(s) % 11, 4);
		be(junk + 12, rnd(s) % 300, 4);
		(void)!write(fd, junk, 16 + rnd(s) % 300);
		break;
	case 3:
		if (w.n_lent > 0)
			complete(rnd(s) % w.n_lent);
		break;
	}
	turn();
}

static void
whatever_comes_the_server_lives_on(void **state)
{
	uint64_t s;
	int fds[4];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (uint64_t seed = 1; seed <= 150; seed++) {
		s = seed * 0x9e3779b97f4a7c15;
		fds[0] = adopted(0);
		fds[1] = greeted(3);
		fds[2] = connected();
		fds[3] = structured();
		for (unsigned i = 0; i < 60; i++)
			hostile(fds[rnd(&s) % 4], &s);
		for (unsigned i = 0; i < 4; i++)
			close(fds[i]);
		complete_all();
		assert_int_equal(status().clients, 0);
		assert_int_equal(status().in_flight, 0);
		assert_int_equal(status().buffers_free, 32);
	}
	fds[0] = adopted(0);
	ask(fds[0], 0, NBDP_READ, 1, 0, 512);
	turn();
	complete(0);
	simple(fds[0], 1, 0);
	close(fds[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_is_written_is_read_back),
	    T(a_request_is_cut_at_multiples_of_64k),
	    T(fua_reaches_the_pieces_that_it_concerns),
	    T(structured_reads_answer_as_pieces_complete),
	    T(df_means_one_chunk_or_an_error),
	    T(an_error_of_one_piece_is_told_with_its_place),
	    T(an_error_of_one_piece_fails_a_simple_request),
	    T(a_read_longer_than_the_pool_streams),
	    T(each_malformed_request_gets_its_error_and_the_next_is_served),
	    T(bytes_out_of_step_end_the_connection_alone),
	    T(a_disconnect_waits_for_what_is_under_way),
	    T(the_pieces_of_a_client_that_left_stay_valid),
	    T(a_client_that_floods_leaves_room_for_others),
	    T(a_client_that_takes_no_replies_hurts_itself_alone),
	    T(more_requests_than_fit_wait_in_the_socket),
	    T(ready_replies_go_out_in_one_send),
	    T(a_trim_of_everything_does_not_hold_the_loop),
	    T(a_drain_answers_what_is_under_way),
	    T(a_stop_without_drain_ends_all_at_once),
	    T(a_drain_can_be_cut_short),
	    T(whatever_comes_the_server_lives_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
