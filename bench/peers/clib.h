// What the C engines have in common: batches and scans cross the border between Go
// and C many entries at a time, as one slice of bytes:
//
//	+-------------+---------------+-----+-------+-----
//	| key size 4B | value size 4B | key | value | ...
//	+-------------+---------------+-----+-------+-----
//
// in the machine's byte order: it never leaves the process.
#ifndef CLIB_H
#define CLIB_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// pack appends an entry at *used, or returns 0 if it does not fit.
static inline int pack(char *buf, size_t cap, size_t *used, const void *k, uint32_t klen, const void *v, uint32_t vlen) {
	if (*used + 8 + klen + vlen > cap) return 0;
	char *p = buf + *used;
	memcpy(p, &klen, 4);
	memcpy(p + 4, &vlen, 4);
	memcpy(p + 8, k, klen);
	memcpy(p + 8 + klen, v, vlen);
	*used += 8 + klen + vlen;
	return 1;
}

// unpack reads the entry at p and returns where the next one is.
static inline const char *unpack(const char *p, const char **k, uint32_t *klen, const char **v, uint32_t *vlen) {
	memcpy(klen, p, 4);
	memcpy(vlen, p + 4, 4);
	*k = p + 8;
	*v = *k + *klen;
	return *v + *vlen;
}

#endif
