#include "info.h"

#include "confined.h"
#include "explain.h"
#include "json.h"
#include "program.h"
#include "report.h"

namespace appc {
namespace {

struct PartName {
  uint32_t part;
  const char* name;
};
constexpr PartName partNames[] = {
    {part::readOnly, "read-only"},
    {part::tmp, "private-tmp"},
    {part::home, "private-home"},
    {part::run, "private-run"},
    {part::dev, "private-dev"},
    {part::pid, "unshare-pid"},
    {part::ipc, "unshare-ipc"},
    {part::uts, "unshare-uts"},
    {part::net, "unshare-net"},
    {part::session, "new-session"},
    {part::seccomp, "seccomp"},
    {part::landlock, "landlock"},
    {part::capabilities, "drop-capabilities"},
};

void addPlan(JsonLine& line, const Launch& launch) {
  const Plan& plan = launch.plan;
  line.add("program", launch.options.program == nullptr ? pathOfEntry(launch) : launch.request.subject);
  line.beginList("overlays");
  for (const file::Overlay& overlay : plan.overlays()) line.addItem(plan.text(overlay.target));
  line.endList().beginList("needs");
  for (const file::String& need : plan.needs()) line.addItem(plan.text(need));
  line.endList().beginList("confinement");
  for (const PartName& name : partNames) {
    if (launch.confined != nullptr && launch.confined->confinement.has(name.part)) line.addItem(name.name);
  }
  line.endList().add("supervised", needsSupervisor(launch));
}

}  // namespace

void printInfo(const Launch& launch, const Result& plan) {
  static JsonLine line;
  const bool isContainer = launch.options.program == nullptr;
  const char* root = launch.request.root;
  line.add("schema", "appc.info/1").add("container", isContainer ? launch.request.subject : nullptr);
  line.add("root", *root == '\0' ? nullptr : root).add("plan", launch.request.planPath);
  // It is made when the program is started.
  line.add("holds", plan.ok());
  if (plan.ok()) addPlan(line, launch);
  if (!plan.ok()) line.add("because", stepText(plan.step)).add("path", plan.path);
  const auto& out = line.end();
  const bool written = out.fits() && sys::write(1, out.get(), out.length()) == static_cast<long>(out.length());
  sys::exit(written ? 0 : Exit::failed.status);
}

}  // namespace appc
