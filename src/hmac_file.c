/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A key of a virtual router's hmac, in a file of its own.  See hmac_file.h.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hmac_file.h"

enum { LINE = 256 }; /* more than any key has */

/* An open file that only its owner may read; -1 and why. */
static int
open_file(const char *path, char *why, size_t size)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why, size, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s: not a regular file", path);
		close(fd);
		return -1;
	}
	if ((st.st_mode & 077) != 0) {
		snprintf(why, size,
		    "%s: mode %04o lets others at the key; chmod 600 it", path,
		    (unsigned)st.st_mode & 07777);
		close(fd);
		return -1;
	}
	return fd;
}

/* Its first line without the end of it; -1 and why. */
static int
read_line(const char *path, char line[LINE], char *why, size_t size)
{
	int fd = open_file(path, why, size);
	ssize_t n;
	char *end;

	if (fd < 0)
		return -1;
	n = read(fd, line, LINE - 1);
	if (n < 0)
		snprintf(why, size, "%s: %s", path, strerror(errno));
	close(fd);
	if (n < 0)
		return -1;
	line[n] = '\0';
	end = memchr(line, '\n', (size_t)n);
	if (end != NULL) {
		n = end - line;
		if (n > 0 && line[n - 1] == '\r')
			n--;
		line[n] = '\0';
	}
	if (strlen(line) == (size_t)n)
		return 0;
	snprintf(why, size,
	    "%s: the first line has a byte 0, expected a text, or 'hex:' and "
	    "digits",
	    path);
	return -1;
}

int
hmac_file_read(struct conf_hmac_key *k, char *why, size_t size)
{
	const char *want;
	char line[LINE];
	int result;

	ASSERT(k->file[0] == '/');
	result = read_line(k->file, line, why, size);
	if (result == 0) {
		k->len = conf_hmac_scan(line, k->bytes, &want);
		if (k->len == 0) {
			snprintf(why, size,
			    "%s: the first line has %zu bytes, expected %s",
			    k->file, strlen(line), want);
			result = -1;
		}
	}
	explicit_bzero(line, sizeof(line));
	return result;
}
