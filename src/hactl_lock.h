/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl lock [-s SPACE] [-m MODE] [-n | -w SECONDS] [-S SOCKET] NAME
 *     [-- COMMAND...]: holds a lock while a command runs, as flock(1) does.
 */
#ifndef HACTL_LOCK_H
#define HACTL_LOCK_H

/* argv[0] is "lock".  Returns the exit status of hactl. */
int hactl_lock(int argc, char **argv);

#endif
