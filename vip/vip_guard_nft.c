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
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include "vip_guard_int.h"

enum {
	PRIO_CLEAR = -320,
	PRIO_PERMIT = -310,
	PRIO_JUDGE = -300,
	MSG_ROOM = 32 * 1024, /* of one message, at most */
	NFT_TYPE_IP4 = 7, /* nft's data types, for its listings */
	NFT_TYPE_IP6 = 8,
	NFT_TYPE_MARK = 19,
};

/* Where a packet carries an address of ours. */
struct selector {
	uint16_t hook; /* NF_NETDEV_INGRESS, NF_NETDEV_EGRESS */
	uint16_t proto; /* ETH_P_* */
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

int
vip_batch_init(struct vip_batch *b)
{
	memset(b, 0, sizeof(*b));
	b->buf = malloc(VIP_BATCH_SIZE);
	b->seq = 1;
	return b->buf != NULL ? 0 : -1;
}

void
vip_batch_release(struct vip_batch *b)
{
	free(b->buf);
	b->buf = NULL;
}

static struct nlmsghdr *
msg_put(struct vip_batch *b, uint16_t type, uint16_t flags, const char *what)
{
	ASSERT(b->len + MSG_ROOM <= VIP_BATCH_SIZE && b->n < VIP_BATCH_MSGS);
	b->what[b->n] = what;
	return nftnl_nlmsg_build_hdr(
	    b->buf + b->len, type, NFPROTO_NETDEV, flags, b->seq + b->n++);
}

static void
msg_end(struct vip_batch *b, const struct nlmsghdr *nlh)
{
	ASSERT(nlh->nlmsg_len <= MSG_ROOM);
	b->len += MNL_ALIGN(nlh->nlmsg_len);
}

/* Memory for a message's model ran out: there is no sane way on. */
static void *
need(void *p)
{
	ASSERT(p != NULL);
	return p;
}

void
vip_batch_begin(struct vip_batch *b)
{
	/* What came before is answered; the numbers need not be unique. */
	b->len = 0;
	b->n = 0;
	b->what[0] = "batch";
	b->len +=
	    MNL_ALIGN(nftnl_batch_begin(b->buf, b->seq + b->n++)->nlmsg_len);
}

static void
put_table(struct vip_batch *b, uint16_t type, const char *name, uint32_t flags,
    const char *what)
{
	struct nftnl_table *t = need(nftnl_table_alloc());
	struct nlmsghdr *nlh;

	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_NETDEV);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, name);
	if (type == NFT_MSG_NEWTABLE)
		nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, flags);
	nlh =
	    msg_put(b, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, what);
	nftnl_table_nlmsg_build_payload(nlh, t);
	msg_end(b, nlh);
	nftnl_table_free(t);
}

/* Away with an old one, if any, without a failure if there is none. */
static void
put_table_anew(
    struct vip_batch *b, const char *name, uint32_t flags, const char *what)
{
	put_table(b, NFT_MSG_NEWTABLE, name, flags, what);
	put_table(b, NFT_MSG_DELTABLE, name, 0, what);
	put_table(b, NFT_MSG_NEWTABLE, name, flags, what);
}

static void
put_set(struct vip_batch *b, const char *table, const char *name, uint32_t type,
    uint32_t flags)
{
	struct nftnl_set *s = need(nftnl_set_alloc());
	struct nlmsghdr *nlh;

	nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_NETDEV);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, type == NFT_TYPE_IP6 ? 16 : 4);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, type);
	nftnl_set_set_u32(s, NFTNL_SET_ID, b->n);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags);
	nlh = msg_put(b, NFT_MSG_NEWSET, NLM_F_CREATE, "set");
	nftnl_set_nlmsg_build_payload(nlh, s);
	msg_end(b, nlh);
	nftnl_set_free(s);
}

static void
put_model(struct vip_batch *b, struct nftnl_set *s, uint16_t type)
{
	struct nlmsghdr *nlh;

	nlh = msg_put(b, type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0,
	    "set element");
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	msg_end(b, nlh);
	nftnl_set_free(s);
}

static struct nftnl_set *
set_model(const char *table, const char *name)
{
	struct nftnl_set *s = need(nftnl_set_alloc());

	nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, name);
	return s;
}

/* The addresses of one family that are in which (NULL: all). */
static void
put_addrs(struct vip_batch *b, const char *table, const char *name,
    const struct vip_addr_conf *addrs, uint16_t n, int family,
    const struct vip_set *which)
{
	struct nftnl_set *s = set_model(table, name);
	bool any = false;
	uint16_t i;

	for (i = 0; i < n; i++) {
		struct nftnl_set_elem *e;

		if (addrs[i].family != family ||
		    (which != NULL && !vip_set_has(which, i)))
			continue;
		e = need(nftnl_set_elem_alloc());
		nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, addrs[i].bytes,
		    family == 4 ? 4 : 16);
		nftnl_set_elem_add(s, e);
		any = true;
	}
	if (any)
		put_model(b, s, NFT_MSG_NEWSETELEM);
	else
		nftnl_set_free(s);
}

static void
put_flush(struct vip_batch *b, const char *table, const char *name)
{
	put_model(b, set_model(table, name), NFT_MSG_DELSETELEM);
}

/*
 * The lease ends in ms.  Given as the time left, too: that is what moves the
 * end of an element that exists, in kernels that can (6.12); the others have
 * to delete it before.
 */
static void
put_lease(struct vip_batch *b, uint64_t ms)
{
	static const uint32_t key = VIP_GUARD_MARK;
	struct nftnl_set *s = set_model(VIP_TABLE_LEASE, "lease");
	struct nftnl_set_elem *e = need(nftnl_set_elem_alloc());

	ASSERT(ms >= VIP_LEASE_MIN_MS);
	nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, &key, sizeof(key));
	nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_TIMEOUT, ms);
	nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_EXPIRATION, ms);
	nftnl_set_elem_add(s, e);
	put_model(b, s, NFT_MSG_NEWSETELEM);
}

/* A base chain on the interfaces devs; devs NULL: one to jump to. */
static void
put_chain(struct vip_batch *b, const char *table, const char *name,
    uint32_t hook, int32_t prio, const char *const *devs)
{
	struct nftnl_chain *c = need(nftnl_chain_alloc());
	struct nlmsghdr *nlh;

	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
	if (devs != NULL) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, prio);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		/* libnftnl copies the names; its prototype lacks a const. */
		nftnl_chain_set_data(
		    c, NFTNL_CHAIN_DEVICES, (const void *)devs, 0);
	}
	nlh = msg_put(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
	    devs == NULL               ? "chain"
	    : hook == NF_NETDEV_EGRESS ? "egress chain"
				       : "ingress chain");
	nftnl_chain_nlmsg_build_payload(nlh, c);
	msg_end(b, nlh);
	nftnl_chain_free(c);
}

/* Expressions, in the order of nft's own output. */

static void
x_payload(struct nftnl_rule *r, uint32_t base, uint32_t offset, uint32_t len)
{
	struct nftnl_expr *e = need(nftnl_expr_alloc("payload"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_rule_add_expr(r, e);
}

static void
x_meta(struct nftnl_rule *r, uint32_t key, bool set)
{
	struct nftnl_expr *e = need(nftnl_expr_alloc("meta"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(
	    e, set ? NFTNL_EXPR_META_SREG : NFTNL_EXPR_META_DREG, NFT_REG_1);
	nftnl_rule_add_expr(r, e);
}

static void
x_cmp(struct nftnl_rule *r, const void *data, uint32_t len)
{
	struct nftnl_expr *e = need(nftnl_expr_alloc("cmp"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
	nftnl_rule_add_expr(r, e);
}

static void
x_bits(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	struct nftnl_expr *e = need(nftnl_expr_alloc("bitwise"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, sizeof(mask));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof(mask));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &xor, sizeof(xor));
	nftnl_rule_add_expr(r, e);
}

static void
x_lookup(struct nftnl_rule *r, const char *set, bool not_in)
{
	struct nftnl_expr *e = need(nftnl_expr_alloc("lookup"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	if (not_in)
		nftnl_expr_set_u32(
		    e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	nftnl_rule_add_expr(r, e);
}

static void
x_const(struct nftnl_rule *r, uint32_t value)
{
	struct nftnl_expr *e = need(nftnl_expr_alloc("immediate"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &value, sizeof(value));
	nftnl_rule_add_expr(r, e);
}

static void
x_verdict(struct nftnl_rule *r, int verdict, const char *chain)
{
	struct nftnl_expr *e = need(nftnl_expr_alloc("immediate"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain != NULL)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
	nftnl_rule_add_expr(r, e);
}

/* mark = (mark & mask) ^ xor */
static void
x_mark(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	x_meta(r, NFT_META_MARK, false);
	x_bits(r, mask, xor);
	x_meta(r, NFT_META_MARK, true);
}

static struct nftnl_rule *
rule_new(const char *table, const char *chain)
{
	struct nftnl_rule *r = need(nftnl_rule_alloc());

	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_NETDEV);
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain);
	return r;
}

static void
put_rule(struct vip_batch *b, struct nftnl_rule *r)
{
	struct nlmsghdr *nlh;

	nlh = msg_put(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "rule");
	nftnl_rule_nlmsg_build_payload(nlh, r);
	msg_end(b, nlh);
	nftnl_rule_free(r);
}

/* The packet is one of s, and its address is in register 1. */
static void
x_select(struct nftnl_rule *r, const struct selector *s)
{
	static const uint8_t unspecified[16] = {0}, icmp6 = IPPROTO_ICMPV6;
	uint16_t proto = htons(s->proto);
	bool v6 = s->proto == ETH_P_IPV6;

	x_meta(r, NFT_META_PROTOCOL, false);
	x_cmp(r, &proto, sizeof(proto));
	if (s->nd != 0) {
		x_meta(r, NFT_META_L4PROTO, false);
		x_cmp(r, &icmp6, 1);
		x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
		x_cmp(r, &s->nd, 1);
	}
	if (s->only == SENDER_FOREIGN) {
		x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 14, 4);
		x_lookup(r, "guarded4", true);
	} else if (s->only == SOURCE_UNSPECIFIED) {
		x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 8, 16);
		x_cmp(r, unspecified, sizeof(unspecified));
	}
	x_payload(r, s->base, s->offset, v6 ? 16 : 4);
}

/* What had_lease does with packets of a selector, from the address on. */
static void
put_permit(struct vip_batch *b, const struct selector *s)
{
	static const uint32_t key = VIP_GUARD_MARK;
	bool v6 = s->proto == ETH_P_IPV6;
	struct nftnl_rule *r;

	put_chain(b, VIP_TABLE_LEASE, s->permit, 0, 0, NULL);
	r = rule_new(VIP_TABLE_LEASE, s->permit);
	x_const(r, key);
	x_lookup(r, "lease", true);
	x_verdict(r, NF_DROP, NULL);
	put_rule(b, r);
	r = rule_new(VIP_TABLE_LEASE, s->permit);
	x_payload(r, s->base, s->offset, v6 ? 16 : 4);
	x_lookup(r, v6 ? "open6" : "open4", true);
	x_verdict(r, NF_DROP, NULL);
	put_rule(b, r);
	r = rule_new(VIP_TABLE_LEASE, s->permit);
	x_mark(r, ~VIP_GUARD_MARK, VIP_GUARD_MARK);
	put_rule(b, r);
}

static void
put_selector(struct vip_batch *b, const struct selector *s)
{
	bool in = s->hook == NF_NETDEV_INGRESS;
	const char *guarded = s->proto == ETH_P_IPV6 ? "guarded6" : "guarded4";
	struct nftnl_rule *r;

	r = rule_new(VIP_TABLE_GUARD, in ? "clear_in" : "clear_out");
	x_select(r, s);
	x_lookup(r, guarded, false);
	x_mark(r, ~VIP_GUARD_MARK, 0);
	put_rule(b, r);
	put_permit(b, s);
	r = rule_new(VIP_TABLE_LEASE, in ? "permit_in" : "permit_out");
	x_select(r, s);
	x_lookup(r, guarded, false);
	x_verdict(r, NFT_JUMP, s->permit);
	put_rule(b, r);
	r = rule_new(VIP_TABLE_GUARD, in ? "judge_in" : "judge_out");
	x_select(r, s);
	x_lookup(r, guarded, false);
	x_verdict(r, NFT_JUMP, "judge");
	put_rule(b, r);
}

static void
put_judge(struct vip_batch *b)
{
	static const uint32_t none = 0;
	struct nftnl_rule *r;

	put_chain(b, VIP_TABLE_GUARD, "judge", 0, 0, NULL);
	r = rule_new(VIP_TABLE_GUARD, "judge");
	x_meta(r, NFT_META_MARK, false);
	x_bits(r, VIP_GUARD_MARK, 0);
	x_cmp(r, &none, sizeof(none));
	x_verdict(r, NF_DROP, NULL);
	put_rule(b, r);
	/* Accept ends this chain only: other tables still have their say. */
	r = rule_new(VIP_TABLE_GUARD, "judge");
	x_mark(r, ~VIP_GUARD_MARK, 0);
	x_verdict(r, NF_ACCEPT, NULL);
	put_rule(b, r);
}

static void
put_guarded(struct vip_batch *b, const char *table,
    const struct vip_addr_conf *addrs, uint16_t n)
{
	put_set(b, table, "guarded4", NFT_TYPE_IP4, 0);
	put_set(b, table, "guarded6", NFT_TYPE_IP6, 0);
	put_addrs(b, table, "guarded4", addrs, n, 4, NULL);
	put_addrs(b, table, "guarded6", addrs, n, 6, NULL);
}

static void
put_open(struct vip_batch *b, const struct vip_addr_conf *addrs, uint16_t n,
    const struct vip_set *open)
{
	put_addrs(b, VIP_TABLE_LEASE, "open4", addrs, n, 4, open);
	put_addrs(b, VIP_TABLE_LEASE, "open6", addrs, n, 6, open);
}

/* The chains that the kernel calls: all there are of them. */
static void
put_hooks(struct vip_batch *b, const char *const *devs)
{
	static const struct {
		const char *table, *in, *out;
		int32_t prio;
	} hooks[] = {
	    {VIP_TABLE_GUARD, "clear_in", "clear_out", PRIO_CLEAR},
	    {VIP_TABLE_LEASE, "permit_in", "permit_out", PRIO_PERMIT},
	    {VIP_TABLE_GUARD, "judge_in", "judge_out", PRIO_JUDGE},
	};
	size_t i;

	for (i = 0; i < NITEMS(hooks); i++) {
		put_chain(b, hooks[i].table, hooks[i].in, NF_NETDEV_INGRESS,
		    hooks[i].prio, devs);
		put_chain(b, hooks[i].table, hooks[i].out, NF_NETDEV_EGRESS,
		    hooks[i].prio, devs);
	}
}

void
vip_batch_install(struct vip_batch *b, const struct vip_addr_conf *addrs,
    uint16_t n, const char *const *devs, const struct vip_set *open,
    uint64_t lease_ms)
{
	size_t i;

	put_table_anew(b, VIP_TABLE_GUARD, 0, "table had_guard");
	put_table_anew(b, VIP_TABLE_LEASE, NFT_TABLE_F_OWNER,
	    "table had_lease (another had may own it)");
	put_guarded(b, VIP_TABLE_GUARD, addrs, n);
	put_guarded(b, VIP_TABLE_LEASE, addrs, n);
	put_set(b, VIP_TABLE_LEASE, "open4", NFT_TYPE_IP4, 0);
	put_set(b, VIP_TABLE_LEASE, "open6", NFT_TYPE_IP6, 0);
	put_set(b, VIP_TABLE_LEASE, "lease", NFT_TYPE_MARK, NFT_SET_TIMEOUT);
	put_open(b, addrs, n, open);
	if (lease_ms > 0)
		put_lease(b, lease_ms);
	put_judge(b);
	/* The kernel wants an interface for a base chain. */
	if (devs[0] == NULL)
		return;
	put_hooks(b, devs);
	for (i = 0; i < NITEMS(selectors); i++)
		put_selector(b, &selectors[i]);
}

void
vip_batch_open(struct vip_batch *b, const struct vip_addr_conf *addrs,
    uint16_t n, const struct vip_set *open)
{
	put_flush(b, VIP_TABLE_LEASE, "open4");
	put_flush(b, VIP_TABLE_LEASE, "open6");
	put_open(b, addrs, n, open);
}

void
vip_batch_lease(struct vip_batch *b, uint64_t lease_ms, bool in_place)
{
	if (!in_place)
		put_flush(b, VIP_TABLE_LEASE, "lease");
	if (lease_ms > 0)
		put_lease(b, lease_ms);
}

void
vip_batch_remove(struct vip_batch *b)
{
	/* Create and delete: no failure if somebody was faster. */
	put_table(b, NFT_MSG_NEWTABLE, VIP_TABLE_LEASE, NFT_TABLE_F_OWNER,
	    "table had_lease");
	put_table(b, NFT_MSG_DELTABLE, VIP_TABLE_LEASE, 0, "table had_lease");
	put_table(b, NFT_MSG_NEWTABLE, VIP_TABLE_GUARD, 0, "table had_guard");
	put_table(b, NFT_MSG_DELTABLE, VIP_TABLE_GUARD, 0, "table had_guard");
}

/* The text for an answer that names a message by its number. */
static const char *
batch_what(const struct vip_batch *b, uint32_t seq)
{
	uint32_t i = seq - b->seq;

	return i < b->n ? b->what[i] : "batch";
}

/*
 * The kernel works while the message is sent, so all answers are there when
 * that returns: errors, and one success, of the last message that asked.
 */
static int
batch_answers(struct vip_batch *b, struct mnl_socket *nl, const char **what)
{
	char buf[16384];
	bool done = false;
	ssize_t len;
	int err = 0;

	while ((len = mnl_socket_recvfrom(nl, buf, sizeof(buf))) > 0) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		int left = (int)len;

		for (; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			if (e->error == 0)
				done = true;
			else if (err == 0) {
				err = -e->error;
				*what = batch_what(b, nlh->nlmsg_seq);
			}
		}
	}
	if (err == 0 && !done) {
		*what = "batch";
		err = EPROTO;
	}
	errno = err;
	return err == 0 ? 0 : -1;
}

int
vip_batch_send(struct vip_batch *b, struct mnl_socket *nl, const char **what)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)b->buf, *last = nlh;
	int left = (int)b->len;

	ASSERT(b->n > 1 && b->n < VIP_BATCH_MSGS);
	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		last = nlh;
	last->nlmsg_flags |= NLM_F_ACK;
	b->what[b->n] = "batch";
	b->len += MNL_ALIGN(
	    nftnl_batch_end(b->buf + b->len, b->seq + b->n++)->nlmsg_len);
	*what = "netlink socket";
	if (mnl_socket_sendto(nl, b->buf, b->len) < 0)
		return -1;
	return batch_answers(b, nl, what);
}

static int
elem_left(struct nftnl_set_elem *e, void *data)
{
	uint64_t *ms = data;

	if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_EXPIRATION))
		*ms = nftnl_set_elem_get_u64(e, NFTNL_SET_ELEM_EXPIRATION);
	return 0;
}

static int
on_elems(const struct nlmsghdr *nlh, void *data)
{
	struct nftnl_set *s = need(nftnl_set_alloc());

	if (nftnl_set_elems_nlmsg_parse(nlh, s) == 0)
		nftnl_set_elem_foreach(s, elem_left, data);
	nftnl_set_free(s);
	return MNL_CB_OK;
}

int
vip_lease_left(struct vip_batch *b, struct mnl_socket *nl, uint64_t *ms)
{
	struct nftnl_set *s = set_model(VIP_TABLE_LEASE, "lease");
	struct nlmsghdr *nlh;
	char buf[16384];
	ssize_t len;
	int r = MNL_CB_OK;

	*ms = 0;
	b->len = b->n = 0;
	nlh = msg_put(b, NFT_MSG_GETSETELEM, NLM_F_DUMP, "set element");
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	nftnl_set_free(s);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -1;
	while (r > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len < 0)
			return -1;
		r = mnl_cb_run(buf, (size_t)len, b->seq,
		    mnl_socket_get_portid(nl), on_elems, ms);
	}
	return r < 0 ? -1 : 0;
}
