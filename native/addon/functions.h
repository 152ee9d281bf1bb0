// What the module exports. lib/launch/addon.ts says what each takes and gives.
#pragma once

#include <napi.h>

namespace appc::addon {

Napi::Value capture(const Napi::CallbackInfo& info);
Napi::Value execve(const Napi::CallbackInfo& info);
Napi::Value flock(const Napi::CallbackInfo& info);
Napi::Value lockByte(const Napi::CallbackInfo& info);
Napi::Value linkOpen(const Napi::CallbackInfo& info);
Napi::Value makePipe(const Napi::CallbackInfo& info);
Napi::Value drainPipe(const Napi::CallbackInfo& info);
Napi::Value syncfs(const Napi::CallbackInfo& info);
Napi::Value exchange(const Napi::CallbackInfo& info);
Napi::Value enableVerity(const Napi::CallbackInfo& info);
Napi::Value makeWhiteout(const Napi::CallbackInfo& info);
Napi::Value mountPoints(const Napi::CallbackInfo& info);
Napi::Value probe(const Napi::CallbackInfo& info);
Napi::Value landlockVersionOf(const Napi::CallbackInfo& info);
Napi::Value lstatMany(const Napi::CallbackInfo& info);
Napi::Value listMany(const Napi::CallbackInfo& info);
Napi::Value openMany(const Napi::CallbackInfo& info);
Napi::Value readMany(const Napi::CallbackInfo& info);
Napi::Value openAhead(const Napi::CallbackInfo& info);
Napi::Value takeOpened(const Napi::CallbackInfo& info);
Napi::Value closeMany(const Napi::CallbackInfo& info);
Napi::Value openProcess(const Napi::CallbackInfo& info);
Napi::Value signalProcess(const Napi::CallbackInfo& info);
Napi::Value awaitEnds(const Napi::CallbackInfo& info);
Napi::Value ownerOf(const Napi::CallbackInfo& info);
Napi::Value checkView(const Napi::CallbackInfo& info);
Napi::Value renewOverlays(const Napi::CallbackInfo& info);
Napi::Value openWatch(const Napi::CallbackInfo& info);
Napi::Value watchMany(const Napi::CallbackInfo& info);
Napi::Value takeChanges(const Napi::CallbackInfo& info);
Napi::Value closeWatch(const Napi::CallbackInfo& info);
Napi::Value sendDatagram(const Napi::CallbackInfo& info);
Napi::Value xxHash32Of(const Napi::CallbackInfo& info);

}  // namespace appc::addon
