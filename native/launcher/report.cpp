#include "report.h"

#include <errno.h>

#include "explain.h"
#include "json.h"
#include "signals.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

// None of them is there at first, and all begin as 0: a launcher without initialized data has a page less to copy.
bool hasErrorDescriptor;
bool hasFailureDescriptor;
/** Where failures are told to a program, else on standard error to people. */
int errorDescriptor;
/** Where another process learns of it. */
int failureDescriptor;

struct Failure {
  Exit exit;
  const char* message;
  const char* subject;
  const char* cause;
  const char* hint;
  /** Success where no step failed. */
  Result result;
};

void writeText(const Failure& failure) {
  Text<8192> out;
  out.add("appc-run: ").add(failure.message);
  if (failure.subject != nullptr) out.add(' ').addEscaped(failure.subject);
  if (failure.cause != nullptr) out.add(": ").add(failure.cause);
  out.add('\n');
  if (failure.hint != nullptr) out.add("\nhint: ").add(failure.hint).add('\n');
  // One write, so that the lines of launches at the same time do not mix. If it fails there is nobody to tell.
  sys::write(2, out.get(), out.length());
}

/** False when it did not arrive as a whole. */
bool writeJson(const Failure& failure) {
  Text<8192> message;
  message.add(failure.message);
  if (failure.subject != nullptr) message.add(' ').add(failure.subject);
  static JsonLine line;
  line.add("schema", "appc.error/1").add("code", failure.exit.code).add("message", message.get());
  line.add("cause", failure.cause).add("hint", failure.hint);
  const Result& result = failure.result;
  line.add("step", result.ok() ? nullptr : stepName(result.step)).add("path", result.path);
  if (result.error == 0) {
    line.addNull("errno");
  } else {
    line.add("errno", static_cast<uint64_t>(result.error));
  }
  const auto& out = line.end();
  return out.fits() && writeUnread(errorDescriptor, out.get(), out.length()) == static_cast<long>(out.length());
}

[[noreturn]] void tell(const Failure& failure) {
  if (!hasErrorDescriptor || !writeJson(failure)) writeText(failure);
  if (hasFailureDescriptor) sys::write(failureDescriptor, "f", 1);
  sys::exit(failure.exit.status);
}

}  // namespace

void fail(Exit exit, const char* message, const char* subject, const char* cause, const char* hint) {
  tell({exit, message, subject, cause, hint, success()});
}

void fail(Exit exit, const Result& result) {
  const char* cause = result.error == 0 ? nullptr : errorText(result.error);
  const char* code = isRefusal(result.step) ? "KERNEL_REFUSED" : exit.code;
  tell({{exit.status, code}, stepText(result.step), result.path, cause, hintFor(result), result});
}

void tellFailureTo(int fd) {
  hasFailureDescriptor = true;
  failureDescriptor = fd;
}

void endReporting() {
  if (hasErrorDescriptor) sys::close(errorDescriptor);
  hasErrorDescriptor = false;
}

int reportTo(int descriptor) {
  const int error = sys::setDescriptorFlags(descriptor, FD_CLOEXEC);
  hasErrorDescriptor = error == 0;
  errorDescriptor = descriptor;
  return error;
}

int passReporting() {
  if (!hasErrorDescriptor) return -1;
  sys::setDescriptorFlags(errorDescriptor, 0);
  return errorDescriptor;
}

void reportReady() {
  if (!hasErrorDescriptor) return;
  const long written = writeUnread(errorDescriptor, "\n", 1);
  // Who asked for it may have gone; the program is started all the same.
  if (written == 1 || written == -EPIPE) return;
  const char* cause = written < 0 ? errorText(static_cast<int>(-written)) : nullptr;
  fail(Exit::failed, "cannot write to the descriptor of", "--error-fd", cause, nullptr);
}

}  // namespace appc
