/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks on a link who has an address (ARP, neighbour solicitation).  The
 * kernel answers, whatever has become of the daemon: an answer is evidence
 * that the peer's machine lives.  No answer is evidence of nothing.
 */
#ifndef ARP_H
#define ARP_H

#include <systemd/sd-event.h>

#include "had.h"

struct arp;

/* Somebody on ifname has addr (as given to arp_probe; both borrowed). */
typedef void (*arp_answered)(void *ctx, const char *ifname, const char *addr);

/* NULL and errno on failure. */
struct arp *arp_new(sd_event *, arp_answered, void *ctx);
void arp_free(struct arp *);

/*
 * Asks once; of one address there may be one question at a time, a new one
 * replaces it.  An answer within ARP_ANSWER_MS calls back, once a question.
 * Returns 0, or -1 and errno: no such interface, not Ethernet, not numeric,
 * too many at once, not sent.
 */
enum { ARP_QUESTIONS_MAX = 16, ARP_ANSWER_MS = 1000 };
int arp_probe(struct arp *, const char *ifname, const char *addr);

#endif
