/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration, for the commands that work without a daemon; and the
 * node's key.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "hactl.h"
#include "hactl_int.h"
#include "keyfile.h"

struct conf *
hactl_conf(const struct hactl *h)
{
	enum { MAX = 1 << 20 };
	struct conf *c = calloc(1, sizeof(*c));
	char *bytes = calloc(1, MAX), *text = calloc(1, 65536);
	struct conf_errors errors = {.text = text, .size = 65536};
	FILE *f = fopen(h->conf_path, "re");
	size_t n = 0;
	int bad = -1;

	if (c == NULL || bytes == NULL || text == NULL)
		abort();
	if (f == NULL) {
		fprintf(
		    stderr, "hactl: %s: %s\n", h->conf_path, strerror(errno));
	} else {
		n = fread(bytes, 1, MAX, f);
		if (n < MAX)
			bad = conf_parse(c, h->conf_path, bytes, n, &errors);
		fclose(f);
		if (bad < 0)
			fprintf(stderr, "%.*shactl: %s has errors\n",
			    (int)errors.used, text, h->conf_path);
	}
	free(bytes);
	free(text);
	if (bad < 0) {
		free(c);
		return NULL;
	}
	return c;
}

const struct conf_volume *
hactl_volume(const struct conf *c, const char *name)
{
	const struct conf_volume *v = conf_volume_named(c, name);

	if (v == NULL)
		fprintf(stderr, "hactl: no volume is called %s\n", name);
	return v;
}

static bool
has_address(const struct ifaddrs *list, const char *addr)
{
	for (; list != NULL; list = list->ifa_next) {
		char text[46] = "";
		const struct sockaddr *sa = list->ifa_addr;
		const void *at = NULL;

		if (sa == NULL)
			continue;
		if (sa->sa_family == AF_INET)
			at = &((const struct sockaddr_in *)(const void *)sa)
				  ->sin_addr;
		else if (sa->sa_family == AF_INET6)
			at = &((const struct sockaddr_in6 *)(const void *)sa)
				  ->sin6_addr;
		if (at != NULL &&
		    inet_ntop(sa->sa_family, at, text, sizeof(text)) != NULL &&
		    strcmp(text, addr) == 0)
			return true;
	}
	return false;
}

const struct conf_node *
hactl_me(const struct conf *c)
{
	const struct conf_node *me = NULL;
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0)
		return NULL;
	for (unsigned i = 0; i < c->n_nodes; i++)
		for (unsigned l = 0; l < c->nodes[i].n_links; l++)
			if (has_address(list, c->nodes[i].links[l].addr))
				me = &c->nodes[i];
	freeifaddrs(list);
	if (me == NULL)
		fprintf(stderr,
		    "hactl: no node has a link address of this machine\n");
	return me;
}

int
cmd_keygen(struct hactl *h, int argc, char **argv)
{
	const char *path = argc == 2 ? argv[1] : SYSCONFDIR "/had/key.pem";
	uint8_t print[32];
	char why[512], text[KEYFILE_TEXT];

	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: hactl keygen [FILE]\n");
		return EX_USAGE;
	}
	if (argc == 1 && mkdir(SYSCONFDIR "/had", 0755) < 0 &&
	    errno != EEXIST) {
		fprintf(stderr, "hactl: %s: %s\n", SYSCONFDIR "/had",
		    strerror(errno));
		return EX_CANTCREAT;
	}
	if (keyfile_generate(path, print, why, sizeof(why)) < 0) {
		fprintf(stderr, "hactl: %s\n", why);
		return EX_CANTCREAT;
	}
	keyfile_text(print, text);
	if (h->json)
		printf("{\"version\": 1, \"file\": \"%s\", \"key\": "
		       "\"%s\"}\n",
		    path, text);
	else
		printf("key \"%s\"\n", text);
	return 0;
}
