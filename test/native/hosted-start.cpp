// The launcher's beginning in place of native/launcher/start.cpp where libc is below it, as sanitizers need.
#include "launch.h"

int main(int argc, char** argv, char** environment) { appc::launch(static_cast<size_t>(argc), argv, environment); }
