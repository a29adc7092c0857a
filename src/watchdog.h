/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watchdog device: once open it resets the machine when it has not been
 * fed for its timeout.  It stays armed when this process dies; only wd_close
 * disarms it.
 */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <sys/stat.h>

#include "had.h"

/* The system calls, so that a test can be the kernel.  As those of libc. */
struct wd_ops {
	int (*stat)(const char *path, struct stat *);
	/* One word of a file in sysfs; -1 and errno if there is none. */
	int (*attribute)(const char *path, char *buf, size_t size);
	int (*open)(const char *path);
	int (*control)(int fd, unsigned long request, void *arg);
	int (*write)(int fd, const void *, size_t);
	int (*close)(int fd);
};

struct wd;

struct wd_info {
	char identity[33]; /* what the driver calls itself */
	uint32_t timeout_s;
	bool caused_reset; /* the last reset of this machine was its work */
};

/*
 * Arms the watchdog.  NULL and why: it cannot be opened, another has it, it
 * cannot be set to just timeout_s, it could not be stopped again (nowayout),
 * or it stops when the process dies (no magic close).  Refused, it is left
 * disarmed.  ops NULL: the kernel's.
 */
struct wd *wd_open(const char *path, uint32_t timeout_s, const struct wd_ops *,
    char *why, size_t why_size);

void wd_info(const struct wd *, struct wd_info *);

/* Another timeout_s from now.  Returns 0, or -1 and errno. */
int MUST_CHECK wd_feed(struct wd *);

/*
 * Disarms and frees it.  -1 and errno: it could not be disarmed, the machine
 * will be reset; w is freed all the same.
 */
int wd_close(struct wd *w);

#endif
