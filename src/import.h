/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Codec: another program's configuration to one of had.  Pure: bytes in, a
 * struct conf and the list of what could not be converted out.
 */
#ifndef IMPORT_H
#define IMPORT_H

#include "conf.h"

struct import; /* working memory; large */
struct import *import_new(void); /* NULL: no memory */
void import_free(struct import *);

/*
 * Reads len bytes of a keepalived.conf(5) and fills c, which conf_check then
 * accepts.  Whatever could not be converted, or is not the same here, is
 * told in one line: "FILE:LINE: KEYWORD: what becomes of it and why".  Returns
 * 0; or -1 when nothing came of it: braces that do not match, or no virtual
 * router that had could run.  file is only named.
 */
int import_keepalived(struct import *, struct conf *c, const char *file,
    const char *bytes, size_t len, struct conf_errors *told);

#endif
