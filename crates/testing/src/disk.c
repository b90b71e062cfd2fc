/* Notes, in order, everything a process does to the files under one directory: what was written, and what was made
 * durable. Loaded before the C library by the tests that cut the power (disk.rs, which reads the notes).
 *
 * A note: kind (1 byte), then three numbers (8 bytes each, little endian as on every machine these tests run on): length
 * of the path, offset or new length, length of the bytes; then the path and the bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int notes = -1;
static char root[4096];
static size_t root_length;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t (*real_write)(int, const void *, size_t);

__attribute__((constructor)) static void start(void) {
    const char *dir = getenv("HALO_DISK_DIR"), *log = getenv("HALO_DISK_NOTES");
    real_write = REAL(write);
    if (!dir || !log || !realpath(dir, root)) return;
    root_length = strlen(root);
    notes = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Out of the way of whoever expects low numbers. */
    int high = fcntl(notes, F_DUPFD_CLOEXEC, 900);
    if (high >= 0) { close(notes); notes = high; }
}

static void all(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t wrote = real_write(notes, at, length);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) abort();
        at += wrote;
        length -= (size_t)wrote;
    }
}

static int inside(const char *path) {
    return notes >= 0 && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static void note(char kind, const char *path, uint64_t at, const void *bytes, uint64_t length) {
    const char *rest = path + root_length;
    if (*rest == '/') rest++;
    int saved = errno;
    uint64_t numbers[3] = {strlen(rest), at, length};
    all(&kind, 1);
    all(numbers, sizeof numbers);
    all(rest, numbers[0]);
    all(bytes, length);
    errno = saved;
}

/* The path of an open file; empty if it is none of ours. */
static const char *path_of(int fd, char *buffer) {
    char link[64];
    if (notes < 0 || fd == notes) return "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, 4095);
    if (length < 0) return "";
    buffer[length] = 0;
    return inside(buffer) ? buffer : "";
}

/* An absolute path that need not be there yet; empty if it is none of ours. */
static const char *path_at(int dir, const char *path, char *buffer) {
    if (notes < 0 || !path) return "";
    if (path[0] == '/') snprintf(buffer, 4096, "%s", path);
    else {
        char base[4096];
        char link[64];
        if (dir == AT_FDCWD) { if (!getcwd(base, sizeof base)) return ""; }
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return "";
            base[length] = 0;
        }
        if (strlen(base) + strlen(path) + 2 > 4096) return "";
        strcpy(buffer, base);
        strcat(buffer, "/");
        strcat(buffer, path);
    }
    return inside(buffer) ? buffer : "";
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
    static int (*real)(int, const char *, int, ...);
    char buffer[4096];
    if (!real) real = REAL(openat);
    const char *ours = (flags & (O_CREAT | O_TRUNC)) ? path_at(dir, path, buffer) : "";
    if (!*ours) return real(dir, path, flags, mode);
    pthread_mutex_lock(&turn);
    int there = faccessat(dir, path, F_OK, 0) == 0;
    int fd = real(dir, path, flags, mode);
    if (fd >= 0 && !there) note('C', ours, 0, "", 0);
    if (fd >= 0 && there && (flags & O_TRUNC)) note('T', ours, 0, "", 0);
    pthread_mutex_unlock(&turn);
    return fd;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }

ssize_t write(int fd, const void *bytes, size_t length) {
    char buffer[4096];
    const char *ours = path_of(fd, buffer);
    if (!*ours) return real_write(fd, bytes, length);
    pthread_mutex_lock(&turn);
    off_t at = lseek(fd, 0, SEEK_CUR);
    struct stat stat;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &stat) == 0) at = stat.st_size;
    ssize_t wrote = real_write(fd, bytes, length);
    if (wrote > 0) note('W', ours, (uint64_t)at, bytes, (uint64_t)wrote);
    pthread_mutex_unlock(&turn);
    return wrote;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char buffer[4096];
    if (!*path_of(fd, buffer)) return REAL(writev)(fd, parts, count);
    return count > 0 ? write(fd, parts[0].iov_base, parts[0].iov_len) : 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    char buffer[4096];
    if (!real) real = REAL(pwrite64);
    const char *ours = path_of(fd, buffer);
    if (!*ours) return real(fd, bytes, length, at);
    pthread_mutex_lock(&turn);
    ssize_t wrote = real(fd, bytes, length, at);
    if (wrote > 0) note('W', ours, (uint64_t)at, bytes, (uint64_t)wrote);
    pthread_mutex_unlock(&turn);
    return wrote;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

int ftruncate64(int fd, off64_t length) {
    char buffer[4096];
    const char *ours = path_of(fd, buffer);
    pthread_mutex_lock(&turn);
    int done = REAL(ftruncate64)(fd, length);
    if (done == 0 && *ours) note('T', ours, (uint64_t)length, "", 0);
    pthread_mutex_unlock(&turn);
    return done;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* Held while the disk works: what is written meanwhile is noted behind it, as not durable. */
static int synced(int fd, int (*real)(int)) {
    char buffer[4096];
    struct stat stat;
    const char *ours = path_of(fd, buffer);
    if (!*ours) return real(fd);
    pthread_mutex_lock(&turn);
    int done = real(fd);
    if (done == 0) note(fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode) ? 'D' : 'S', ours, 0, "", 0);
    pthread_mutex_unlock(&turn);
    return done;
}
int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

static int removed(int dir, const char *path, int flags) {
    char buffer[4096];
    const char *ours = path_at(dir, path, buffer);
    pthread_mutex_lock(&turn);
    int done = REAL(unlinkat)(dir, path, flags);
    if (done == 0 && *ours && !(flags & AT_REMOVEDIR)) note('U', ours, 0, "", 0);
    pthread_mutex_unlock(&turn);
    return done;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int dir, const char *path, int flags) { return removed(dir, path, flags); }

int rename(const char *from, const char *to) {
    char one[4096], other[4096];
    const char *old = path_at(AT_FDCWD, from, one), *new = path_at(AT_FDCWD, to, other);
    pthread_mutex_lock(&turn);
    int done = REAL(rename)(from, to);
    if (done == 0 && *old && *new) note('R', old, 0, new + root_length + 1, strlen(new) - root_length - 1);
    pthread_mutex_unlock(&turn);
    return done;
}
