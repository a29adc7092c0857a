/* SPDX-License-Identifier: BSD-2-Clause */
/* What regress/mutants asks of the mirror beyond its own tests. */
#include "mir_world.h"

/* The operation of that kind on the data of node id. */
static unsigned
data_op(struct world *w, uint8_t id, enum mir_cmd cmd)
{
	for (unsigned i = 0; i < W_OPS; i++) {
		const struct w_op *o = &w->n[id].d.ops[i];

		if (o->used && o->io.area == MIR_DATA && o->io.cmd == cmd)
			return i;
	}
	fail_msg("no such operation");
	return W_OPS;
}

/* All messages and all data of node 2, but nothing of its metadata. */
static void
run_without_metadata_of_2(struct world *w)
{
	bool any = true;

	while (any) {
		any = w_deliver(w, 1) || w_deliver(w, 2) ||
		      w_complete_any(w, 1, 0);
		for (unsigned i = 0; i < W_OPS && !any; i++) {
			const struct w_op *o = &w->n[2].d.ops[i];

			if (!o->used || o->io.area != MIR_DATA)
				continue;
			w_complete(w, 2, i, 0);
			any = true;
		}
	}
}

/*
 * A read fails and the disk is given up; a write that was under way ends well
 * after that.  Only the peer's copy will ever be looked at again: the write is
 * answered when that one says durably that it is alone.
 */
static void
an_answer_of_a_detached_disk_counts_no_more(void **state)
{
	struct world *w = new_synced(1);
	uint64_t before = w_status(w, 1).current;

	(void)state;
	w_write(w, 1, 0, 8);
	w_run(w);
	w->acks = 0;
	w_write(w, 1, 2, 2); /* hot: disk and peer at once */
	w_request(w, 1, MIR_READ, 512 * 512, 512);
	w_complete(w, 1, data_op(w, 1, MIR_READ), 5);
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_NONE);
	w_complete(w, 1, data_op(w, 1, MIR_WRITE), 0);
	run_without_metadata_of_2(w);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_NOCOPY);
	/* The read may be answered, by the peer; the write may not. */
	assert_true(w->reqs[0].used);
	assert_int_equal(w->reqs[0].cmd, MIR_WRITE);
	w_run(w);
	assert_false(w->reqs[0].used);
	assert_int_equal(w->acks, 2);
	assert_int_not_equal(w_status(w, 2).current, before);
	w_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_of_a_detached_disk_counts_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
