/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The durable record of had-witness for one cluster: who has the lease of
 * which epoch.  Pure: bytes in, struct out.  A record that is torn, corrupt or
 * of another cluster is an error with a reason, never a guess.
 */
#ifndef WITNESS_FILE_H
#define WITNESS_FILE_H

#include "had.h"

enum { WF_SIZE = 80 }; /* bytes of an encoded record, always */

struct wf_record {
	char cluster[HAD_NAME_MAX];
	uint64_t epoch; /* of the lease; 0: none was granted ever */
	uint8_t holder; /* node id; 0 if and only if epoch is 0 */
	uint64_t incarnation; /* of the holder when it was granted */
	uint64_t serial; /* grows with every write */
};

void wf_encode(const struct wf_record *, uint8_t bytes[WF_SIZE]);

/*
 * Returns 0, or -1 and *why: length, magic, version, checksum, field, or
 * that it belongs to another cluster.
 */
int wf_decode(struct wf_record *, const char *cluster, const uint8_t *bytes,
    size_t len, const char **why);

#endif
