/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records: what can happen to them under way, and how their keys change.
 */
#include "seal_ends.h"

static void
data_before_the_proof_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 1, "early");
	k = take(&p->end[ALPHA], 0);
	new_seal(p, BRAVO);
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(
	    p->end[BRAVO].why, "data before the peer has proven itself");
	free_pair(p);
}

static void
a_tampered_record_closes_the_association(void **state)
{
	size_t i, len;

	(void)state;
	len = SEAL_OVERHEAD + 5;
	for (i = 0; i < len; i++) {
		struct pair *p = paired(false, 1000);
		struct packet k;

		send_on(p, ALPHA, 2, "hello");
		k = take(&p->end[ALPHA], 0);
		assert_int_equal(k.len, len);
		k.bytes[i] ^= 0x10;
		assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
		assert_int_equal(p->end[BRAVO].n_got, 0);
		free_pair(p);
	}
}

static void
a_shortened_record_closes_the_association(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "hello");
	k = take(&p->end[ALPHA], 0);
	k.len = SEAL_OVERHEAD - 1;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record too short");
	k.len = SEAL_OVERHEAD + 4;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record does not open");
	free_pair(p);
}

static void
a_replayed_record_closes_an_ordered_association(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "once");
	k = take(&p->end[ALPHA], 0);
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_GOT_DATA);
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(
	    p->end[BRAVO].why, "replayed, lost or reordered record");
	free_pair(p);
}

static void
reordering_within_a_stream_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);

	(void)state;
	send_on(p, ALPHA, 2, "one");
	send_on(p, ALPHA, 2, "two");
	assert_int_equal(deliver_nth(p, ALPHA, 1), SEAL_BAD);
	free_pair(p);
}

static void
streams_may_overtake_each_other(void **state)
{
	struct pair *p = paired(false, 1000);

	(void)state;
	send_on(p, ALPHA, 2, "one");
	send_on(p, ALPHA, 3, "two");
	assert_int_equal(deliver_nth(p, ALPHA, 1), SEAL_GOT_DATA);
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_DATA);
	expect_got(&p->end[BRAVO], 2, "one");
	free_pair(p);
}

static void
a_record_on_another_stream_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "moved");
	k = take(&p->end[ALPHA], 0);
	k.stream = 3;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record of another stream");
	/* Even if the header is made to agree. */
	k.bytes[4] = 3;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record does not open");
	k.bytes[4] = k.stream = SEAL_STREAMS;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "stream out of range");
	free_pair(p);
}

static void
a_record_reflected_to_its_sender_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "mine");
	k = take(&p->end[ALPHA], 0);
	assert_int_equal(deliver(&p->end[ALPHA], &k), SEAL_BAD);
	assert_string_equal(p->end[ALPHA].why, "record does not open");
	free_pair(p);
}

static void
kinds_of_records_stay_in_their_places(void **state)
{
	struct pair *p = paired(false, 1000);
	struct end *b = &p->end[BRAVO];
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "x");
	k = take(&p->end[ALPHA], 0);
	k.unordered = true; /* and the header does not say so */
	assert_int_equal(deliver(b, &k), SEAL_DROP);
	k.bytes[5] = 0x80; /* says so, but this association has none */
	assert_int_equal(deliver(b, &k), SEAL_DROP);
	assert_string_equal(b->why, "record in a wrong place");
	memset(k.bytes, 0, SEAL_HEADER);
	k.bytes[0] = 1;
	k.bytes[1] = 77;
	k.stream = 0;
	k.unordered = false;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	assert_string_equal(b->why, "record of an unknown type");
	k.bytes[1] = SEAL_TLS;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	assert_string_equal(b->why, "handshake on a proven ctl");
	k.bytes[1] = SEAL_CONFIRM;
	k.bytes[4] = 0xff;
	k.bytes[5] = 0x7f;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	assert_string_equal(b->why, "confirmation of a wrong length");
	free_pair(p);
}

static void
empty_and_scattered_messages_survive(void **state)
{
	struct pair *p = paired(false, 1000);
	struct end *a = &p->end[ALPHA];
	char one[] = "hel", two[] = "", three[] = "lo";
	struct iovec iov[3] = {{one, 3}, {two, 0}, {three, 2}};
	struct packet *k;

	(void)state;
	send_on(p, ALPHA, 1, "");
	settle(p);
	expect_got(&p->end[BRAVO], 1, "");
	k = push(a, 1, false);
	k->len = seal_data(a->seal, 1, iov, 3, k->bytes, sizeof(k->bytes));
	settle(p);
	expect_got(&p->end[BRAVO], 2, "hello");
	free_pair(p);
}

static void
credit_travels_sealed(void **state)
{
	struct pair *p = paired(false, 1000);
	struct end *a = &p->end[ALPHA];
	struct packet *k = push(a, 0, false);

	(void)state;
	k->len = seal_credit(a->seal, 0x123456789abcdef0, k->bytes);
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_CREDIT);
	assert_true(p->end[BRAVO].credit == 0x123456789abcdef0);
	k = push(a, 0, false);
	k->len = seal_credit(a->seal, 1, k->bytes);
	k->bytes[SEAL_HEADER] ^= 1;
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_BAD);
	free_pair(p);
}

static void
unordered_records_may_be_lost_and_reordered_but_not_replayed(void **state)
{
	struct pair *p = paired(true, 1 << 20);
	struct end *b = &p->end[BRAVO];
	struct packet k[4];
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		send_on(p, ALPHA, 1, "beat");
		k[i] = take(&p->end[ALPHA], 0);
	}
	assert_int_equal(deliver(b, &k[3]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[1]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[1]), SEAL_DROP);
	assert_int_equal(deliver(b, &k[3]), SEAL_DROP);
	assert_int_equal(deliver(b, &k[0]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[0]), SEAL_DROP);
	assert_int_equal(b->n_got, 3);
	/* Far ahead: what fell out of the window is old. */
	for (i = 0; i < 300; i++) {
		send_on(p, ALPHA, 1, "beat");
		k[0] = take(&p->end[ALPHA], 0);
	}
	assert_int_equal(deliver(b, &k[0]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[2]), SEAL_DROP);
	assert_string_equal(b->why, "replayed, lost or reordered record");
	/* Tampering costs the record, not the association. */
	send_on(p, ALPHA, 1, "beat");
	k[0] = take(&p->end[ALPHA], 0);
	k[0].bytes[SEAL_HEADER] ^= 1;
	assert_int_equal(deliver(b, &k[0]), SEAL_DROP);
	k[0].bytes[SEAL_HEADER] ^= 1;
	assert_int_equal(deliver(b, &k[0]), SEAL_GOT_DATA);
	/* A forged high sequence does not move the window. */
	memset(k[0].bytes + 8, 0xff, 8);
	assert_int_equal(deliver(b, &k[0]), SEAL_DROP);
	send_on(p, ALPHA, 1, "beat");
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_DATA);
	free_pair(p);
}

static void
the_window_matches_a_model(void **state)
{
	struct pair *p = paired(true, 1 << 20);
	struct packet *k = calloc(1000, sizeof(*k));
	bool seen[1000] = {false};
	unsigned i, n, top = 0, rnd = 12345;
	enum seal_verdict v;
	bool fresh;

	(void)state;
	for (i = 0; i < 1000; i++) {
		send_on(p, ALPHA, 1, "beat");
		k[i] = take(&p->end[ALPHA], 0);
	}
	for (i = 0; i < 4000; i++) {
		rnd = rnd * 1103515245 + 12345;
		n = i / 4 + (rnd >> 16) % 400;
		if (n < 200 || n >= 1200)
			continue;
		n -= 200;
		fresh = !seen[n] && n + 256 >= top;
		v = deliver(&p->end[BRAVO], &k[n]);
		assert_int_equal(v, fresh ? SEAL_GOT_DATA : SEAL_DROP);
		if (fresh) {
			seen[n] = true;
			top = n + 1 > top ? n + 1 : top;
		}
	}
	free(k);
	free_pair(p);
}

static void
keys_change_before_they_are_used_up(void **state)
{
	struct pair *p = paired(false, 10);
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++) {
		send_on(p, (int)(i % 2), (uint16_t)(1 + i % 5), "traffic");
		settle(p);
	}
	assert_int_equal(p->end[ALPHA].n_got, 100);
	assert_int_equal(p->end[BRAVO].n_got, 100);
	assert_in_range(seal_epoch(p->end[ALPHA].seal), 8, 25);
	assert_int_equal(
	    seal_epoch(p->end[ALPHA].seal), seal_epoch(p->end[BRAVO].seal));
	free_pair(p);
}

/*
 * Keys change all the time, under traffic in both directions, with streams
 * that overtake each other at random.  Nothing is lost.
 */
static void
nothing_is_lost_while_keys_change_under_way(void **state)
{
	struct pair *p = paired(false, 20);
	unsigned i, n, j, rnd = 99, sent = 0;
	int from;

	(void)state;
	for (i = 0; i < 6000; i++) {
		rnd = rnd * 1103515245 + 12345;
		from = (rnd >> 16) & 1;
		if ((rnd >> 18) % 2 == 0 && p->end[from].n_out < 10) {
			send_on(p, from, (uint16_t)(1 + (rnd >> 20) % 8), "x");
			sent++;
			continue;
		}
		if (p->end[from].n_out == 0)
			continue;
		/* Any packet that is the first of its stream. */
		n = (rnd >> 20) % (unsigned)p->end[from].n_out;
		for (j = 0; j < n; j++)
			if (p->end[from].out[j].stream ==
			    p->end[from].out[n].stream)
				break;
		assert_int_not_equal(deliver_nth(p, from, j), SEAL_BAD);
	}
	settle(p);
	assert_int_equal(p->end[ALPHA].n_got + p->end[BRAVO].n_got, sent);
	assert_true(seal_epoch(p->end[ALPHA].seal) > 20);
	free_pair(p);
}

/* Gives both ends' associations another session, as after a new ctl. */
static struct seal_session
new_session(uint8_t n, uint64_t self)
{
	struct seal_session s = {.incarnation = self};

	memset(s.sid, n, sizeof(s.sid));
	memset(s.master, n ^ 0x55, sizeof(s.master));
	return s;
}

static void
use(struct pair *p, int who, uint8_t n)
{
	struct seal_session s = new_session(n, (uint64_t)who);

	seal_use(p->end[who].seal, &s);
	push_control(&p->end[who]);
}

static void
an_association_is_keyed_from_a_session_alone(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	p->unordered = true;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	/* Bravo's token comes before alpha has the session. */
	use(p, BRAVO, 1);
	settle(p);
	assert_false(seal_ready(p->end[ALPHA].seal));
	use(p, ALPHA, 1);
	settle(p);
	assert_true(seal_ready(p->end[ALPHA].seal));
	assert_true(seal_ready(p->end[BRAVO].seal));
	send_on(p, ALPHA, 1, "beat");
	settle(p);
	expect_got(&p->end[BRAVO], 1, "beat");
	free_pair(p);
}

static void
different_sessions_do_not_pair(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	use(p, ALPHA, 1);
	use(p, BRAVO, 2);
	settle(p);
	assert_false(seal_ready(p->end[ALPHA].seal));
	assert_false(seal_ready(p->end[BRAVO].seal));
	use(p, ALPHA, 2);
	settle(p);
	assert_true(seal_ready(p->end[ALPHA].seal));
	assert_true(seal_ready(p->end[BRAVO].seal));
	free_pair(p);
}

static void
a_forged_token_is_refused(void **state)
{
	struct pair *p = new_pair();
	struct packet k;

	(void)state;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	use(p, BRAVO, 1);
	use(p, ALPHA, 1);
	k = take(&p->end[ALPHA], 0);
	k.bytes[SEAL_HEADER + 8] ^= 1;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "forged token");
	k.len--;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "token of a wrong length");
	k.len++;
	k.bytes[2] = 9;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "token for a wrong epoch");
	free_pair(p);
}

/* Everything that alpha said on an association, said again on another. */
static void
a_replayed_exchange_proves_nothing(void **state)
{
	struct pair *p = new_pair();
	struct packet said[QUEUE];
	size_t n = 0, i;

	(void)state;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	use(p, BRAVO, 1);
	use(p, ALPHA, 1);
	while (p->end[ALPHA].n_out + p->end[BRAVO].n_out > 0) {
		if (p->end[ALPHA].n_out > 0) {
			said[n] = take(&p->end[ALPHA], 0);
			deliver(&p->end[BRAVO], &said[n++]);
		}
		if (p->end[BRAVO].n_out > 0)
			deliver_nth(p, BRAVO, 0);
	}
	assert_int_equal(n, 2);
	assert_true(seal_ready(p->end[BRAVO].seal));
	new_seal(p, BRAVO);
	use(p, BRAVO, 1);
	for (i = 0; i < n; i++)
		deliver(&p->end[BRAVO], &said[i]);
	assert_false(seal_ready(p->end[BRAVO].seal));
	free_pair(p);
}

static void
a_new_session_changes_the_keys_under_traffic(void **state)
{
	struct pair *p = paired(false, 1 << 20);

	(void)state;
	seal_use(p->end[ALPHA].seal, NULL);
	seal_use(p->end[BRAVO].seal, NULL);
	send_on(p, ALPHA, 1, "old keys still");
	settle(p);
	expect_got(&p->end[BRAVO], 1, "old keys still");
	send_on(p, ALPHA, 2, "under way");
	use(p, ALPHA, 9);
	use(p, BRAVO, 9);
	/* The data arrives after everything else. */
	while (p->end[ALPHA].n_out > 1 || p->end[BRAVO].n_out > 0) {
		if (p->end[ALPHA].n_out > 1)
			deliver_nth(p, ALPHA, 1);
		if (p->end[BRAVO].n_out > 0)
			deliver_nth(p, BRAVO, 0);
	}
	assert_int_equal(seal_epoch(p->end[BRAVO].seal), 2);
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_DATA);
	send_on(p, ALPHA, 2, "new keys");
	settle(p);
	expect_got(&p->end[BRAVO], 3, "new keys");
	free_pair(p);
}

static void
without_a_session_keys_do_not_change(void **state)
{
	struct pair *p = paired(false, 10);
	int i;

	(void)state;
	seal_use(p->end[ALPHA].seal, NULL);
	seal_use(p->end[BRAVO].seal, NULL);
	for (i = 0; i < 30; i++)
		send_on(p, ALPHA, 1, "x");
	settle(p);
	assert_int_equal(p->end[BRAVO].n_got, 30);
	assert_int_equal(seal_epoch(p->end[ALPHA].seal), 1);
	free_pair(p);
}

/*
 * ctl is lost again and again while keys change: sessions come to the two
 * ends at different times and in the middle of exchanges.
 */
static void
sessions_that_come_at_any_moment_end_well(void **state)
{
	unsigned seed, i, n, j, rnd, s[2];
	struct pair *p;
	int w;

	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		rnd = seed * 2654435761u;
		p = new_pair();
		p->rekey_records = 15;
		new_seal(p, ALPHA);
		new_seal(p, BRAVO);
		s[0] = s[1] = 0;
		for (i = 0; i < 300; i++) {
			rnd = rnd * 1103515245 + 12345;
			w = (rnd >> 16) & 1;
			switch ((rnd >> 17) % 16) {
			case 0:
				if (s[w] <= s[!w])
					use(p, w, (uint8_t)++s[w]);
				break;
			case 1:
				seal_use(p->end[w].seal, NULL);
				break;
			case 2:
			case 3:
				if (seal_ready(p->end[w].seal))
					send_on(p, w, 1 + (rnd >> 21) % 4, "x");
				break;
			default:
				if (p->end[w].n_out == 0)
					break;
				n = (rnd >> 21) % (unsigned)p->end[w].n_out;
				for (j = 0; j < n; j++)
					if (p->end[w].out[j].stream ==
					    p->end[w].out[n].stream)
						break;
				assert_int_not_equal(
				    deliver_nth(p, w, j), SEAL_BAD);
			}
			if (p->end[0].n_out > 40 || p->end[1].n_out > 40)
				settle(p);
		}
		/* All is well at last: one session for both. */
		use(p, ALPHA, 200);
		use(p, BRAVO, 200);
		settle(p);
		p->end[BRAVO].n_got = 0;
		assert_true(seal_ready(p->end[ALPHA].seal));
		send_on(p, ALPHA, 1, "well");
		settle(p);
		expect_got(&p->end[BRAVO], 1, "well");
		assert_int_equal(seal_epoch(p->end[ALPHA].seal),
		    seal_epoch(p->end[BRAVO].seal));
		free_pair(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(data_before_the_proof_is_refused),
	    cmocka_unit_test(a_tampered_record_closes_the_association),
	    cmocka_unit_test(a_shortened_record_closes_the_association),
	    cmocka_unit_test(a_replayed_record_closes_an_ordered_association),
	    cmocka_unit_test(reordering_within_a_stream_is_refused),
	    cmocka_unit_test(streams_may_overtake_each_other),
	    cmocka_unit_test(a_record_on_another_stream_is_refused),
	    cmocka_unit_test(a_record_reflected_to_its_sender_is_refused),
	    cmocka_unit_test(kinds_of_records_stay_in_their_places),
	    cmocka_unit_test(empty_and_scattered_messages_survive),
	    cmocka_unit_test(credit_travels_sealed),
	    cmocka_unit_test(
		unordered_records_may_be_lost_and_reordered_but_not_replayed),
	    cmocka_unit_test(the_window_matches_a_model),
	    cmocka_unit_test(keys_change_before_they_are_used_up),
	    cmocka_unit_test(nothing_is_lost_while_keys_change_under_way),
	    cmocka_unit_test(an_association_is_keyed_from_a_session_alone),
	    cmocka_unit_test(different_sessions_do_not_pair),
	    cmocka_unit_test(a_forged_token_is_refused),
	    cmocka_unit_test(a_replayed_exchange_proves_nothing),
	    cmocka_unit_test(a_new_session_changes_the_keys_under_traffic),
	    cmocka_unit_test(without_a_session_keys_do_not_change),
	    cmocka_unit_test(sessions_that_come_at_any_moment_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
