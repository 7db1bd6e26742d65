// A harness that shares nothing with the bench but the requests, which it sends as they are: a thread for each connection, system calls that block.
//
//   harness PORT REQUESTS CONNECTIONS RATE WARMUP SECONDS
//
// REQUESTS is a file: each request is a little-endian uint32, its length, and its bytes. RATE is of all connections together;
// 0 is a closed loop. Times are from when a request was due, or began in a closed loop. It prints requests a second, and
// the percentiles 50, 90 and 99 in nanoseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t begin, from, until, gap;
static int port, connections;
static struct { uint32_t size; char *bytes; } *requests;
static size_t count;

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void fail(const char *what) {
	perror(what);
	exit(1);
}

struct worker {
	pthread_t thread;
	int number;
	size_t done, room;
	int64_t *took;
};

static void exchange(int fd, const char *request, size_t size) {
	static __thread char answer[1 << 20];
	if (write(fd, request, size) != (ssize_t)size)
		fail("write");
	for (size_t got = 0;;) {
		ssize_t n = read(fd, answer + got, sizeof answer - 1 - got);
		if (n <= 0)
			fail("read");
		answer[got += n] = 0;
		char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\ncontent-length:");
		if (!end || !length || got < (size_t)(end + 4 - answer) + atol(length + 17))
			continue;
		if (strncmp(answer, "HTTP/1.1 200", 12)) {
			fprintf(stderr, "the server refuses: %.300s\n", answer);
			exit(1);
		}
		return;
	}
}

// watch is for how long before a request is due the clock is watched, since a sleep ends late.
static const int64_t watch = 130000;

static void *work(void *of) {
	struct worker *w = of;
	unsigned seed = w->number + now();
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	if (fd < 0 || connect(fd, (void *)&server, sizeof server) || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
		fail("connect");
	for (int64_t due = begin + gap * w->number / connections;; due += gap) {
		size_t i = rand_r(&seed) % count;
		if (gap == 0)
			due = now();
		if (due >= until)
			return NULL;
		int64_t wake = due - watch;
		if (now() < wake) {
			struct timespec t = {wake / 1000000000, wake % 1000000000};
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		}
		while (now() < due)
			;
		exchange(fd, requests[i].bytes, requests[i].size);
		int64_t end = now();
		if (due < from)
			continue;
		if (w->done == w->room && !(w->took = realloc(w->took, sizeof *w->took * (w->room = w->room * 2 + 1024))))
			fail("realloc");
		w->took[w->done++] = end - due;
	}
}

static int compare(const void *a, const void *b) {
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int main(int n, char **args) {
	if (n != 7)
		return 2;
	port = atoi(args[1]);
	connections = atoi(args[3]);
	double rate = atof(args[4]), warmup = atof(args[5]), seconds = atof(args[6]);
	FILE *f = fopen(args[2], "rb");
	if (!f)
		fail(args[2]);
	for (uint32_t size; fread(&size, sizeof size, 1, f) == 1; count++) {
		if (!(requests = realloc(requests, (count + 1) * sizeof *requests)) || !(requests[count].bytes = malloc(size)))
			fail("malloc");
		requests[count].size = size;
		if (fread(requests[count].bytes, size, 1, f) != 1)
			fail("a request that ends early");
	}
	if (!count)
		fail("no requests");
	begin = now() + 1000000;
	from = begin + warmup * 1e9;
	until = from + seconds * 1e9;
	gap = rate > 0 ? connections / rate * 1e9 : 0;
	struct worker *all = calloc(connections, sizeof *all);
	for (int i = 0; i < connections; i++) {
		all[i].number = i;
		if (pthread_create(&all[i].thread, NULL, work, &all[i]))
			fail("thread");
	}
	int64_t *took = NULL;
	size_t done = 0;
	for (int i = 0; i < connections; i++) {
		pthread_join(all[i].thread, NULL);
		if (!(took = realloc(took, (done + all[i].done + 1) * sizeof *took)))
			fail("realloc");
		memcpy(took + done, all[i].took, all[i].done * sizeof *took);
		done += all[i].done;
	}
	double wall = (now() - from) / 1e9;
	if (!done) {
		fprintf(stderr, "not one request was answered\n");
		return 1;
	}
	qsort(took, done, sizeof *took, compare);
	printf("%f %lld %lld %lld\n", done / wall, (long long)took[(done - 1) / 2], (long long)took[(size_t)(0.9 * (done - 1))], (long long)took[(size_t)(0.99 * (done - 1))]);
}
