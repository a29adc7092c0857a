/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes are answered; what comes of them is accepted, and stays so. */
#include <stdlib.h>
#include <string.h>

#include "import.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char *
print(const struct conf *c, size_t *len)
{
	char *buf;

	*len = conf_print(c, NULL, 0);
	buf = malloc(*len + 1);
	ASSERT(buf != NULL);
	ASSERT(conf_print(c, buf, *len + 1) == *len);
	return buf;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct conf conf; /* large */
	static char text[4096];
	struct conf_errors told = {.text = text, .size = sizeof(text)};
	struct import *im = import_new();
	size_t n_one, n_two;
	char *one, *two;

	ASSERT(im != NULL);
	if (import_keepalived(
		im, &conf, "fuzz", (const char *)data, len, &told) == 0) {
		one = print(&conf, &n_one);
		ASSERT(conf_parse(&conf, "again", one, n_one, &told) == 0);
		two = print(&conf, &n_two);
		ASSERT(n_one == n_two && memcmp(one, two, n_one) == 0);
		free(one);
		free(two);
	} else
		ASSERT(told.count > 0);
	import_free(im);
	return 0;
}
