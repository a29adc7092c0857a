/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard's tables as nftables messages.  In the words of nft(8), with M the
 * mark bit VIP_GUARD_MARK, and for IPv4's destinations only:
 *
 *	table netdev had_guard {
 *		set guarded4 { type ipv4_addr; }
 *		chain clear_in { type filter hook ingress priority -320;
 *			ip daddr @guarded4 mark set mark & ~M }
 *		chain judge_in { type filter hook ingress priority -300;
 *			ip daddr @guarded4 jump judge }
 *		chain judge { mark & M == 0 drop; mark set mark & ~M accept }
 *	}
 *	table netdev had_lease { flags owner;
 *		set guarded4 { type ipv4_addr; }
 *		set open4 { type ipv4_addr; }
 *		set lease { type mark; flags timeout; }
 *		chain permit_in { type filter hook ingress priority -310;
 *			ip daddr @guarded4 jump permit0 }
 *		chain permit0 { M != @lease drop; ip daddr != @open4 drop;
 *			mark set mark | M }
 *	}
 *
 * The one element of lease is what a heartbeat renews, however many addresses
 * are open.
 *
 * Inward the destination counts, outward the source: this node may still be
 * somebody else's client and resolve and reach an address that a peer holds.
 */
#include <endian.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "vip_guard_msg.h"

enum {
	PRIO_CLEAR = -320,
	PRIO_PERMIT = -310,
	PRIO_JUDGE = -300,
	ADVERT = 112, /* VRRP, CARP */
	OP_REQUEST = 1,
};

const struct vip_guard_names vip_guard_names[] = {
    [VIP_GUARD_SERVICE] = {"had_guard", "had_lease", "table had_guard",
	"table had_lease (another had may own it)", VIP_GUARD_MARK},
    [VIP_GUARD_ROUTER] = {"had_guard_vr", "had_lease_vr", "table had_guard_vr",
	"table had_lease_vr (another had may own it)", VIP_GUARD_MARK_VR},
    [VIP_GUARD_SHARE] = {"had_guard_share", "had_lease_share",
	"table had_guard_share",
	"table had_lease_share (another had may own it)", VIP_GUARD_MARK_SHARE},
};

/* Where a packet carries an address of ours. */
struct selector {
	uint16_t hook; /* NF_NETDEV_INGRESS, NF_NETDEV_EGRESS */
	uint16_t proto; /* ETH_P_*; 0: any, it is a hardware address */
	uint8_t nd; /* ICMPv6 type, 0: none */
	enum { ANY, SENDER_FOREIGN, SOURCE_UNSPECIFIED } only;
	uint32_t base, offset;
	const char *permit; /* the chain that decides about it */
};

enum { ND_SOLICIT = 135, ND_ADVERT = 136 };

static const struct selector selectors[] = {
    {NF_NETDEV_INGRESS, ETH_P_IP, 0, ANY, NFT_PAYLOAD_NETWORK_HEADER, 16,
	"permit0"},
    /* Questions for it, but not what its holder says about it. */
    {NF_NETDEV_INGRESS, ETH_P_ARP, 0, SENDER_FOREIGN,
	NFT_PAYLOAD_NETWORK_HEADER, 24, "permit1"},
    {NF_NETDEV_INGRESS, ETH_P_IPV6, 0, ANY, NFT_PAYLOAD_NETWORK_HEADER, 24,
	"permit2"},
    {NF_NETDEV_INGRESS, ETH_P_IPV6, ND_SOLICIT, ANY,
	NFT_PAYLOAD_TRANSPORT_HEADER, 8, "permit3"},
    {NF_NETDEV_EGRESS, ETH_P_IP, 0, ANY, NFT_PAYLOAD_NETWORK_HEADER, 12,
	"permit4"},
    {NF_NETDEV_EGRESS, ETH_P_ARP, 0, ANY, NFT_PAYLOAD_NETWORK_HEADER, 14,
	"permit5"},
    {NF_NETDEV_EGRESS, ETH_P_IPV6, 0, ANY, NFT_PAYLOAD_NETWORK_HEADER, 8,
	"permit6"},
    {NF_NETDEV_EGRESS, ETH_P_IPV6, ND_ADVERT, ANY, NFT_PAYLOAD_TRANSPORT_HEADER,
	8, "permit7"},
    /* Duplicate address detection: a claim in the form of a question. */
    {NF_NETDEV_EGRESS, ETH_P_IPV6, ND_SOLICIT, SOURCE_UNSPECIFIED,
	NFT_PAYLOAD_TRANSPORT_HEADER, 8, "permit8"},
};

/*
 * Where there are virtual hardware addresses: what is sent to them (a backup
 * must not forward it) and from them (an interface that comes up tells its
 * multicast groups, and switches learn from that).
 */
static const struct selector mac_selectors[] = {
    {NF_NETDEV_INGRESS, 0, 0, ANY, NFT_PAYLOAD_LL_HEADER, 0, "permit9"},
    {NF_NETDEV_EGRESS, 0, 0, ANY, NFT_PAYLOAD_LL_HEADER, 6, "permit10"},
};

/* What an address is in the kernel's sets: one kind for each protocol. */
struct kind {
	uint32_t type, len;
	const char *guarded, *open;
};

static const struct kind *
kind_of(const struct selector *s)
{
	static const struct kind ip4 = {NFT_TYPE_IP4, 4, "guarded4", "open4"},
				 ip6 = {NFT_TYPE_IP6, 16, "guarded6", "open6"},
				 mac = {NFT_TYPE_ETHER, 6, "guardedm", "openm"};

	return s->proto == 0 ? &mac : s->proto == ETH_P_IPV6 ? &ip6 : &ip4;
}

static bool
is_router(const struct vip_batch *b)
{
	return b->names == &vip_guard_names[VIP_GUARD_ROUTER];
}

static bool
is_share(const struct vip_batch *b)
{
	return b->names == &vip_guard_names[VIP_GUARD_SHARE];
}

enum { MODEL_MAX = 64 };

/* What of an address goes into a set. */
enum content { ADDR, NO_ACCEPT, MAC, MAC_OF, PAIR };

/* Adds it, if this address has it. */
static bool
model_addr(
    struct nftnl_set *s, const struct vip_addr_conf *a, enum content what)
{
	uint32_t len = a->family == 4 ? 4 : 16;
	uint8_t pair[24] = {0};

	switch (what) {
	case NO_ACCEPT:
		if (!a->no_accept)
			return false;
		/* FALLTHROUGH */
	case ADDR:
		vg_model_add(s, a->bytes, len, NULL, 0);
		return true;
	case MAC:
		if (a->has_mac)
			vg_model_add(s, a->mac, 6, NULL, 0);
		break;
	case MAC_OF:
		if (a->has_mac || a->shared)
			vg_model_add(s, a->bytes, len, a->mac, 6);
		return a->has_mac || a->shared;
	case PAIR:
		/* In the order of the packet; each begins a register. */
		memcpy(pair, a->family == 4 ? a->mac : a->bytes,
		    a->family == 4 ? 6 : 16);
		memcpy(pair + (a->family == 4 ? 8 : 16),
		    a->family == 4 ? a->bytes : a->mac, a->family == 4 ? 4 : 6);
		if (a->has_mac)
			vg_model_add(
			    s, pair, a->family == 4 ? 12 : 24, NULL, 0);
		break;
	}
	return a->has_mac;
}

/* The addresses of one family (0: all) that are in which (NULL: all). */
static void
change_addrs(struct vip_batch *b, const char *table, const char *name,
    const struct vip_tables *t, int family, enum content what,
    const struct vip_set *which, uint16_t type)
{
	struct nftnl_set *s = vg_set_model(table, name);
	uint16_t i, n = 0;

	for (i = 0; i < t->n; i++) {
		const struct vip_addr_conf *a = &t->addrs[i];

		if (a->family == 0 || (family != 0 && a->family != family) ||
		    (which != NULL && !vip_set_has(which, i)))
			continue;
		n += model_addr(s, a, what);
		/* An element of a model is large, and so would be a model. */
		if (n == MODEL_MAX) {
			vg_put_model(b, s, type);
			s = vg_set_model(table, name);
			n = 0;
		}
	}
	/* To delete nothing by name would be to delete all. */
	if (n > 0)
		vg_put_model(b, s, type);
	else
		nftnl_set_free(s);
}

static void
put_addrs(struct vip_batch *b, const char *table, const char *name,
    const struct vip_tables *t, int family, enum content what,
    const struct vip_set *which)
{
	change_addrs(
	    b, table, name, t, family, what, which, NFT_MSG_NEWSETELEM);
}

/* The primary addresses of interfaces. */
static void
put_primary(struct vip_batch *b, const struct vip_tables *t)
{
	struct nftnl_set *s = vg_set_model(b->names->lease, "primary4");
	uint16_t i;

	for (i = 0; i < t->n_primary; i++)
		vg_model_add(
		    s, &t->primary[i].ifindex, 4, t->primary[i].addr, 4);
	if (t->n_primary > 0)
		vg_put_model(b, s, NFT_MSG_NEWSETELEM);
	else
		nftnl_set_free(s);
}

/* The attribute among those of len bytes at p; it was put there. */
static const struct nlattr *
attr_in(const void *p, uint32_t len, uint16_t type)
{
	const struct nlattr *a = p;

	while (mnl_attr_get_type(a) != type) {
		a = mnl_attr_next(a);
		ASSERT(
		    mnl_attr_ok(a, (int)(len - (uint32_t)((const char *)a -
							  (const char *)p))));
	}
	return a;
}

/* Where a time of the one element lies in the message. */
static uint16_t
elem_time(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *a =
	    attr_in(mnl_nlmsg_get_payload_offset(nlh, sizeof(struct nfgenmsg)),
		nlh->nlmsg_len - MNL_NLMSG_HDRLEN -
		    MNL_ALIGN(sizeof(struct nfgenmsg)),
		NFTA_SET_ELEM_LIST_ELEMENTS);

	a = attr_in(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a),
	    NFTA_LIST_ELEM);
	a = attr_in(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a), type);
	ASSERT(mnl_attr_get_payload_len(a) == sizeof(uint64_t));
	return (uint16_t)((const char *)mnl_attr_get_payload(a) -
			  (const char *)nlh);
}

/* With 64-bit times that are written over later. */
static void
make_lease(struct vip_batch *b)
{
	struct nftnl_set *s = vg_set_model(b->names->lease, "lease");
	struct nftnl_set_elem *e = vg_need(nftnl_set_elem_alloc());
	const struct nlmsghdr *nlh;
	size_t at = b->len;

	nftnl_set_elem_set(
	    e, NFTNL_SET_ELEM_KEY, &b->names->mark, sizeof(b->names->mark));
	nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_TIMEOUT, 1);
	nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_EXPIRATION, 1);
	nftnl_set_elem_add(s, e);
	vg_put_model(b, s, NFT_MSG_NEWSETELEM);
	nlh = (const struct nlmsghdr *)(b->buf + at);
	b->lease_len = (uint16_t)(b->len - at);
	ASSERT(b->lease_len <= sizeof(b->lease_msg));
	b->lease_times[0] = elem_time(nlh, NFTA_SET_ELEM_TIMEOUT);
	b->lease_times[1] = elem_time(nlh, NFTA_SET_ELEM_EXPIRATION);
	memcpy(b->lease_msg, nlh, b->lease_len);
}

/*
 * The lease ends in ms.  Given as the time left, too: that is what moves the
 * end of an element that exists, in kernels that can (6.12); the others have
 * to delete it before.
 *
 * This message leaves with every heartbeat and every round of adverts, so it
 * is made once and kept.
 */
static void
put_lease(struct vip_batch *b, uint64_t ms)
{
	uint64_t be = htobe64(ms);
	char *msg = b->buf + b->len;
	size_t i;

	ASSERT(ms > 0); /* that would be for ever */
	if (b->lease_len == 0)
		make_lease(b);
	else
		vg_put_again(b, b->lease_msg, b->lease_len, "set element");
	for (i = 0; i < NITEMS(b->lease_times); i++)
		memcpy(msg + b->lease_times[i], &be, sizeof(be));
}

/* Expressions, in the order of nft's own output. */

/* The packet is one of s, and its address is in register 1. */
static void
x_select(struct nftnl_rule *r, const struct selector *s)
{
	static const uint8_t unspecified[16] = {0}, icmp6 = IPPROTO_ICMPV6;
	uint16_t proto = htons(s->proto);

	if (s->proto != 0) {
		vg_x_meta(r, NFT_META_PROTOCOL, false);
		vg_x_cmp(r, &proto, sizeof(proto));
	}
	if (s->nd != 0) {
		vg_x_meta(r, NFT_META_L4PROTO, false);
		vg_x_cmp(r, &icmp6, 1);
		vg_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
		vg_x_cmp(r, &s->nd, 1);
	}
	if (s->only == SENDER_FOREIGN) {
		vg_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 14, 4);
		vg_x_lookup(r, "guarded4", true);
	} else if (s->only == SOURCE_UNSPECIFIED) {
		vg_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 8, 16);
		vg_x_cmp(r, unspecified, sizeof(unspecified));
	}
	vg_x_payload(r, s->base, s->offset, kind_of(s)->len);
}

/*
 * An address with a hardware address of its own lives on an interface of its
 * own, but the kernel speaks for it over the one below, too.
 */

/* Packets from it: not from the hardware address of the interface below. */
static void
put_own_source(struct vip_batch *b, const struct selector *s)
{
	struct nftnl_rule *r = vg_rule_new(b->names->lease, s->permit);

	vg_x_payload(r, s->base, s->offset, kind_of(s)->len);
	vg_x_map(r, kind_of(s)->len == 16 ? "macs6" : "macs4", NFT_REG_2);
	vg_x_write(r, NFT_REG_2, NFT_PAYLOAD_LL_HEADER, 6, 6);
	vg_put_rule(b, r);
}

/*
 * ARP about it that names another hardware address.  Answers are dropped, the
 * right one comes from its own interface.  A question ("who has the client?
 * tell this address") is needed, for the answer to the client goes by the
 * interface below: it is asked in the name of the primary address.
 */
static void
put_own_arp(struct vip_batch *b, const struct selector *s)
{
	static const uint32_t n = NFT_PAYLOAD_NETWORK_HEADER;
	uint16_t op = htons(OP_REQUEST);
	struct nftnl_rule *r;

	vg_put_chain(b, b->names->lease, "ask", 0, 0, NULL);
	r = vg_rule_new(b->names->lease, "ask");
	vg_x_payload(r, n, 6, 2);
	vg_x_cmp(r, &op, sizeof(op));
	vg_x_meta(r, NFT_META_OIF, false);
	vg_x_map(r, "primary4", NFT_REG_2);
	vg_x_write(r, NFT_REG_2, n, 14, 4);
	vg_x_verdict(r, NF_ACCEPT, NULL);
	vg_put_rule(b, r);
	r = vg_rule_new(b->names->lease, "ask");
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
	r = vg_rule_new(b->names->lease, s->permit);
	vg_x_payload(r, n, 14, 4);
	vg_x_map(r, "macs4", NFT_REG_2);
	vg_x_payload(r, n, 8, 6);
	vg_x_payload_to(r, NFT_REG32_02, n, 14, 4);
	vg_x_lookup(r, "bound4", true);
	vg_x_verdict(r, NFT_JUMP, "ask");
	vg_put_rule(b, r);
}

/* A neighbour advertisement for it that names another one. */
static void
put_own_nd(struct vip_batch *b, const struct selector *s)
{
	static const uint32_t t = NFT_PAYLOAD_TRANSPORT_HEADER;
	struct nftnl_rule *r = vg_rule_new(b->names->lease, s->permit);

	vg_x_payload(r, t, 8, 16);
	vg_x_map(r, "macs6", NFT_REG_3);
	vg_x_payload_to(r, NFT_REG_2, t, 26, 6);
	vg_x_lookup(r, "bound6", true);
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
}

/* Packets to an address that only announces itself (Accept_Mode off). */
static void
put_no_accept(struct vip_batch *b, const struct selector *s)
{
	static const uint8_t icmp6 = IPPROTO_ICMPV6, discovery = 133;
	bool v6 = s->proto == ETH_P_IPV6;
	struct nftnl_rule *r = vg_rule_new(b->names->lease, s->permit);

	if (v6) {
		vg_x_meta(r, NFT_META_L4PROTO, false);
		vg_x_cmp_op(r, NFT_CMP_NEQ, &icmp6, 1);
	}
	vg_x_payload(r, s->base, s->offset, kind_of(s)->len);
	vg_x_lookup(r, v6 ? "noaccept6" : "noaccept4", false);
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
	if (!v6)
		return;
	/* Neighbour discovery is never dropped, errors and echoes are. */
	r = vg_rule_new(b->names->lease, s->permit);
	vg_x_meta(r, NFT_META_L4PROTO, false);
	vg_x_cmp(r, &icmp6, 1);
	vg_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
	vg_x_cmp_op(r, NFT_CMP_LT, &discovery, 1);
	vg_x_payload(r, s->base, s->offset, kind_of(s)->len);
	vg_x_lookup(r, "noaccept6", false);
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
}

/* What only addresses of virtual routers have. */
static void
put_router(struct vip_batch *b, const struct selector *s)
{
	if (s->proto == 0 || s->only == SOURCE_UNSPECIFIED)
		return;
	if (s->hook == NF_NETDEV_INGRESS) {
		if (s->proto != ETH_P_ARP && s->nd == 0)
			put_no_accept(b, s);
	} else if (s->proto == ETH_P_ARP)
		put_own_arp(b, s);
	else if (s->nd != 0)
		put_own_nd(b, s);
	else
		put_own_source(b, s);
}

/* What had_lease does with packets of a selector, from the address on. */
static void
put_permit(struct vip_batch *b, const struct selector *s)
{
	const char *table = b->names->lease;
	struct nftnl_rule *r;

	vg_put_chain(b, table, s->permit, 0, 0, NULL);
	r = vg_rule_new(table, s->permit);
	vg_x_const(r, b->names->mark);
	vg_x_lookup(r, "lease", true);
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
	r = vg_rule_new(table, s->permit);
	vg_x_payload(r, s->base, s->offset, kind_of(s)->len);
	vg_x_lookup(r, kind_of(s)->open, true);
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
	if (is_router(b))
		put_router(b, s);
	if (is_share(b))
		vip_batch_share_rules(b, s->permit,
		    s->hook == NF_NETDEV_INGRESS, s->proto, s->nd,
		    s->only == SOURCE_UNSPECIFIED);
	r = vg_rule_new(table, s->permit);
	vg_x_mark(r, ~b->names->mark, b->names->mark);
	vg_put_rule(b, r);
}

static void
put_selector(struct vip_batch *b, const struct selector *s)
{
	const struct vip_guard_names *t = b->names;
	bool in = s->hook == NF_NETDEV_INGRESS;
	const char *guarded = kind_of(s)->guarded;
	struct nftnl_rule *r;

	r = vg_rule_new(t->guard, in ? "clear_in" : "clear_out");
	x_select(r, s);
	vg_x_lookup(r, guarded, false);
	vg_x_mark(r, ~t->mark, 0);
	vg_put_rule(b, r);
	put_permit(b, s);
	r = vg_rule_new(t->lease, in ? "permit_in" : "permit_out");
	x_select(r, s);
	vg_x_lookup(r, guarded, false);
	vg_x_verdict(r, NFT_JUMP, s->permit);
	vg_put_rule(b, r);
	r = vg_rule_new(t->guard, in ? "judge_in" : "judge_out");
	x_select(r, s);
	vg_x_lookup(r, guarded, false);
	vg_x_verdict(r, NFT_JUMP, "judge");
	vg_put_rule(b, r);
}

static void
put_judge(struct vip_batch *b)
{
	static const uint32_t none = 0;
	struct nftnl_rule *r;

	vg_put_chain(b, b->names->guard, "judge", 0, 0, NULL);
	r = vg_rule_new(b->names->guard, "judge");
	vg_x_meta(r, NFT_META_MARK, false);
	vg_x_bits(r, b->names->mark, 0);
	vg_x_cmp(r, &none, sizeof(none));
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
	/* Accept ends this chain only: other tables still have their say. */
	r = vg_rule_new(b->names->guard, "judge");
	vg_x_mark(r, ~b->names->mark, 0);
	vg_x_verdict(r, NF_ACCEPT, NULL);
	vg_put_rule(b, r);
}

/*
 * Adverts are had's own, the kernel never sends any: they say who the master
 * is, also before the addresses may speak and after.  Nobody asks for their
 * mark; each leaves all three chains at the top, for there are many.
 */
static void
put_adverts(struct vip_batch *b)
{
	static const uint8_t advert = ADVERT;
	const char *const where[][2] = {{b->names->guard, "clear_out"},
	    {b->names->lease, "permit_out"}, {b->names->guard, "judge_out"}};
	size_t i;

	for (i = 0; i < NITEMS(where); i++) {
		struct nftnl_rule *r = vg_rule_new(where[i][0], where[i][1]);

		vg_x_meta(r, NFT_META_L4PROTO, false);
		vg_x_cmp(r, &advert, 1);
		vg_x_verdict(r, NF_ACCEPT, NULL);
		vg_put_rule(b, r);
	}
}

static void
put_guarded(struct vip_batch *b, const char *table, const struct vip_tables *t)
{
	vg_put_set(b, table, "guarded4", NFT_TYPE_IP4, 4, 0);
	vg_put_set(b, table, "guarded6", NFT_TYPE_IP6, 16, 0);
	put_addrs(b, table, "guarded4", t, 4, ADDR, NULL);
	put_addrs(b, table, "guarded6", t, 6, ADDR, NULL);
	if (!is_router(b))
		return;
	vg_put_set(b, table, "guardedm", NFT_TYPE_ETHER, 6, 0);
	put_addrs(b, table, "guardedm", t, 0, MAC, NULL);
}

static void
put_open(
    struct vip_batch *b, const struct vip_tables *t, const struct vip_set *open)
{
	put_addrs(b, b->names->lease, "open4", t, 4, ADDR, open);
	put_addrs(b, b->names->lease, "open6", t, 6, ADDR, open);
	if (is_router(b))
		put_addrs(b, b->names->lease, "openm", t, 0, MAC, open);
}

static void
put_macs(struct vip_batch *b, const struct vip_tables *t)
{
	static const uint32_t ip4[2] = {NFT_TYPE_IP4, 4},
			      ip6[2] = {NFT_TYPE_IP6, 16},
			      mac[2] = {NFT_TYPE_ETHER, 6};

	vg_put_map(b, b->names->lease, "macs4", ip4, mac, 0);
	vg_put_map(b, b->names->lease, "macs6", ip6, mac, 0);
	put_addrs(b, b->names->lease, "macs4", t, 4, MAC_OF, NULL);
	put_addrs(b, b->names->lease, "macs6", t, 6, MAC_OF, NULL);
}

/* The sets that only a guard of virtual routers has. */
static void
put_router_sets(struct vip_batch *b, const struct vip_tables *t)
{
	static const uint32_t ip4[2] = {NFT_TYPE_IP4, 4},
			      ifindex[2] = {NFT_TYPE_IFINDEX, 4};
	const char *table = b->names->lease;

	vg_put_set(b, table, "openm", NFT_TYPE_ETHER, 6, 0);
	vg_put_set(b, table, "noaccept4", NFT_TYPE_IP4, 4, 0);
	vg_put_set(b, table, "noaccept6", NFT_TYPE_IP6, 16, 0);
	put_macs(b, t);
	vg_put_set(b, table, "bound4", NFT_TYPE_ETHER_IP4, 12, 0);
	vg_put_set(b, table, "bound6", NFT_TYPE_IP6_ETHER, 24, 0);
	vg_put_map(b, table, "primary4", ifindex, ip4, 0);
	put_addrs(b, table, "noaccept4", t, 4, NO_ACCEPT, NULL);
	put_addrs(b, table, "noaccept6", t, 6, NO_ACCEPT, NULL);
	put_addrs(b, table, "bound4", t, 4, PAIR, NULL);
	put_addrs(b, table, "bound6", t, 6, PAIR, NULL);
	put_primary(b, t);
}

/* The chains that the kernel calls: all there are of them. */
static void
put_hooks(struct vip_batch *b, const char *const *devs)
{
	const struct {
		const char *table, *in, *out;
		int32_t prio;
	} hooks[] = {
	    {b->names->guard, "clear_in", "clear_out", PRIO_CLEAR},
	    {b->names->lease, "permit_in", "permit_out", PRIO_PERMIT},
	    {b->names->guard, "judge_in", "judge_out", PRIO_JUDGE},
	};
	size_t i;

	for (i = 0; i < NITEMS(hooks); i++) {
		vg_put_chain(b, hooks[i].table, hooks[i].in, NF_NETDEV_INGRESS,
		    hooks[i].prio, devs);
		vg_put_chain(b, hooks[i].table, hooks[i].out, NF_NETDEV_EGRESS,
		    hooks[i].prio, devs);
	}
}

void
vip_batch_install(struct vip_batch *b, const struct vip_tables *t,
    const struct vip_set *open, uint64_t lease_ms)
{
	const char *lease = b->names->lease;
	size_t i;

	vg_put_table_anew(b, b->names->guard, 0, b->names->guard_what);
	vg_put_table_anew(b, lease, NFT_TABLE_F_OWNER, b->names->lease_what);
	put_guarded(b, b->names->guard, t);
	put_guarded(b, lease, t);
	vg_put_set(b, lease, "open4", NFT_TYPE_IP4, 4, 0);
	vg_put_set(b, lease, "open6", NFT_TYPE_IP6, 16, 0);
	vg_put_set(b, lease, "lease", NFT_TYPE_MARK, 4, NFT_SET_TIMEOUT);
	if (is_router(b))
		put_router_sets(b, t);
	if (is_share(b)) {
		put_macs(b, t);
		vip_batch_share(b, t->buckets);
	}
	put_open(b, t, open);
	if (lease_ms > 0)
		put_lease(b, lease_ms);
	put_judge(b);
	/* The kernel wants an interface for a base chain. */
	if (t->devs[0] == NULL)
		return;
	put_hooks(b, t->devs);
	if (is_router(b))
		put_adverts(b);
	for (i = 0; i < NITEMS(selectors); i++)
		put_selector(b, &selectors[i]);
	for (i = 0; is_router(b) && i < NITEMS(mac_selectors); i++)
		put_selector(b, &mac_selectors[i]);
}

/* Is the very address of id in the set, by whatever name? */
static bool
has_same(const struct vip_tables *t, const struct vip_set *set, uint16_t id)
{
	const struct vip_addr_conf *a = &t->addrs[id];

	for (uint16_t i = 0; i < t->n; i++)
		if (vip_set_has(set, i) && t->addrs[i].family == a->family &&
		    memcmp(t->addrs[i].bytes, a->bytes, sizeof(a->bytes)) == 0)
			return true;
	return false;
}

/*
 * Only what differs: 255 addresses that come or go one by one would else be
 * drawn 255 times, for 0.6 ms each.
 */
static void
put_changes(struct vip_batch *b, const struct vip_tables *t,
    const struct vip_set *old, const struct vip_set *open)
{
	struct vip_set less = {{0}}, more = {{0}};
	const char *table = b->names->lease;
	bool macs = false;

	for (uint16_t i = 0; i < t->n; i++) {
		if (vip_set_has(old, i) == vip_set_has(open, i))
			continue;
		macs = macs || t->addrs[i].has_mac;
		if (vip_set_has(open, i))
			vip_set_add(&more, i);
		else if (!has_same(t, open, i))
			vip_set_add(&less, i);
	}
	change_addrs(b, table, "open4", t, 4, ADDR, &less, NFT_MSG_DELSETELEM);
	change_addrs(b, table, "open6", t, 6, ADDR, &less, NFT_MSG_DELSETELEM);
	put_addrs(b, table, "open4", t, 4, ADDR, &more);
	put_addrs(b, table, "open6", t, 6, ADDR, &more);
	/* Several addresses share one of these. */
	if (!is_router(b) || !macs)
		return;
	vg_put_flush(b, table, "openm");
	put_addrs(b, table, "openm", t, 0, MAC, open);
}

void
vip_batch_open(struct vip_batch *b, const struct vip_tables *t,
    const struct vip_set *old, const struct vip_set *open)
{
	if (old != NULL) {
		put_changes(b, t, old, open);
		return;
	}
	vg_put_flush(b, b->names->lease, "open4");
	vg_put_flush(b, b->names->lease, "open6");
	if (is_router(b))
		vg_put_flush(b, b->names->lease, "openm");
	put_open(b, t, open);
}

void
vip_batch_primary(struct vip_batch *b, const struct vip_tables *t)
{
	ASSERT(is_router(b));
	vg_put_flush(b, b->names->lease, "primary4");
	put_primary(b, t);
}

void
vip_batch_lease(struct vip_batch *b, uint64_t lease_ms, bool in_place)
{
	if (!in_place)
		vg_put_flush(b, b->names->lease, "lease");
	if (lease_ms > 0)
		put_lease(b, lease_ms);
}

void
vip_batch_remove(struct vip_batch *b)
{
	const struct vip_guard_names *t = b->names;

	/* Create and delete: no failure if somebody was faster. */
	vg_put_table(
	    b, NFT_MSG_NEWTABLE, t->lease, NFT_TABLE_F_OWNER, t->lease_what);
	vg_put_table(b, NFT_MSG_DELTABLE, t->lease, 0, t->lease_what);
	vg_put_table(b, NFT_MSG_NEWTABLE, t->guard, 0, t->guard_what);
	vg_put_table(b, NFT_MSG_DELTABLE, t->guard, 0, t->guard_what);
}
