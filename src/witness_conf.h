/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of had-witness: lines of words.  Pure.
 *
 *	listen ADDRESS		1 to 4 of them, numeric
 *	port NUMBER		default 7770
 *	cluster NAME		and then its nodes:
 *	node ID FINGERPRINT
 *
 * '#' begins a comment.  A key may occur once: it says who somebody is.
 */
#ifndef WITNESS_CONF_H
#define WITNESS_CONF_H

#include "had.h"

enum {
	WC_LISTEN_MAX = 4,
	WC_CLUSTERS_MAX = 64,
	WC_PORT = 7770,
	WC_SIZE_MAX = 256 * 1024, /* of the file */
};

struct wc_node {
	uint8_t id;
	uint8_t pin[32]; /* SHA-256 of the SubjectPublicKeyInfo */
};

struct wc_cluster {
	char name[HAD_NAME_MAX];
	struct wc_node nodes[HAD_NODES_MAX];
	uint8_t n_nodes;
	int line;
};

struct wc {
	char listen[WC_LISTEN_MAX][46];
	uint8_t n_listen;
	uint16_t port;
	struct wc_cluster clusters[WC_CLUSTERS_MAX];
	uint8_t n_clusters;
};

typedef void (*wc_error)(void *ctx, int line, const char *text);

/* Fills in *c; calls error for each mistake.  Returns how many there are. */
int wc_parse(struct wc *c, const char *text, size_t len, wc_error, void *ctx);

/* Whose key is it?  NULL: nobody's. */
const struct wc_node *wc_find(
    const struct wc *, const uint8_t pin[32], const struct wc_cluster **);

#endif
