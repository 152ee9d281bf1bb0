{
  'variables': {
    # Linked into both: freestanding into the launcher, with libc below it into the addon.
    'core_sources': [
      'native/core/cpu.cpp',
      'native/core/crc32.cpp',
      'native/core/explain.cpp',
      'native/core/guards.cpp',
      'native/core/mountinfo.cpp',
      'native/core/mounts.cpp',
      'native/core/namespaces.cpp',
      'native/core/plan.cpp',
      'native/core/restore.cpp',
      'native/core/root.cpp',
    ],
    'strict': ['-std=c++17', '-Wall', '-Wextra', '-Wshadow', '-Werror'],
  },
  'targets': [
    {
      'target_name': 'appc-run',
      'type': 'executable',
      'include_dirs': ['native/core'],
      'defines': ['APPC_VERSION="<!(node -p "require(\'./package.json\').version")"'],
      'sources': [
        '<@(core_sources)',
        'native/launcher/cold.cpp',
        'native/launcher/environment.cpp',
        'native/launcher/json.cpp',
        'native/launcher/launch.cpp',
        'native/launcher/memory.cpp',
        'native/launcher/options.cpp',
        'native/launcher/replanned.cpp',
        'native/launcher/report.cpp',
        'native/launcher/request.cpp',
        'native/launcher/signals.cpp',
        'native/launcher/start.cpp',
      ],
      'cflags!': ['-fPIC', '-pthread'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fexceptions', '-frtti', '-O3'],
      # Nothing starts libc up, so nothing may need it: no stack protector (its canary is in libc's thread block), no
      # unwind tables, no guarded statics, no loop turned into a call of the very memcpy that it implements. Not
      # position independent: nobody would apply the relocations.
      'cflags_cc': [
        '<@(strict)', '-Os', '-ffreestanding', '-fno-exceptions', '-fno-rtti', '-fno-pic', '-fno-pie',
        '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-fno-unwind-tables', '-fno-threadsafe-statics',
        '-fno-tree-loop-distribute-patterns', '-ffunction-sections', '-U_FORTIFY_SOURCE',
      ],
      'ldflags!': ['-pthread', '-rdynamic'],
      'ldflags': [
        '-nostdlib', '-static', '-no-pie', '-Wl,--gc-sections', '-Wl,--build-id=none', '-Wl,-z,noexecstack',
        '-Wl,-z,norelro', '-s',
      ],
    },
    {
      'target_name': 'appc',
      'include_dirs': ['native/core'],
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS'],
      'sources': [
        '<@(core_sources)',
        'native/addon/ahead.cpp',
        'native/addon/batch.cpp',
        'native/addon/capture.cpp',
        'native/addon/execve.cpp',
        'native/addon/files.cpp',
        'native/addon/look.cpp',
        'native/addon/module.cpp',
        'native/addon/mounts.cpp',
        'native/addon/probe.cpp',
        'native/addon/values.cpp',
      ],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
      # As a system's header, as it is not ours to free from warnings.
      'cflags_cc': [
        '<@(strict)', '-fvisibility=hidden',
        '-isystem <!(node -p "require(\'path\').resolve(require(\'node-addon-api\').include_dir)")',
      ],
    },
  ],
}
