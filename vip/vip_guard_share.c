/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard of shared addresses: which of the machines that share an address
 * speaks with a client.  In the words of nft(8), for IPv4:
 *
 *	set buckets { type mark; }
 *	map macs4 { type ipv4_addr : ether_addr; }
 *	chain permit0 { ...
 *		icmp type { 3, 11, 12 } goto about4
 *		jhash ip saddr mod 64 seed SEED != @buckets drop
 *		meta pkttype multicast meta pkttype set host
 *		mark set mark | M }
 *	chain about4 {
 *		jhash @th,192,32 mod 64 seed SEED != @buckets drop
 *		meta pkttype multicast meta pkttype set host
 *		mark set mark | M }
 *	chain permit5 { ...
 *		jhash arp daddr ip mod 64 seed SEED != @buckets drop
 *		arp saddr ether set arp saddr ip map @macs4
 *		mark set mark | M }
 *
 * The hash is over bytes in the order of the packet, read in that of the
 * machine: machines of different byte order do not share.
 */
#include <netinet/in.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "vip_guard_msg.h"

enum {
	SEED = 0x68616421, /* "had!"; part of what machines agree on */
	ND_SOLICIT = 135,
	ND_ADVERT = 136,
	OPT_SOURCE = 1, /* link-layer address of the sender */
	OPT_TARGET = 2,
};

static const uint32_t net = NFT_PAYLOAD_NETWORK_HEADER,
		      th = NFT_PAYLOAD_TRANSPORT_HEADER;

/* Drops what is not of a bucket that is served here. */
static void
put_hash(struct vip_batch *b, const char *chain, uint32_t base, uint32_t offset,
    uint32_t len)
{
	struct nftnl_rule *r = vg_rule_new(b->names->lease, chain);

	vg_x_payload(r, base, offset, len);
	vg_x_hash(r, len, VIP_GUARD_BUCKETS, SEED);
	vg_x_lookup(r, "buckets", true);
	vg_x_verdict(r, NF_DROP, NULL);
	vg_put_rule(b, r);
}

/* TCP wants packets that were sent to this host. */
static void
put_to_host(struct vip_batch *b, const char *chain)
{
	static const uint8_t group = PACKET_MULTICAST;
	struct nftnl_rule *r = vg_rule_new(b->names->lease, chain);

	vg_x_meta(r, NFT_META_PKTTYPE, false);
	vg_x_cmp(r, &group, sizeof(group));
	vg_x_const(r, PACKET_HOST);
	vg_x_meta(r, NFT_META_PKTTYPE, true);
	vg_put_rule(b, r);
}

static void
put_permission(struct vip_batch *b, const char *chain)
{
	struct nftnl_rule *r = vg_rule_new(b->names->lease, chain);

	vg_x_mark(r, ~b->names->mark, b->names->mark);
	vg_put_rule(b, r);
}

static void
x_icmp(struct nftnl_rule *r, uint8_t proto, uint32_t op, uint8_t type)
{
	vg_x_meta(r, NFT_META_L4PROTO, false);
	vg_x_cmp(r, &proto, 1);
	vg_x_payload(r, th, 0, 1);
	vg_x_cmp_op(r, op, &type, 1);
}

static void
put_goto(struct vip_batch *b, const char *chain, uint8_t proto, uint32_t op,
    uint8_t type, const char *to)
{
	struct nftnl_rule *r = vg_rule_new(b->names->lease, chain);

	x_icmp(r, proto, op, type);
	vg_x_verdict(r, NFT_GOTO, to);
	vg_put_rule(b, r);
}

/* Neighbour discovery that this machine sends names the group. */
static void
put_option(struct vip_batch *b, const char *chain, uint8_t type, uint8_t option,
    uint32_t base, uint32_t offset)
{
	struct nftnl_rule *r = vg_rule_new(b->names->lease, chain);

	x_icmp(r, IPPROTO_ICMPV6, NFT_CMP_EQ, type);
	vg_x_payload(r, th, 24, 1);
	vg_x_cmp(r, &option, 1);
	vg_x_payload(r, base, offset, 16);
	vg_x_map(r, "macs6", NFT_REG_2);
	vg_x_write_sum(r, NFT_REG_2, th, 26, 6, 2);
	vg_put_rule(b, r);
}

/* So does ARP, in questions, too: who is asked remembers it. */
static void
put_arp(struct vip_batch *b, const char *chain)
{
	struct nftnl_rule *r = vg_rule_new(b->names->lease, chain);

	vg_x_payload(r, net, 14, 4);
	vg_x_map(r, "macs4", NFT_REG_2);
	vg_x_write(r, NFT_REG_2, net, 8, 6);
	vg_put_rule(b, r);
}

static void
put_buckets(struct vip_batch *b, uint64_t buckets)
{
	struct nftnl_set *s = vg_set_model(b->names->lease, "buckets");

	for (uint32_t i = 0; i < VIP_GUARD_BUCKETS; i++)
		if ((buckets >> i & 1) != 0)
			vg_model_add(s, &i, sizeof(i), NULL, 0);
	if (buckets != 0)
		vg_put_model(b, s, NFT_MSG_NEWSETELEM);
	else
		nftnl_set_free(s);
}

void
vip_batch_buckets(struct vip_batch *b, uint64_t buckets)
{
	vg_put_flush(b, b->names->lease, "buckets");
	put_buckets(b, buckets);
}

void
vip_batch_share(struct vip_batch *b, uint64_t buckets)
{
	const char *table = b->names->lease;

	vg_put_set(b, table, "buckets", NFT_TYPE_MARK, 4, 0);
	put_buckets(b, buckets);
	/* An error about a packet: its destination is the client. */
	vg_put_chain(b, table, "about4", 0, 0, NULL);
	put_hash(b, "about4", th, 8 + 16, 4);
	put_to_host(b, "about4");
	put_permission(b, "about4");
	vg_put_chain(b, table, "about6", 0, 0, NULL);
	put_hash(b, "about6", th, 8 + 24, 16);
	put_to_host(b, "about6");
	put_permission(b, "about6");
	/* A question for a client goes to a group: its target counts. */
	vg_put_chain(b, table, "ask6", 0, 0, NULL);
	put_hash(b, "ask6", th, 8, 16);
	put_option(b, "ask6", ND_SOLICIT, OPT_SOURCE, net, 8);
	put_permission(b, "ask6");
}

static void
rules_in(struct vip_batch *b, const char *chain, uint16_t proto, uint8_t nd)
{
	static const uint8_t errors[] = {3, 11, 12}; /* of ICMP */

	switch (proto) {
	case ETH_P_IP:
		for (size_t i = 0; i < NITEMS(errors); i++)
			put_goto(b, chain, IPPROTO_ICMP, NFT_CMP_EQ, errors[i],
			    "about4");
		put_hash(b, chain, net, 12, 4);
		break;
	case ETH_P_ARP:
		put_hash(b, chain, net, 14, 4);
		break;
	case ETH_P_IPV6:
		if (nd == 0)
			put_goto(b, chain, IPPROTO_ICMPV6, NFT_CMP_LT, 128,
			    "about6");
		put_hash(b, chain, net, 8, 16);
		break;
	default:
		ASSERT(false);
	}
	if (nd == 0)
		put_to_host(b, chain);
}

static void
rules_out(struct vip_batch *b, const char *chain, uint16_t proto, uint8_t nd)
{
	switch (proto) {
	case ETH_P_IP:
		put_hash(b, chain, net, 16, 4);
		break;
	case ETH_P_ARP:
		put_hash(b, chain, net, 24, 4);
		put_arp(b, chain);
		break;
	case ETH_P_IPV6:
		if (nd == 0)
			put_goto(b, chain, IPPROTO_ICMPV6, NFT_CMP_EQ,
			    ND_SOLICIT, "ask6");
		put_hash(b, chain, net, 24, 16);
		if (nd == ND_ADVERT)
			put_option(b, chain, ND_ADVERT, OPT_TARGET, th, 8);
		break;
	default:
		ASSERT(false);
	}
}

void
vip_batch_share_rules(struct vip_batch *b, const char *chain, bool in,
    uint16_t proto, uint8_t nd, bool unspecified)
{
	struct nftnl_rule *r;

	if (unspecified) {
		/* The other machines would defend it against this one. */
		r = vg_rule_new(b->names->lease, chain);
		vg_x_verdict(r, NF_DROP, NULL);
		vg_put_rule(b, r);
		return;
	}
	if (in)
		rules_in(b, chain, proto, nd);
	else
		rules_out(b, chain, proto, nd);
}
