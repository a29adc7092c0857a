/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HACTL_INT_H
#define HACTL_INT_H

#include "conf.h"

struct hactl;

/* The configuration file; NULL after having said why.  The caller frees. */
struct conf *hactl_conf(const struct hactl *);
/* NULL after having said so. */
const struct conf_volume *hactl_volume(const struct conf *, const char *name);
/* The node that this machine is, by its addresses; NULL after a message. */
const struct conf_node *hactl_me(const struct conf *);

#endif
