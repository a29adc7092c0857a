/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbiters in the configuration: what the structs hold, that the chain of
 * timers is safe for every pair of dead and watchdog, and what the checker
 * alone refuses.  The files under regress/conf hold what files can say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_int.h"

#define GOOD "regress/conf/good/arbiters.conf"

static char messages[8192];

static char *
read_good(size_t *len)
{
	char *bytes;
	FILE *f;

	f = fopen(GOOD, "r");
	if (f == NULL)
		fail_msg(GOOD " cannot be read: run from the top of the tree");
	bytes = calloc(1, 65536);
	assert_non_null(bytes);
	*len = fread(bytes, 1, 65535, f);
	assert_true(*len > 0);
	fclose(f);
	return bytes;
}

static struct conf *
parse_good(void)
{
	struct conf_errors e = {.text = messages, .size = sizeof(messages)};
	struct conf *c;
	char *bytes;
	size_t len;

	c = malloc(sizeof(*c));
	assert_non_null(c);
	bytes = read_good(&len);
	if (conf_parse(c, "arbiters.conf", bytes, len, &e) != 0)
		fail_msg("%s", messages);
	free(bytes);
	return c;
}

static void
values_are_as_written(void **state)
{
	const struct conf_fence *f;
	struct conf *c;

	(void)state;
	c = parse_good();
	assert_string_equal(c->witness.addr, "192.0.2.53");
	assert_int_equal(c->witness.port, 8850);
	assert_int_equal(c->witness.key[0], 0xc0);
	assert_int_equal(c->witness.key[31], 0x32);
	assert_int_equal(c->n_lock_disks, 2);
	assert_string_equal(c->lock_disks[1], "/dev/vg1/lock");
	assert_int_equal(conf_n_voters(c), 3);
	assert_true(conf_arbitrated(c));
	assert_string_equal(c->watchdog, "/dev/watchdog");
	assert_int_equal(c->watchdog_timeout_ms, 2000);
	assert_int_equal(c->n_pings, 2);
	assert_string_equal(c->pings[1], "2001:db8::1");
	assert_int_equal(c->self_fence, CONF_SELF_FENCE_WATCHDOG);
	assert_string_equal(c->nodes[0].links[1].domain, "card");
	assert_string_equal(c->nodes[0].links[2].domain, "");
	assert_string_equal(c->nodes[1].links[2].domain, "switch-2");
	assert_int_equal(c->nodes[0].n_fences, 2);
	f = &c->nodes[0].fences[0];
	assert_string_equal(f->agent, "fence_ipmilan");
	assert_int_equal(f->timeout_ms, 30000);
	assert_int_equal(f->n_params, 5);
	assert_string_equal(f->params[2].name, "password");
	assert_true(f->params[2].file);
	assert_string_equal(f->params[2].value, "/etc/had/ipmi password");
	/* In quotes it is a value like any other. */
	assert_string_equal(f->params[3].value, "file");
	assert_false(f->params[3].file);
	f = &c->nodes[0].fences[1];
	assert_int_equal(f->timeout_ms, CONF_FENCE_TIMEOUT_MS);
	/* A macro behind file, and a parameter whose name is file. */
	assert_string_equal(f->params[2].value, "/etc/had/ipmi");
	assert_true(f->params[2].file);
	assert_string_equal(f->params[3].name, "file");
	assert_string_equal(f->params[3].value, "1");
	assert_int_equal(c->nodes[1].fences[0].n_params, 0);
	free(c);
}

/* What a node that waits for the other's end may count on, for all chains. */
static void
demotion_ends_before_takeover(void **state)
{
	struct conf_timers t;
	uint32_t dead, w;
	bool holds;

	(void)state;
	for (dead = 10; dead <= 3000; dead += 5) {
		for (w = 0; w <= 8000; w += 1000) {
			t = (struct conf_timers){
			    .heartbeat_ms = 2, .dead_ms = dead};
			holds = conf_timers_derive(&t, 1, w);
			/* The other's clock runs 2 % slow. */
			if (dead >= 15 &&
			    (w == 0 || dead * 204 + 1000 <= w * 100))
				assert_true(holds);
			if (!holds)
				continue;
			assert_true(t.self_demote_ms >= 2 * dead);
			assert_true(t.self_demote_ms > t.dead_ms);
			if (w != 0) {
				assert_int_equal(t.watchdog_ms, w);
				assert_true(t.self_demote_ms >= w / 2);
				assert_true(
				    t.self_demote_ms * 102 <= (w - 10) * 100);
				assert_true((w + t.lease_ms) * 102 <=
					    (t.takeover_ms - 10) * 100);
			} else
				assert_true(t.self_demote_ms * 102 <=
					    (t.takeover_ms - 10) * 100);
			/* And no longer than it has to be. */
			assert_true(
			    t.takeover_ms <=
			    (w != 0 ? w + t.lease_ms : 2 * dead) * 102 / 100 +
				11);
		}
	}
}

static void
the_chain_breaks_where_it_says(void **state)
{
	struct conf_bound b[CONF_BOUNDS_MAX];
	struct conf_timers t;
	size_t i, n, broken;

	(void)state;
	t = (struct conf_timers){.heartbeat_ms = 100, .dead_ms = 485};
	assert_true(conf_timers_derive(&t, 2, 1000));
	assert_int_equal(t.self_demote_ms, 970);
	/* Fed last while the peer was heard within the lease of 292. */
	assert_int_equal(t.takeover_ms, 1328);
	t.dead_ms = 486;
	assert_false(conf_timers_derive(&t, 2, 1000));
	n = conf_timers_bounds(&t, b);
	for (i = broken = 0; i < n; i++)
		if (b[i].small > b[i].large) {
			broken++;
			assert_string_equal(
			    b[i].what, "self-demote * 1.02 + 10 <= watchdog");
			assert_int_equal(b[i].small, 1002);
			assert_int_equal(b[i].large, 1000);
		}
	assert_int_equal(broken, 1);
	/* Without voters nobody is waited for, watchdog or not. */
	assert_true(conf_timers_derive(&t, 0, 1000));
	assert_int_equal(t.self_demote_ms, 0);
	assert_int_equal(t.watchdog_ms, 0);
	assert_int_equal(t.takeover_ms, 486);
}

static char *
print_arbiters(const struct conf *c)
{
	size_t need;
	char *text;

	need = conf_print_arbiters(c, NULL, 0);
	text = calloc(1, need + 1);
	assert_non_null(text);
	assert_int_equal(conf_print_arbiters(c, text, need + 1), need);
	return text;
}

/* What decides who may act; true while there is such a change. */
static bool
change_arbiters(struct conf *c, unsigned i)
{
	switch (i) {
	case 0:
		c->t.heartbeat_ms++;
		return true;
	case 1:
		c->t.dead_ms++;
		return true;
	case 2:
		c->silent = CONF_SILENT_WAIT;
		return true;
	case 3:
		c->witness.addr[0] = '\0';
		return true;
	case 4:
		c->witness.port++;
		return true;
	case 5:
		c->witness.key[31]++;
		return true;
	case 6:
		c->n_lock_disks--;
		return true;
	case 7:
		c->watchdog_timeout_ms += 1000;
		return true;
	case 8:
		c->n_pings--;
		return true;
	case 9:
		c->self_fence = CONF_SELF_FENCE_SYSRQ;
		return true;
	case 10:
		c->nodes[0].links[0].domain[0] = '\0';
		return true;
	case 11:
		c->nodes[0].n_fences--;
		return true;
	case 12:
		c->nodes[0].fences[0].timeout_ms++;
		return true;
	case 13:
		c->nodes[1].fences[0].agent[0]++;
		return true;
	case 14:
		c->nodes[0].fences[0].params[2].file = false;
		return true;
	case 15:
		c->nodes[0].fences[0].params[2].value[3]++;
		return true;
	default:
		return false;
	}
}

/* Reload compares this text: every arbiter is in it, and nothing else. */
static void
every_arbiter_is_compared(void **state)
{
	char *was, *is;
	struct conf *c;
	unsigned i;

	(void)state;
	c = parse_good();
	was = print_arbiters(c);
	for (i = 0; change_arbiters(c, i); i++) {
		is = print_arbiters(c);
		if (strcmp(was, is) == 0)
			fail_msg("change %u is not seen", i);
		free(is);
		free(c);
		c = parse_good();
	}
	assert_int_equal(i, 16);
	c->volumes[0].resync_rate_kib = 64;
	c->witness.line++;
	is = print_arbiters(c);
	assert_string_equal(was, is);
	free(is);
	free(was);
	free(c);
}

/* The checker alone: what the parser would not have let pass. */
static const char *
damage(struct conf *c, unsigned i)
{
	struct conf_fence *f = &c->nodes[0].fences[0];

	switch (i) {
	case 0:
		c->witness.addr[0] = 'x';
		return "witness: got address 'x92.0.2.53'";
	case 1:
		c->witness.port = 0;
		return "witness: got port 0";
	case 2:
		c->lock_disks[1][0] = 'x';
		return "lock disk: got \"xdev/vg1/lock\"";
	case 3:
		c->watchdog[0] = 'x';
		return "watchdog \"xdev/watchdog\"";
	case 4:
		c->watchdog_timeout_ms = 2001;
		return "watchdog timeout 2001ms, expected whole seconds";
	case 5:
		c->watchdog_timeout_ms = 0;
		return "watchdog timeout 0ms";
	case 6:
		c->watchdog_timeout_ms = CONF_WATCHDOG_MAX_MS + 1000;
		return "watchdog timeout 3601000ms";
	case 7:
		memcpy(c->pings[0], "x", 2);
		return "ping: got address 'x'";
	case 8:
		f->agent[0] = '-';
		return "fence: got agent '-ence_ipmilan'";
	case 9:
		f->timeout_ms = 0;
		return "fence fence_ipmilan: got timeout 0";
	case 10:
		memcpy(f->params[0].name, "action", 7);
		return "got parameter 'action'";
	case 11:
		memcpy(f->params[0].name, "a=b", 4);
		return "got parameter 'a=b'";
	case 12:
		f->params[0].value[0] = '\0';
		return "got value \"\" for ip";
	case 13:
		f->params[2].value[0] = 'x';
		return "got file \"xetc/had/ipmi password\" for password";
	case 14:
		c->nodes[1].n_fences = 0;
		return "node bravo: got no fence";
	case 15:
		c->nodes[0].n_fences = 0;
		return "node alpha: got no fence";
	case 16:
		c->silent = CONF_SILENT_TAKEOVER;
		return "'silent peer takeover' together with a witness";
	case 17:
		c->watchdog[0] = '\0';
		return "'self fence watchdog' without a watchdog";
	case 18:
		memcpy(f->params[3].name, "ip", 3);
		return "a second parameter ip";
	case 19:
		c->nodes[1].links[0].domain[0] = '-';
		return "link lan: got domain '-ard'";
	default:
		return NULL;
	}
}

static void
checker_alone_refuses_damage(void **state)
{
	struct conf_errors e;
	const char *want;
	struct conf *c;
	unsigned i;

	(void)state;
	for (i = 0;; i++) {
		c = parse_good();
		e = (struct conf_errors){
		    .text = messages, .size = sizeof(messages)};
		assert_int_equal(conf_check(c, "f", &e), 0);
		want = damage(c, i);
		if (want == NULL)
			break;
		assert_int_equal(conf_check(c, "f", &e), -1);
		if (strstr(messages, want) == NULL)
			fail_msg(
			    "damage %u: no \"%s\" in\n%s", i, want, messages);
		free(c);
	}
	free(c);
	assert_int_equal(i, 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_are_as_written),
	    cmocka_unit_test(demotion_ends_before_takeover),
	    cmocka_unit_test(the_chain_breaks_where_it_says),
	    cmocka_unit_test(every_arbiter_is_compared),
	    cmocka_unit_test(checker_alone_refuses_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
