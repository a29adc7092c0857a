/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server that serves many peers finds by the key who it is; the greeting
 * has to agree.
 */
#include "seal_ends.h"

struct known {
	uint8_t pin[32];
	const char *cluster;
	uint8_t peer;
	unsigned asked;
};

static const char *
find(void *ctx, const uint8_t pin[32], const char **cluster, uint8_t *peer)
{
	struct known *k = ctx;

	k->asked++;
	if (memcmp(pin, k->pin, sizeof(k->pin)) != 0)
		return "its key is in no cluster of this witness";
	*cluster = k->cluster;
	*peer = k->peer;
	return NULL;
}

/* BRAVO serves, and knows ALPHA by k. */
static struct pair *
served(struct known *k)
{
	struct pair *p = new_pair();
	struct end *a = &p->end[ALPHA], *b = &p->end[BRAVO];

	pin_of(a->key, k->pin);
	k->cluster = "shop";
	k->peer = 1;
	a->who.peer = 255;
	b->who = (struct seal_who){
	    .cluster = "",
	    .self = 255,
	    .incarnation = 7,
	    .find = find,
	    .ctx = k,
	};
	p->rekey_records = 100;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	return p;
}

static void
a_known_key_is_served(void **state)
{
	struct known k = {.asked = 0};
	struct pair *p = served(&k);

	(void)state;
	start_tls(p);
	settle(p);
	assert_true(p->end[ALPHA].proven && p->end[BRAVO].proven);
	assert_int_equal(k.asked, 1);
	assert_memory_equal(
	    p->end[ALPHA].session.master, p->end[BRAVO].session.master, 32);
	send_on(p, ALPHA, 1, "hello");
	settle(p);
	expect_got(&p->end[BRAVO], 1, "hello");
	free_pair(p);
}

static void
refused(struct pair *p, const char *why)
{
	struct end *b = &p->end[BRAVO];
	int i, rounds;

	start_tls(p);
	for (rounds = 0; rounds < 20 && !b->refused; rounds++)
		for (i = 0; i < 2; i++)
			if (p->end[i].n_out > 0)
				deliver_nth(p, i, 0);
	assert_true(b->refused);
	assert_false(b->proven);
	assert_string_equal(b->why, why);
	free_pair(p);
}

static void
an_unknown_key_is_refused(void **state)
{
	struct known k = {.asked = 0};
	struct pair *p = served(&k);

	(void)state;
	k.pin[5] ^= 1;
	refused(p, "its key is in no cluster of this witness");
}

static void
a_key_of_another_cluster_is_refused(void **state)
{
	struct known k = {.asked = 0};
	struct pair *p = served(&k);

	(void)state;
	p->end[ALPHA].who.cluster = "other";
	refused(p, "it belongs to another cluster");
}

static void
a_node_id_that_is_not_of_that_key_is_refused(void **state)
{
	struct known k = {.asked = 0};
	struct pair *p = served(&k);

	(void)state;
	p->end[ALPHA].who.self = 2;
	refused(p, "node ids differ from the configuration");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_known_key_is_served),
	    cmocka_unit_test(an_unknown_key_is_refused),
	    cmocka_unit_test(a_key_of_another_cluster_is_refused),
	    cmocka_unit_test(a_node_id_that_is_not_of_that_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
