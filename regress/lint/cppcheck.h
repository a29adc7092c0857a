/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What cppcheck is told about macros of headers that it does not read.
 */
#ifndef CPPCHECK_H
#define CPPCHECK_H

#ifdef __CPPCHECK__
#define json_array_foreach(a, i, v) for ((i) = 0; (v) != NULL; (i)++)
#define TAILQ_HEAD(n, t) \
	struct n { \
		struct t *first; \
	}
#define TAILQ_ENTRY(t) \
	struct { \
		struct t *next; \
	}
#define TAILQ_FOREACH(v, h, f) for ((v) = (h)->first; (v); (v) = (v)->f.next)
#define LIST_HEAD(n, t) \
	struct n { \
		struct t *first; \
	}
#define LIST_ENTRY(t) \
	struct { \
		struct t *next; \
	}
#define LIST_FOREACH(v, h, f) for ((v) = (h)->first; (v); (v) = (v)->f.next)
#define SLIST_HEAD(n, t) \
	struct n { \
		struct t *first; \
	}
#define SLIST_ENTRY(t) \
	struct { \
		struct t *next; \
	}
#define STAILQ_HEAD(n, t) \
	struct n { \
		struct t *first; \
	}
#define STAILQ_ENTRY(t) \
	struct { \
		struct t *next; \
	}
#endif

#endif
