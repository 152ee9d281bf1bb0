import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { lintCalls } from '../support/native-calls.js'

const native = fileURLToPath(new URL('../../../native', import.meta.url))
const found = (path: string, source: string) => lintCalls(path, source).map(({ message }) => message)

t.test('native/ reaches the kernel as it should', async t => {
  const paths = readdirSync(native, { recursive: true, encoding: 'utf8' }).filter(path => /\.(cpp|h)$/.test(path))
  t.ok(paths.includes(join('core', 'sys.h')))
  for (const path of paths) t.same(lintCalls(path, readFileSync(join(native, path), 'utf8')), [], path)
})

t.test('what would be a mount by path, or something opened by one, is found', async t => {
  const planted: readonly (readonly [path: string, source: string, message: RegExp])[] = [
    [
      'core/root.cpp',
      'sys::call(SYS_mount, 0, sys::word(target), 0, flags, 0);',
      /system call mount may be used nowhere/,
    ],
    ['core/sys.h', 'call(__NR_mount, 0, word(target), 0, word(flags), 0);', /system call mount may be used nowhere/],
    ['core/root.cpp', 'sys::call(\n    165, 0, sys::word(target));', /without its name/],
    ['core/root.cpp', 'sys::call(SYS_umount2, sys::word("."), MNT_DETACH);', /umount2 may be used in core\/sys.h only/],
    ['core/sys.h', 'call(SYS_umount2, word(target), MNT_DETACH);', /umount2 is given a path: target/],
    ['core/sys.h', 'call(SYS_umount2, word(text.get()), MNT_DETACH);', /given a path: text.get\(\)/],
    [
      'core/sys.h',
      'call(SYS_move_mount, mount, word(""), AT_FDCWD, word(to), flags);',
      /move_mount is given a path: to/,
    ],
    ['core/sys.h', 'call(SYS_pivot_root, word("."), word("."));', /which no fchdir\(\) has set/],
    ['core/sys.h', 'int f() {\n  fchdir(fd);\n}\nint g() {\n  call(SYS_umount2, word("."));\n}', /no fchdir/],
    ['core/root.cpp', '# include <sys/mount.h>', /what <sys\/mount.h> declares takes paths/],
    ['addon/new.cpp', '#include <fstream>', /what <fstream> declares/],
    [
      'addon/new.cpp',
      'const int fd = ::open(path.c_str(), O_RDONLY);',
      /libc’s open\(\) may be used in addon\/batch.cpp, addon\/look.cpp only/,
    ],
    ['addon/new.cpp', 'if (fopen(path, "r")) return;', /libc’s fopen\(\) may be used nowhere/],
    ['addon/new.cpp', 'return syscall(SYS_getpid);', /libc’s syscall\(\)/],
    [
      'addon/new.cpp',
      'sys::call(SYS_chroot, sys::word(root));',
      /chroot may be used in core\/sys.h, addon\/capture.cpp only/,
    ],
    ['core/mounts.cpp', 'sys::fsconfig(context, FSCONFIG_SET_STRING, "lowerdir", target);', /the option lowerdir/],
    [
      'core/mounts.cpp',
      'sys::open(viewRoot, plan.text(bind.source), O_PATH)',
      /openResolved\(\) opens what a plan names/,
    ],
    ['launcher/launch.cpp', 'sys::open(AT_FDCWD, plan.text(program.path), O_PATH)', /openResolved\(\) opens/],
    ['core/root.cpp', 'sys::openResolved(\n  tree, target, O_PATH, RESOLVE_IN_ROOT)', /follows magic links/],
  ]
  for (const [path, source, message] of planted) t.match(found(path, source), [message], source)
})

t.test('what only looks like it is not', async t => {
  const harmless: readonly (readonly [path: string, source: string])[] = [
    ['core/root.cpp', "// Not mount(2): SYS_mount takes paths.\n/* ::open(path) */\nint n = 1'000'000;  // SYS_mount"],
    ['core/sys.h', 'int f() {\n  fchdir(fd);\n  return call(SYS_pivot_root, word("."), word("."));\n}'],
    ['core/sys.h', 'call(SYS_umount2, word(DescriptorPath(mount).get()), MNT_DETACH);'],
    ['core/mounts.h', 'Result open(const Plan& plan, int viewRoot);\nResult mount(const Plan& plan);'],
    ['core/mounts.cpp', 'overlays.open(plan, viewRoot);\nlaunch->open(plan);\nresult = Overlays::open(plan);'],
    ['core/mounts.cpp', 'sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY);'],
    ['addon/look.cpp', 'const int fd = ::open(path, O_RDONLY);'],
  ]
  for (const [path, source] of harmless) t.same(found(path, source), [], source)
})

t.test('the line is told', async t => {
  t.same(lintCalls('core/root.cpp', '// one\n\nint x = sys::call(\n    SYS_mount, 0);\n'), [
    { line: 4, message: 'the system call mount may be used nowhere' },
  ])
})
