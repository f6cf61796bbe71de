/* Loaded before libc: counts the calls that change files, and at one of them ends the process, or has no
   space from there on. CURATE_FAULT is `count:FILE`, `kill:N` or `full:N`, with N from 1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static long at;
static char mode;
static const char *counted;

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("CURATE_FAULT");
    if (!wanted || !strchr(wanted, ':')) return;
    mode = wanted[0];
    counted = strchr(wanted, ':') + 1;
    at = mode == 'c' ? 0 : atol(counted);
}

__attribute__((destructor)) static void end(void) {
    if (mode != 'c') return;
    mode = 0;
    FILE *file = fopen(counted, "w");
    if (file) {
        fprintf(file, "%ld", (long)calls);
        fclose(file);
    }
}

/* Whether the call fails for want of space. */
static int fault(int takes_space) {
    if (!mode) return 0;
    long now = atomic_fetch_add(&calls, 1) + 1;
    if (mode == 'k' && now == at) kill(getpid(), SIGKILL);
    if (mode == 'f' && now >= at && takes_space) {
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

static int is_file(int fd) {
    struct stat found;
    return mode && fd > 2 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t n) {
    if (is_file(fd) && fault(1)) return -1;
    return REAL(write)(fd, bytes, n);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    if (is_file(fd) && fault(1)) return -1;
    return REAL(writev)(fd, parts, n);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset) {
    if (is_file(fd) && fault(1)) return -1;
    return REAL(pwrite64)(fd, bytes, n, offset);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags) {
    if (is_file(out) && fault(1)) return -1;
    return REAL(copy_file_range)(in, from, out, to, n, flags);
}

int fsync(int fd) {
    if (is_file(fd)) fault(0);
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (is_file(fd)) fault(0);
    return REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
    fault(0);
    return REAL(rename)(from, to);
}

int unlink(const char *path) {
    fault(0);
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t rights) {
    if (fault(1)) return -1;
    return REAL(mkdir)(path, rights);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t rights = va_arg(more, mode_t);
    va_end(more);
    if ((flags & O_CREAT) && fault(1)) return -1;
    return REAL(open64)(path, flags, rights);
}
