#include "values.h"

#include <cmath>

#include "explain.h"

namespace appc::addon {
namespace {

bool refuse(const Napi::Env& env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return false;
}

}  // namespace

bool toDescriptor(const Napi::CallbackInfo& info, size_t index, int& fd) {
  const Napi::Value value = info[index];
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  // Also false for NaN.
  const bool valid = number >= 0 && number <= 0x7fffffff && std::floor(number) == number;
  if (!valid) return refuse(info.Env(), "fd must be a descriptor's number");
  fd = static_cast<int>(number);
  return true;
}

bool toText(const Napi::Env& env, const Napi::Value& value, const char* what, std::string& text) {
  if (value.IsString()) {
    text = value.As<Napi::String>().Utf8Value();
  } else if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    const auto bytes = value.As<Napi::Uint8Array>();
    text.assign(reinterpret_cast<const char*>(bytes.Data()), bytes.ElementLength());
  } else {
    return refuse(env, std::string(what) + " must be a string or a Uint8Array");
  }
  if (text.find('\0') != std::string::npos) return refuse(env, std::string(what) + " must not contain a NUL");
  return true;
}

bool toTexts(const Napi::Env& env, const Napi::Value& value, const char* what, std::vector<std::string>& texts) {
  if (!value.IsArray()) return refuse(env, std::string(what) + " must be an array");
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    std::string text;
    const Napi::Value item = array.Get(i);
    // A getter's.
    if (env.IsExceptionPending()) return false;
    if (!toText(env, item, what, text)) return false;
    texts.push_back(std::move(text));
  }
  return true;
}

bool toDescriptors(const Napi::Env& env, const Napi::Value& value, std::vector<int>& descriptors) {
  if (!value.IsArray()) return refuse(env, "descriptors must be an array");
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsNumber() || item.As<Napi::Number>().DoubleValue() != item.As<Napi::Number>().Int32Value()) {
      return refuse(env, "a descriptor must be an integer");
    }
    descriptors.push_back(item.As<Napi::Number>().Int32Value());
  }
  return true;
}

std::vector<const char*> pointersTo(const std::vector<std::string>& texts) {
  std::vector<const char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  pointers.push_back(nullptr);
  return pointers;
}

Napi::Error toError(const Napi::Env& env, const Result& result) {
  std::string message = stepText(result.step);
  if (result.path != nullptr) message += std::string(" ") + result.path;
  // What was found changed is no call that failed.
  if (result.error != 0) message += std::string(": ") + errorText(result.error);
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, errorName(result.error)));
  error.Set("errno", Napi::Number::New(env, result.error));
  error.Set("step", Napi::String::New(env, stepName(result.step)));
  if (result.path != nullptr) error.Set("path", Napi::String::New(env, result.path));
  if (const char* hint = hintFor(result); hint != nullptr) error.Set("hint", Napi::String::New(env, hint));
  return error;
}

}  // namespace appc::addon
