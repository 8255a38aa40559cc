/* A disk that forgets: every write to a file below LOSSY_FOLDER is noted in LOSSY_LOG with what it overwrote, and so is
 * every flush, so that a test can take back what was never flushed, as a power loss would. While the file LOSSY_FAIL
 * exists, flushes fail with EIO. Preload it: LD_PRELOAD=lossy.so. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct note { uint64_t kind, inode, begun, ended; int64_t offset, size; uint64_t length; };

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int watched(int fd, struct stat *st) {
    char link[64], path[4096];
    const char *folder = getenv("LOSSY_FOLDER");
    if (!folder || fstat(fd, st) || !S_ISREG(st->st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return !strncmp(path, folder, strlen(folder)) && !strstr(path, "-shm");
}

static void leave(struct note note, const void *old) {
    const char *log = getenv("LOSSY_LOG");
    int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    struct iovec parts[2] = {{&note, sizeof note}, {(void *)old, note.length}};
    syscall(SYS_writev, fd, parts, note.length ? 2 : 1);
    syscall(SYS_close, fd);
}

static void *before(int fd, int64_t offset, uint64_t length, uint64_t *kept) {
    void *old = length ? malloc(length) : NULL;
    ssize_t n = old ? (ssize_t)syscall(SYS_pread64, fd, old, length, offset) : 0;
    *kept = n > 0 ? (uint64_t)n : 0;
    return old;
}

static ssize_t noted(int fd, const void *data, size_t length, int64_t offset, int placed) {
    struct stat st;
    if (!watched(fd, &st))
        return placed ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
    int flags = fcntl(fd, F_GETFL);
    int64_t at = placed ? offset : (flags & O_APPEND) ? st.st_size : lseek(fd, 0, SEEK_CUR);
    struct note note = {'W', st.st_ino, now(), 0, at, st.st_size, 0};
    void *old = NULL;
    if (!(flags & O_APPEND)) {
        char link[64]; /* the descriptor at hand may be one that cannot be read */
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int own = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
        if (own >= 0) {
            old = before(own, at, length, &note.length);
            syscall(SYS_close, own);
        }
    }
    ssize_t done = placed ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
    int error = errno;
    note.ended = now();
    if (done >= 0) leave(note, old);
    free(old);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return noted(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return noted(fd, data, length, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return noted(fd, data, length, at, 1); }

int ftruncate(int fd, off_t size) {
    struct stat st;
    if (!watched(fd, &st)) return (int)syscall(SYS_ftruncate, fd, size);
    struct note note = {'W', st.st_ino, now(), 0, size, st.st_size, 0};
    void *old = size < st.st_size ? before(fd, size, (uint64_t)(st.st_size - size), &note.length) : NULL;
    int done = (int)syscall(SYS_ftruncate, fd, size);
    note.ended = now();
    if (!done) leave(note, old);
    free(old);
    return done;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static int flushed(int fd, long call) {
    struct stat st;
    if (!watched(fd, &st)) return (int)syscall(call, fd);
    const char *fail = getenv("LOSSY_FAIL");
    if (fail && !access(fail, F_OK)) {
        errno = EIO;
        return -1;
    }
    struct note note = {'S', st.st_ino, now(), 0, 0, 0, 0};
    int done = (int)syscall(call, fd);
    note.ended = now();
    if (!done) leave(note, NULL);
    return done;
}
int fsync(int fd) { return flushed(fd, SYS_fsync); }
int fdatasync(int fd) { return flushed(fd, SYS_fdatasync); }
