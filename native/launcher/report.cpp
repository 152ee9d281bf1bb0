#include "report.h"

#include "explain.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

int failureDescriptor = -1;

}  // namespace

void tellFailureTo(int fd) { failureDescriptor = fd; }

void fail(Exit status, const char* message, const char* subject, const char* cause, const char* hint) {
  Text<8192> out;
  out.add("appc-run: ").add(message);
  if (subject != nullptr) out.add(' ').addEscaped(subject);
  if (cause != nullptr) out.add(": ").add(cause);
  out.add('\n');
  if (hint != nullptr) out.add("\nhint: ").add(hint).add('\n');
  // One write, so that the lines of launches at the same time do not mix. If it fails there is nobody to tell.
  sys::write(2, out.get(), out.length());
  if (failureDescriptor >= 0) sys::write(failureDescriptor, "f", 1);
  sys::exit(static_cast<int>(status));
}

void fail(Exit status, const Result& result) {
  fail(status, stepText(result.step), result.path, result.error == 0 ? nullptr : errorText(result.error),
       hintFor(result));
}

}  // namespace appc
