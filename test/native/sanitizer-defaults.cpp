// Options of the sanitizers, built in: tests, and appc between its processes, hand on no environment but their own.
#ifndef APPC_FINDINGS
#error "CMakeLists.txt defines APPC_FINDINGS"
#endif

// To a file for each process: what a child finds would be lost with a standard error that nobody reads.
#define COMMON "log_path=" APPC_FINDINGS ":log_exe_name=1:print_summary=1"

extern "C" {

__attribute__((visibility("default"))) const char* __asan_default_options() {
  // Leaks: V8 never gives back its own, and the launcher has no heap and ends in exec. RLIMIT_CORE would be the started
  // program's too. A small quarantine: tests run several at a time.
  return COMMON
      ":verify_asan_link_order=0:detect_leaks=0:disable_coredump=0:strict_string_checks=1:quarantine_size_mb=16:malloc_"
      "context_size=12";
}

__attribute__((visibility("default"))) const char* __ubsan_default_options() { return COMMON ":print_stacktrace=1"; }

}  // extern "C"
