/* A disk that fails on request: preloaded (LD_PRELOAD) into the runtime and its bridge.
 *
 * While the file named by DISK_FAULTS_FILE exists it holds "<call> <errno> <suffix>", for example
 * "sync 5 journal.sqlite-wal": every sync (or "write") of a file whose name ends so fails with
 * that errno, and a byte is appended to "<DISK_FAULTS_FILE>.struck".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *call, int fd) {
    const char *control = getenv("DISK_FAULTS_FILE");
    if (control == NULL) return 0;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char text[256] = {0};
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    char wanted[16], suffix[128];
    int code;
    if (length <= 0 || sscanf(text, "%15s %d %127s", wanted, &code, suffix) != 3) return 0;
    if (strcmp(wanted, call) != 0) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    size_t ending = strlen(suffix);
    if (size < (ssize_t)ending || strncmp(path + size - ending, suffix, ending) != 0) return 0;
    char struck[4096];
    snprintf(struck, sizeof struck, "%s.struck", control);
    int mark = open(struck, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (mark >= 0) {
        syscall(SYS_write, mark, ".", 1);
        close(mark);
    }
    errno = code;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return fails("sync", fd) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return fails("sync", fd) ? -1 : REAL(fdatasync)(fd); }

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails("write", fd) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return fails("write", fd) ? -1 : REAL(pwrite)(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return fails("write", fd) ? -1 : REAL(pwrite64)(fd, bytes, count, offset);
}
