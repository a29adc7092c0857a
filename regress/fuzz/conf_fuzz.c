/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes are answered; what is accepted prints to what prints the same. */
#include <stdlib.h>
#include <string.h>

#include "conf.h"

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
	struct conf_errors errors;
	size_t n_one, n_two;
	char text[512], *one, *two;
	static struct conf conf; /* large */
	struct conf *c = &conf;

	errors = (struct conf_errors){.text = text, .size = sizeof(text)};
	if (conf_parse(c, "fuzz", (const char *)data, len, &errors) == 0) {
		one = print(c, &n_one);
		ASSERT(conf_parse(c, "again", one, n_one, &errors) == 0);
		two = print(c, &n_two);
		ASSERT(n_one == n_two && memcmp(one, two, n_one) == 0);
		(void)conf_print_timers(c, text, sizeof(text));
		free(one);
		free(two);
	} else
		ASSERT(errors.count > 0);
	return 0;
}
