// Whether the private files still are what they were when the plan was made: objects of the store, which the view's
// files are hard links of. Thousands may have to be looked at in each launch.
#pragma once

#include "plan.h"
#include "result.h"

namespace appc {

/** An object's path below the directory of all: `AA/REST`, with `.x` behind it where it is executable. */
class ObjectPath {
 public:
  const char* set(const file::Object& object);
  const char* get() const { return text_; }

 private:
  char text_[2 * sizeof file::Object::sha256 + sizeof "/.x"] = {};
};

/**
 * Every object, below the store's directory of them. The failure's `path` is that of the one which failed, and lives in
 * `path`.
 */
Result checkObjects(const Plan& plan, int directory, ObjectPath& path);

}  // namespace appc
