/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl faults: three configurations against golden texts, and what must hold
 * whatever the numbers are.  GOLDEN_UPDATE=1 writes the texts anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "faults.h"
#include "hactl.h"
#include "hactl_int.h"

#define DIR "regress/cli/golden/"

static struct conf *
load(const char *name)
{
	char path[128];
	struct hactl h = {.conf_path = path};
	struct conf *c;

	snprintf(path, sizeof(path), DIR "faults_%s.conf", name);
	c = hactl_conf(&h);
	assert_non_null(c);
	return c;
}

static char *
slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

/* Returns what the exit status of hactl would be. */
static int
golden(const char *name)
{
	const struct faults_options want = {.service = -1};
	struct conf *c = load(name);
	json_t *o = faults_json(c, &want);
	char path[128], *got = NULL, *text;
	size_t len = 0;
	FILE *f = open_memstream(&got, &len);
	int status;

	assert_non_null(o);
	text_faults(o, false, f);
	fclose(f);
	snprintf(path, sizeof(path), DIR "faults_%s.txt", name);
	if (getenv("GOLDEN_UPDATE") != NULL) {
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(got, f);
		fclose(f);
	}
	text = slurp(path);
	assert_string_equal(got, text);
	status = faults_status(o);
	free(text);
	free(got);
	json_decref(o);
	free(c);
	return status;
}

static void
takeover_by_golden_text(void **state)
{
	(void)state;
	/* Its only switch is one that clients need. */
	assert_int_equal(golden("takeover"), 1);
}

static void
wait_by_golden_text(void **state)
{
	(void)state;
	assert_int_equal(golden("wait"), 1);
}

static void
arbiters_by_golden_text(void **state)
{
	(void)state;
	assert_int_equal(golden("arbiters"), 1);
}

static int
find(const struct faults *f, const char *name)
{
	for (unsigned i = 0; i < faults_count(f); i++)
		if (strcmp(faults_name(f, i), name) == 0)
			return (int)i;
	fail_msg("no fault is called '%s'", name);
	return -1;
}

static struct faults_service
run(const struct conf *c, const char *first, const char *second,
    uint32_t gap_ms, struct faults_outcome *o)
{
	struct faults *f = faults_new(c, -1);
	int a, b;

	assert_non_null(f);
	a = find(f, first);
	b = second != NULL ? find(f, second) : -1;
	assert_int_equal(faults_run(f, (unsigned)a, b, gap_ms, o), 0);
	faults_free(f);
	return o->services[o->worst];
}

/* One or two faults by name; the outcome of the worst service. */
static struct faults_service
one(const char *conf, const char *first, const char *second, uint32_t gap_ms,
    struct faults_outcome *o)
{
	struct conf *c = load(conf);
	struct faults_service s = run(c, first, second, gap_ms, o);

	free(c);
	return s;
}

static void
active_dies_and_its_service_moves(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	s = one("takeover", "alpha crashes", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_MOVES);
	assert_int_equal(s.on, 2);
	/* Silence for takeover, then the steps. */
	assert_in_range(s.away_ms,
	    500 + FAULTS_MOUNT_MS + FAULTS_COMMAND_MS - 200,
	    500 + FAULTS_EXPORT_MS + FAULTS_MOUNT_MS + FAULTS_COMMAND_MS + 200);
	s = one("arbiters", "alpha crashes", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_MOVES);
	assert_int_equal(s.on, 2);
}

static void
standby_dies_and_nothing_moves(void **state)
{
	static const char *const faults[] = {"bravo crashes",
	    "bravo loses its power", "had dies on bravo",
	    "had freezes on bravo"};
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	for (unsigned i = 0; i < NITEMS(faults); i++) {
		s = one("arbiters", faults[i], NULL, 0, &o);
		assert_int_equal(s.kind, FAULTS_CONTINUES);
		assert_int_equal(s.on, 1);
		/* R14: nothing was acknowledged while that was undecided. */
		assert_true(s.held_ms > 100);
	}
}

static void
a_recommended_command_was_tried(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	s = one("wait", "north crashes", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	assert_int_equal(s.on, 0);
	assert_non_null(strstr(o.action, "hactl seed --peer-is-down north"));
	assert_int_equal(o.node, 2);
	assert_in_range(o.back_ms, 1, 5000);
}

/* The fence device had its power from the machine (R5). */
static void
a_fence_in_the_dead_machine_waits_for_confirm(void **state)
{
	struct conf *c = load("arbiters");
	char text[4096];
	struct conf_errors errors = {.text = text, .size = sizeof(text)};
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	memset(&c->witness, 0, sizeof(c->witness));
	assert_int_equal(conf_check(c, "no witness", &errors), 0);
	s = run(c, "alpha loses its power", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	assert_non_null(strstr(o.action, "hactl fence confirm alpha"));
	assert_int_equal(o.node, 2);
	s = run(c, "alpha crashes", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_MOVES);
	free(c);
}

/*
 * R7 comes a moment before the lease; the copy of a node that runs nothing is
 * as good as it was then.
 */
static void
a_lease_after_self_demotion_takes_the_data(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	s = one("arbiters", "had dies on alpha", "domain trunk passes nothing",
	    0, &o);
	assert_int_equal(s.kind, FAULTS_MOVES);
	assert_int_equal(s.on, 2);
}

/* What is enough to mend was found by mending it. */
static void
the_least_that_helps_is_recommended(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	/* The last one to run has the newest data, and may start alone. */
	s = one(
	    "takeover", "alpha crashes", "bravo crashes", FAULTS_DOUBLE_MS, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	assert_string_equal(o.action, "restart bravo");
	assert_int_equal(o.node, 0);
	assert_in_range(o.back_ms, 1, 20000);
	/* Neither may, not knowing of the other. */
	s = one("takeover", "alpha crashes", "bravo crashes", 0, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	assert_string_equal(o.action, "restart alpha and restart bravo");
	s = one("takeover", "alpha loses its cable of link lan",
	    "bravo loses its cable of link lan", FAULTS_DOUBLE_MS, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	assert_string_equal(o.action, "mend the cable of link lan at bravo");
	s = one("wait", "the disk of north fails", "south crashes",
	    FAULTS_DOUBLE_MS, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	assert_string_equal(o.action, "restart south");
}

/* The copy that the survivor has lacks what the other one acknowledged. */
static void
what_would_lose_data_is_not_recommended(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	s = one("arbiters", "domain trunk passes nothing", "alpha crashes",
	    FAULTS_DOUBLE_MS, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	assert_int_equal(o.node, 0);
	assert_null(strstr(o.action, "hactl"));
}

static void
a_cut_without_arbiter_risks_data(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	s = one("takeover", "link cross passes nothing",
	    "link lan passes nothing", 0, &o);
	assert_int_equal(s.kind, FAULTS_RISK);
	assert_non_null(strstr(o.why, "both nodes write"));
	/* R2: one after the other is jeopardy. */
	s = one("takeover", "link cross passes nothing",
	    "link lan passes nothing", FAULTS_DOUBLE_MS, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
	s = one("arbiters", "domain trunk passes nothing", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_CONTINUES);
}

static void
both_disks_lose_data(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	s = one("wait", "the disk of north fails", "the disk of south fails",
	    FAULTS_DOUBLE_MS, &o);
	assert_int_equal(s.kind, FAULTS_RISK);
	assert_non_null(strstr(o.why, "are lost with the disk of"));
}

/* R9 by ping nodes is not told as R9 by carriers. */
static void
isolation_names_its_evidence(void **state)
{
	struct faults_outcome o;

	(void)state;
	one("arbiters", "no ping node answers", "bravo crashes",
	    FAULTS_DOUBLE_MS, &o);
	assert_non_null(strstr(o.why, "no ping node answers here"));
	one("wait", "the cable of link one is cut",
	    "the cable of link two is cut", 0, &o);
	assert_non_null(strstr(o.why, "lost all its links"));
}

/* R9: with direct cables a machine without power takes all links with it. */
static void
direct_cables_do_not_isolate(void **state)
{
	struct faults_outcome o;
	struct faults_service s;

	(void)state;
	s = one("direct", "north loses its power", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_MOVES);
	assert_int_equal(s.on, 2);
	s = one("direct", "south loses its power", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_CONTINUES);
	/* Nothing tells one from the other: it waits. */
	s = one("wait", "north loses its power", NULL, 0, &o);
	assert_int_equal(s.kind, FAULTS_WAITS);
}

static void
the_dead_do_not_die_again(void **state)
{
	struct conf *c = load("takeover");
	struct faults *f = faults_new(c, -1);
	unsigned crash = (unsigned)find(f, "alpha crashes");
	unsigned power = (unsigned)find(f, "alpha loses its power");
	unsigned daemon = (unsigned)find(f, "had dies on alpha");
	unsigned other = (unsigned)find(f, "had dies on bravo");
	unsigned disk = (unsigned)find(f, "the disk of alpha fails");

	(void)state;
	assert_true(faults_void(f, crash, crash));
	assert_true(faults_void(f, crash, daemon));
	assert_true(faults_void(f, power, crash));
	assert_false(faults_void(f, daemon, crash));
	assert_false(faults_void(f, crash, power));
	assert_false(faults_void(f, crash, other));
	assert_false(faults_void(f, crash, disk));
	faults_free(f);
	free(c);
}

static void
the_same_run_has_the_same_outcome(void **state)
{
	struct faults_outcome a, b;

	(void)state;
	one("arbiters", "alpha crashes", "bravo crashes", 300, &a);
	one("arbiters", "alpha crashes", "bravo crashes", 300, &b);
	assert_memory_equal(&a, &b, sizeof(a));
}

/* Only that service counts. */
static void
one_service_alone(void **state)
{
	struct conf *c = load("takeover");
	const struct faults_options gate = {.service = 1, .single = true};
	json_t *o, *r;
	size_t i;

	(void)state;
	assert_string_equal(c->services[1].name, "gate");
	o = faults_json(c, &gate);
	assert_non_null(o);
	json_array_foreach(json_object_get(o, "single"), i, r)
	{
		assert_string_equal(
		    json_string_value(json_object_get(r, "service")), "gate");
		assert_int_equal(
		    json_array_size(json_object_get(r, "services")), 1);
	}
	assert_null(json_object_get(o, "at_once"));
	json_decref(o);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takeover_by_golden_text),
	    cmocka_unit_test(wait_by_golden_text),
	    cmocka_unit_test(arbiters_by_golden_text),
	    cmocka_unit_test(active_dies_and_its_service_moves),
	    cmocka_unit_test(standby_dies_and_nothing_moves),
	    cmocka_unit_test(a_recommended_command_was_tried),
	    cmocka_unit_test(a_fence_in_the_dead_machine_waits_for_confirm),
	    cmocka_unit_test(a_lease_after_self_demotion_takes_the_data),
	    cmocka_unit_test(the_least_that_helps_is_recommended),
	    cmocka_unit_test(what_would_lose_data_is_not_recommended),
	    cmocka_unit_test(a_cut_without_arbiter_risks_data),
	    cmocka_unit_test(both_disks_lose_data),
	    cmocka_unit_test(isolation_names_its_evidence),
	    cmocka_unit_test(direct_cables_do_not_isolate),
	    cmocka_unit_test(the_dead_do_not_die_again),
	    cmocka_unit_test(the_same_run_has_the_same_outcome),
	    cmocka_unit_test(one_service_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
