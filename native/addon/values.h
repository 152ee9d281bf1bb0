// From JavaScript's values to C's, checked; and errors back.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "result.h"

namespace appc::addon {

/** Throws a TypeError in JavaScript unless `value` is a descriptor's number; then the return value means nothing. */
bool toDescriptor(const Napi::CallbackInfo& info, size_t index, int& fd);

/** A string or its bytes (a Uint8Array: names and variables need not be UTF-8), without a NUL. */
bool toText(const Napi::Env& env, const Napi::Value& value, const char* what, std::string& text);

/** An array of such. */
bool toTexts(const Napi::Env& env, const Napi::Value& value, const char* what, std::vector<std::string>& texts);
bool toDescriptors(const Napi::Env& env, const Napi::Value& value, std::vector<int>& descriptors);

/** A typed array of just this type; else a TypeError that calls it `what`. */
template <typename Array>
bool toArray(const Napi::CallbackInfo& info, size_t index, napi_typedarray_type type, const char* what, Array& array) {
  if (info[index].IsTypedArray() && info[index].As<Napi::TypedArray>().TypedArrayType() == type) {
    array = info[index].As<Array>();
    return true;
  }
  Napi::TypeError::New(info.Env(), std::string(what) + " must be a typed array of its kind")
      .ThrowAsJavaScriptException();
  return false;
}

/** For execve(2): ends with a null, and lasts as long as the texts. */
std::vector<const char*> pointersTo(const std::vector<std::string>& texts);

/** An Error with `code` (`EACCES`), `errno`, `step`, `path` and `hint` (each of the last two undefined or a string). */
Napi::Error toError(const Napi::Env& env, const Result& result);

}  // namespace appc::addon
