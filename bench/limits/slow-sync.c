/* Preloaded into a daemon to be measured: each sync takes SLOW_SYNC_US longer, as if the disk were farther away. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static int slowly(const char *name, int fd) {
  int result = ((sync_call)dlsym(RTLD_NEXT, name))(fd);
  int fault = errno;
  const char *delay = getenv("SLOW_SYNC_US");
  if (delay != NULL) usleep((useconds_t)atoi(delay));
  errno = fault;
  return result;
}

int fdatasync(int fd) { return slowly("fdatasync", fd); }
int fsync(int fd) { return slowly("fsync", fd); }
