#include <napi.h>

#include "cpu.h"
#include "functions.h"

namespace appc::addon {
namespace {

Napi::Value cpuLevelOf(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), cpuLevel()); }

Napi::Value cpuIsIntelOf(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), cpuIsIntel()); }

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("capture", Napi::Function::New(env, capture, "capture"));
  exports.Set("execve", Napi::Function::New(env, execve, "execve"));
  exports.Set("flock", Napi::Function::New(env, flock, "flock"));
  exports.Set("lockByte", Napi::Function::New(env, lockByte, "lockByte"));
  exports.Set("linkOpen", Napi::Function::New(env, linkOpen, "linkOpen"));
  exports.Set("makePipe", Napi::Function::New(env, makePipe, "makePipe"));
  exports.Set("drainPipe", Napi::Function::New(env, drainPipe, "drainPipe"));
  exports.Set("syncfs", Napi::Function::New(env, syncfs, "syncfs"));
  exports.Set("exchange", Napi::Function::New(env, exchange, "exchange"));
  exports.Set("enableVerity", Napi::Function::New(env, enableVerity, "enableVerity"));
  exports.Set("makeWhiteout", Napi::Function::New(env, makeWhiteout, "makeWhiteout"));
  exports.Set("mountPoints", Napi::Function::New(env, mountPoints, "mountPoints"));
  exports.Set("probe", Napi::Function::New(env, probe, "probe"));
  exports.Set("landlockVersion", Napi::Function::New(env, landlockVersionOf, "landlockVersion"));
  exports.Set("lstatMany", Napi::Function::New(env, lstatMany, "lstatMany"));
  exports.Set("listMany", Napi::Function::New(env, listMany, "listMany"));
  exports.Set("openMany", Napi::Function::New(env, openMany, "openMany"));
  exports.Set("readMany", Napi::Function::New(env, readMany, "readMany"));
  exports.Set("openAhead", Napi::Function::New(env, openAhead, "openAhead"));
  exports.Set("takeOpened", Napi::Function::New(env, takeOpened, "takeOpened"));
  exports.Set("closeMany", Napi::Function::New(env, closeMany, "closeMany"));
  exports.Set("openProcess", Napi::Function::New(env, openProcess, "openProcess"));
  exports.Set("signalProcess", Napi::Function::New(env, signalProcess, "signalProcess"));
  exports.Set("awaitEnds", Napi::Function::New(env, awaitEnds, "awaitEnds"));
  exports.Set("ownerOf", Napi::Function::New(env, ownerOf, "ownerOf"));
  exports.Set("checkView", Napi::Function::New(env, checkView, "checkView"));
  exports.Set("renewOverlays", Napi::Function::New(env, renewOverlays, "renewOverlays"));
  exports.Set("openWatch", Napi::Function::New(env, openWatch, "openWatch"));
  exports.Set("watchMany", Napi::Function::New(env, watchMany, "watchMany"));
  exports.Set("takeChanges", Napi::Function::New(env, takeChanges, "takeChanges"));
  exports.Set("closeWatch", Napi::Function::New(env, closeWatch, "closeWatch"));
  exports.Set("sendDatagram", Napi::Function::New(env, sendDatagram, "sendDatagram"));
  exports.Set("xxHash32", Napi::Function::New(env, xxHash32Of, "xxHash32"));
  exports.Set("cpuLevel", Napi::Function::New(env, cpuLevelOf, "cpuLevel"));
  exports.Set("cpuIsIntel", Napi::Function::New(env, cpuIsIntelOf, "cpuIsIntel"));
  return exports;
}

NODE_API_MODULE(appc, initialize)

}  // namespace
}  // namespace appc::addon
