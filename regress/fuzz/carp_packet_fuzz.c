/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CARP frames from the wire, as they are and once more with right checksums.
 * What is taken gives the same frame when it is encoded, but for what
 * carp_packet.h names; what is signed is accepted, once; what is told to be
 * CARP is not taken for VRRP.
 */
#include <string.h>

#include "carp_packet.h"
#include "carp_replay.h"
#include "vrrp_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IP = ADV_ETH_LEN, BYTES_MAX = 8192 };

static void
put_sum(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void
mend(uint8_t *frame, size_t size)
{
	struct adv_frame f;
	const uint8_t *msg;
	uint8_t *m;
	size_t n, head;

	if (size < IP + 20)
		return;
	head = (size_t)(frame[IP] & 15) * 4;
	if (frame[IP] >> 4 == 4 && IP + head <= size && head >= 20) {
		put_sum(frame + IP + 10, 0);
		put_sum(
		    frame + IP + 10, adv_sum_end(adv_sum(0, frame + IP, head)));
	}
	if (adv_get_eth(&f, frame, size, &msg, &n) != ADV_OK || n < 8)
		return;
	m = frame + (msg - frame);
	put_sum(m + 6, 0);
	put_sum(m + 6, adv_sum_end(adv_sum(0, m, n)));
}

static bool
is_plain(const uint8_t *frame, const struct carp_packet *p)
{
	const uint8_t *ip = frame + IP;
	const uint8_t *msg = ip + adv_ip_len(&p->f);

	if (p->f.family == 4 && (ip[0] != 0x45 || (ip[6] & 0x80) != 0 ||
				    (ip[10] == 0xff && ip[11] == 0xff)))
		return false;
	return msg[6] != 0xff || msg[7] != 0xff;
}

/* Sign it and play it twice. */
static void
play(struct carp_packet *p)
{
	const monotime_t t = {1};
	struct carp_replay r;
	struct carp_key key;

	carp_key_init(&key, "secret", p->vhid, p->f.src, 4, p->f.dst, 1);
	carp_sign(p, &key);
	ASSERT(carp_check(p, p->vhid, &key) == CARP_OK);
	p->advbase = 1;
	carp_replay_init(&r);
	ASSERT(carp_replay_check(&r, p, t) == CARP_OK);
	ASSERT(carp_replay_check(&r, p, t) == CARP_R_REPLAY);
	p->counter++;
	ASSERT(carp_check(p, p->vhid, &key) == CARP_R_DIGEST);
	ASSERT(carp_replay_check(&r, p, t) == CARP_OK);
	p->counter += 1ULL << 32;
	ASSERT(carp_replay_check(&r, p, t) == CARP_R_RESTART);
}

static void
look(const uint8_t *frame, size_t size)
{
	uint8_t out[CARP_FRAME_MAX];
	struct carp_packet p, again;
	struct vrrp_packet v;
	enum carp_reject r;
	size_t n;

	r = carp_decode_frame(&p, frame, size);
	ASSERT(carp_reject_name(r) != NULL);
	if (r != CARP_OK)
		return;
	ASSERT(vrrp_decode_frame(&v, frame, size) == VRRP_R_CARP);
	ASSERT(p.vhid != 0 && p.f.ttl == ADV_TTL);
	n = carp_encode_frame(out, sizeof(out), &p);
	ASSERT(n <= size);
	if (is_plain(frame, &p))
		ASSERT(memcmp(out, frame, n) == 0);
	ASSERT(carp_decode_frame(&again, out, n) == CARP_OK);
	ASSERT(memcmp(&again, &p, sizeof(p)) == 0);
	play(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[BYTES_MAX];

	look(data, size);
	if (size > sizeof(copy))
		return 0;
	memcpy(copy, data, size);
	mend(copy, size);
	look(copy, size);
	return 0;
}
