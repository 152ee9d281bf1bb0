#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "functions.h"
#include "sys.h"
#include "values.h"

namespace appc::addon {
namespace {

int lockFile(int fd, int operation) {
  int result;
  do {
    result = ::flock(fd, operation);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? errno : 0;
}

/** Of the open file, not of the process: fcntl(2), "Open file description locks". */
int lockByteOf(int fd, int64_t offset) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = 1;
  int result;
  do {
    result = ::fcntl(fd, F_OFD_SETLKW, &lock);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? errno : 0;
}

bool toOperation(const Napi::Value& value, int& operation) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "shared") operation = LOCK_SH;
  if (name == "exclusive") operation = LOCK_EX;
  return operation != 0;
}

}  // namespace

Napi::Value flock(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fd = -1;
  int operation = 0;
  if (!toDescriptor(info, 0, fd)) return env.Undefined();
  if (!toOperation(info[1], operation)) {
    Napi::TypeError::New(env, "mode must be 'shared' or 'exclusive'").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  if (!info[2].IsBoolean()) {
    Napi::TypeError::New(env, "wait must be a boolean").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const bool wait = info[2].As<Napi::Boolean>().Value();
  const int error = lockFile(fd, wait ? operation : operation | LOCK_NB);
  if (error != 0 && error != EWOULDBLOCK) {
    toError(env, failure(Step::lockFile, nullptr, error)).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  return Napi::Boolean::New(env, error == 0);
}

Napi::Value lockByte(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fd = -1;
  if (!toDescriptor(info, 0, fd)) return env.Undefined();
  const double offset = info[1].IsNumber() ? info[1].As<Napi::Number>().DoubleValue() : -1;
  // Number.MAX_SAFE_INTEGER; a NaN is not in the range either.
  if (!(offset >= 0 && offset <= 9007199254740991.0) || offset != static_cast<double>(static_cast<int64_t>(offset))) {
    Napi::TypeError::New(env, "offset must be an integer that is not negative").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const int error = lockByteOf(fd, static_cast<int64_t>(offset));
  if (error != 0) toError(env, failure(Step::lockFile, nullptr, error)).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value linkOpen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fd = -1;
  std::string path;
  if (!toDescriptor(info, 0, fd) || !toText(env, info[1], "path", path)) return env.Undefined();
  // open(2), O_TMPFILE: by its descriptor alone (AT_EMPTY_PATH) only root may link a file.
  const std::string file = "/proc/self/fd/" + std::to_string(fd);
  if (::linkat(AT_FDCWD, file.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) < 0) {
    toError(env, failure(Step::linkFile, path.c_str(), errno)).ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

Napi::Value makePipe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) {
    toError(env, failure(Step::makePipe, nullptr, errno)).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  // Of this end alone: who writes to the other one waits as usual.
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  Napi::Array result = Napi::Array::New(env, 2);
  for (uint32_t end = 0; end < 2; ++end) result.Set(end, ends[end]);
  return result;
}

Napi::Value drainPipe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fd = -1;
  if (!toDescriptor(info, 0, fd)) return env.Undefined();
  struct pollfd end = {fd, POLLIN, 0};
  if (::poll(&end, 1, 0) < 0 || (end.revents & POLLHUP) == 0) return env.Null();
  std::string text;
  char part[4096];
  ssize_t size;
  while ((size = ::read(fd, part, sizeof part)) > 0) text.append(part, static_cast<size_t>(size));
  ::close(fd);
  return Napi::String::New(env, text);
}

Napi::Value syncfs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fd = -1;
  if (!toDescriptor(info, 0, fd)) return env.Undefined();
  if (::syncfs(fd) < 0) toError(env, failure(Step::syncFileSystem, nullptr, errno)).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value exchange(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string one;
  std::string other;
  if (!toText(env, info[0], "one", one) || !toText(env, info[1], "other", other)) return env.Undefined();
  if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) < 0) {
    toError(env, failure(Step::exchangeFiles, other.c_str(), errno)).ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

Napi::Value enableVerity(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fd = -1;
  if (!toDescriptor(info, 0, fd)) return env.Undefined();
  struct fsverity_enable_arg request = {};
  request.version = 1;
  request.hash_algorithm = FS_VERITY_HASH_ALG_SHA256;
  request.block_size = 4096;
  if (::ioctl(fd, FS_IOC_ENABLE_VERITY, &request) == 0 || errno == EEXIST) return Napi::Boolean::New(env, true);
  // Not of this kernel, file system or way to have made it (Documentation/filesystems/fsverity.rst); or somebody
  // writes to the file, or may not.
  for (const int error : {EOPNOTSUPP, ENOTTY, EINVAL, EPERM, EACCES, EROFS, ETXTBSY, EISDIR, ENOPKG}) {
    if (errno == error) return Napi::Boolean::New(env, false);
  }
  toError(env, failure(Step::protectFile, nullptr, errno)).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value makeWhiteout(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string path;
  if (!toText(env, info[0], "path", path)) return env.Undefined();
  // Device 0:0 alone may be made by anybody, since Linux 5.8.
  if (::mknod(path.c_str(), S_IFCHR, makedev(0, 0)) < 0) {
    toError(env, failure(Step::makeWhiteout, path.c_str(), errno)).ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

}  // namespace appc::addon
