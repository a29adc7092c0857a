/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "selffence.h"

/*
 * The kernel takes it from root whatever kernel.sysrq says: that is about
 * the keyboard (Documentation/admin-guide/sysrq.rst).
 */
static const char *
trigger_of(const struct selffence_conf *c)
{
	return c->trigger != NULL ? c->trigger : "/proc/sysrq-trigger";
}

static int
append(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0600), error = 0;

	if (fd == -1)
		return -1;
	errno = EIO;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		error = errno;
	close(fd);
	errno = error;
	return error == 0 ? 0 : -1;
}

int
selffence_check(const struct selffence_conf *c, char *why, size_t why_size)
{
	const char *path = trigger_of(c);

	if (c->fake != NULL || c->how == CONF_SELF_FENCE_OFF)
		return 0;
	if (c->how == CONF_SELF_FENCE_WATCHDOG && c->starve != NULL)
		return 0;
	if (c->how == CONF_SELF_FENCE_WATCHDOG) {
		snprintf(why, why_size, "self-fence: there is no watchdog");
		return -1;
	}
	if (access(path, W_OK) == 0)
		return 0;
	snprintf(why, why_size, "self-fence: %s: %s", path, strerror(errno));
	return -1;
}

int
selffence_now(const struct selffence_conf *c, const char *reason)
{
	bool sysrq = c->how == CONF_SELF_FENCE_SYSRQ;
	char line[512];

	if (c->how == CONF_SELF_FENCE_OFF)
		return 1;
	log_warnx("self-fence: %s: %s",
	    sysrq ? "this machine resets itself"
		  : "the watchdog is not fed any more",
	    reason);
	if (c->fake != NULL) {
		snprintf(line, sizeof(line), "%s: %s\n",
		    sysrq ? "sysrq" : "watchdog", reason);
		return append(c->fake, O_CREAT | O_APPEND, line);
	}
	/* 'b': at once, without sync: what is not yet written must not be. */
	if (sysrq)
		return append(trigger_of(c), 0, "b");
	if (c->starve == NULL) {
		errno = ENODEV;
		return -1;
	}
	c->starve(c->ctx);
	return 0;
}
