/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever the file holds: mistakes are told, and what is taken is sound. */
#include <string.h>

#include "witness_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
on_mistake(void *ctx, int line, const char *text)
{
	int *n = ctx;

	ASSERT(line >= 0 && strlen(text) > 0);
	++*n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wc_cluster *cluster;
	int n = 0, errors;
	struct wc c;

	errors = wc_parse(&c, (const char *)data, size, on_mistake, &n);
	ASSERT(errors == n);
	ASSERT(c.n_listen <= WC_LISTEN_MAX && c.n_clusters <= WC_CLUSTERS_MAX);
	if (errors > 0)
		return 0;
	ASSERT(c.port != 0 && c.n_listen > 0 && c.n_clusters > 0);
	for (unsigned i = 0; i < c.n_clusters; i++) {
		const struct wc_cluster *cl = &c.clusters[i];

		ASSERT(cl->name[0] != '\0' && cl->name[0] != '.');
		ASSERT(strchr(cl->name, '/') == NULL);
		for (unsigned j = 0; j < cl->n_nodes; j++) {
			ASSERT(cl->nodes[j].id >= 1);
			ASSERT(cl->nodes[j].id <= HAD_NODES_MAX);
			ASSERT(wc_find(&c, cl->nodes[j].pin, &cluster) ==
			       &cl->nodes[j]);
			ASSERT(cluster == cl);
		}
	}
	return 0;
}
