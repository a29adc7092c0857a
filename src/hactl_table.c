/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hactl.h"

void
format_age(int64_t ms, char *buf, size_t size)
{
	if (ms < 0)
		snprintf(buf, size, "-");
	else if (ms < 60 * 1000)
		snprintf(buf, size, "%lld.%lld s", (long long)ms / 1000,
		    (long long)ms / 100 % 10);
	else if (ms < 3600 * 1000)
		snprintf(buf, size, "%lld min", (long long)ms / 60000);
	else if (ms < 48 * 3600 * 1000LL)
		snprintf(buf, size, "%lld h", (long long)ms / 3600000);
	else
		snprintf(buf, size, "%lld d", (long long)ms / 86400000);
}

void
format_bytes(int64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	unsigned u = 0;
	double v = (double)bytes;

	while (v >= 1024 && u + 1 < NITEMS(units)) {
		v /= 1024;
		u++;
	}
	if (bytes == 0)
		snprintf(buf, size, "0");
	else
		snprintf(buf, size, v < 10 && u > 0 ? "%.1f %s" : "%.0f %s", v,
		    units[u]);
}

void
table_row(struct table *t, const char *const *cells, unsigned n)
{
	ASSERT(n <= NITEMS(t->cells[0]));
	if (t->rows == NITEMS(t->cells))
		return;
	t->columns = n;
	for (unsigned i = 0; i < n; i++)
		t->cells[t->rows][i] = strdup(cells[i]);
	t->rows++;
}

void
table_print(struct table *t, const char *indent, FILE *f)
{
	int width[NITEMS(t->cells[0])] = {0};

	for (unsigned r = 0; r < t->rows; r++)
		for (unsigned c = 0; c < t->columns; c++)
			if (t->cells[r][c] != NULL &&
			    (int)strlen(t->cells[r][c]) > width[c])
				width[c] = (int)strlen(t->cells[r][c]);
	for (unsigned r = 0; r < t->rows; r++) {
		fputs(indent, f);
		for (unsigned c = 0; c < t->columns; c++) {
			const char *cell = t->cells[r][c];

			if (c + 1 < t->columns)
				fprintf(f, "%-*s  ", width[c],
				    cell != NULL ? cell : "");
			else
				fprintf(f, "%s\n", cell != NULL ? cell : "");
			free(t->cells[r][c]);
		}
	}
	memset(t, 0, sizeof(*t));
}
