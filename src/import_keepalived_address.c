/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of virtual_ipaddress and unicast_peer of keepalived.conf(5).
 */
#include <bsd/string.h>
#include <string.h>

#include "import_int.h"

uint8_t
imp_host(const char *text, uint8_t bytes[16])
{
	static const uint8_t zero[16];
	uint8_t family = conf_addr_parse(text, bytes);

	/* An IPv6 address with no host part is that of any router there. */
	if (family == 0 || !conf_addr_unicast(family, bytes) ||
	    (family == 6 && memcmp(bytes + 4, zero, 12) == 0))
		return 0;
	return family;
}

/* Words behind an address, as ip-address(8) has them. */
static const struct {
	const char *word;
	bool argument;
	const char *why; /* NULL: it has no meaning here that is missed */
} options[] = {
    {"brd", true, "had sets no broadcast address: nothing needs it"},
    {"broadcast", true, "had sets no broadcast address: nothing needs it"},
    {"label", true, "had sets no label: ip(8) shows the address without it"},
    {"scope", true, "had sets the scope global"},
    {"peer", true, "had has no addresses of point-to-point links"},
    {"preferred_lft", true, "had sets it by itself"},
    {"use_vmac", false, "'virtual mac' holds for all addresses of a router"},
    {"home", false, "had sets no such flag"},
    {"-nodad", false, "had sees to duplicate address detection by itself"},
    {"mngtmpaddr", false, "had sets no such flag"},
    {"noprefixroute", false, "had sets no such flag"},
    {"autojoin", false, "had sets no such flag"},
    {"no_track", false, "had always restores an address that is removed"},
};

/* The words behind the address; false: it cannot be converted at all. */
static bool
read_options(struct import *im, const struct imp_stmt *s, struct imp_addr *a)
{
	for (uint8_t i = 1; i < s->n; i++) {
		const char *arg = i + 1 < s->n ? s->word[i + 1] : "";
		size_t k;

		if (strcmp(s->word[i], "dev") == 0) {
			if (!conf_ifname_valid(arg)) {
				imp_tell(im, s->line, s->word[0],
				    "left out: got dev '%.80s', expected the "
				    "name of a network interface",
				    arg);
				return false;
			}
			strlcpy(a->ifname, arg, sizeof(a->ifname));
			i++;
			continue;
		}
		for (k = 0; k < NITEMS(options); k++)
			if (strcmp(options[k].word, s->word[i]) == 0)
				break;
		if (k == NITEMS(options)) {
			imp_tell(im, s->line, s->word[0],
			    "'%.80s' and what follows is left out: not "
			    "known here; each address stands on a line of its "
			    "own",
			    s->word[i]);
			return true;
		}
		if (strcmp(s->word[i], "scope") != 0 ||
		    strcmp(arg, "global") != 0)
			imp_tell(im, s->line, s->word[0],
			    "'%s' is left out: %s", options[k].word,
			    options[k].why);
		i += options[k].argument;
	}
	return true;
}

/* ADDRESS[/PREFIX] */
static bool
read_prefix(struct import *im, const struct imp_stmt *s, struct imp_addr *a)
{
	char text[IMP_TEXT_MAX];
	char *slash;
	unsigned prefix = 0;

	strlcpy(text, s->word[0], sizeof(text));
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash++ = '\0';
	a->family = imp_host(text, a->bytes);
	if (a->family == 0) {
		imp_tell(im, s->line, s->word[0],
		    "left out: expected a numeric unicast address");
		return false;
	}
	a->prefix = a->family == 4 ? 32 : 128;
	if (slash == NULL)
		return true;
	for (; *slash >= '0' && *slash <= '9' && prefix <= 128; slash++)
		prefix = prefix * 10 + (unsigned)(*slash - '0');
	if (*slash != '\0' || prefix < 1 || prefix > a->prefix) {
		imp_tell(im, s->line, s->word[0],
		    "left out: expected a prefix length from 1 to %u",
		    a->prefix);
		return false;
	}
	a->prefix = (uint8_t)prefix;
	if (conf_addr_is_network(a->family, a->bytes, a->prefix)) {
		imp_tell(im, s->line, s->word[0],
		    "left out: it is the address of a network or its "
		    "broadcast, expected that of a host");
		return false;
	}
	return true;
}

void
imp_address(struct import *im, const struct imp_stmt *s)
{
	struct imp_addr a = {.line = s->line, .excluded = im->excluded};

	a.instance = (uint16_t)(im->instance - im->instances);
	if (!read_prefix(im, s, &a) || !read_options(im, s, &a))
		return;
	for (uint16_t i = 0; i < im->n_addrs; i++)
		if (im->addrs[i].family == a.family &&
		    memcmp(im->addrs[i].bytes, a.bytes, 16) == 0) {
			imp_tell(im, s->line, s->word[0],
			    "left out: line %d has it already",
			    im->addrs[i].line);
			return;
		}
	if (im->n_addrs == HAD_ADDRESSES_MAX) {
		imp_tell(im, s->line, s->word[0],
		    "left out: had has at most %d addresses",
		    HAD_ADDRESSES_MAX);
		return;
	}
	im->addrs[im->n_addrs++] = a;
}

void
imp_peer(struct import *im, const struct imp_stmt *s)
{
	struct imp_instance *in = im->instance;
	uint8_t bytes[16], family;

	family = imp_host(s->word[0], bytes);
	if (family == 0) {
		imp_tell(im, s->line, s->word[0],
		    "left out: expected a numeric unicast address");
		return;
	}
	if (s->n > 1)
		imp_tell(im, s->line, s->word[0],
		    "'%.80s' and what follows is left out: had asks for the "
		    "hop limit 255, as the protocol does",
		    s->word[1]);
	for (uint8_t i = 0; i < in->n_peers; i++)
		if (in->peer_family[i] == family &&
		    memcmp(in->peers[i], bytes, sizeof(bytes)) == 0)
			return;
	if (in->n_peers == HAD_ROUTER_PEERS_MAX) {
		imp_tell(im, s->line, s->word[0],
		    "left out: a router of had has at most %d unicast peers",
		    HAD_ROUTER_PEERS_MAX);
		return;
	}
	in->peer_family[in->n_peers] = family;
	memcpy(in->peers[in->n_peers++], bytes, sizeof(bytes));
}
