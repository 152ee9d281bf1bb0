import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { linesOf, type Opened, type ReadOptions, readStrace } from '../../lib/container/strace.js'
import { STRACE } from '../../lib/launch/record.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

const ALL: ReadOptions = { afterNewRoot: false, counts: () => true }

/** As -xx has it. */
function hex(text: string | Buffer): string {
  return [...Buffer.from(text)].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}

const opens = (name: string, real: string, flags = 'O_RDONLY|O_CLOEXEC', from = 'AT_FDCWD<\\x2f>') =>
  `7 openat(${from}, "${hex(name)}", ${flags}) = 3<${hex(real)}>`

function read(lines: readonly string[], options: Partial<ReadOptions> = {}): Opened | null {
  return readStrace([`7 execve("${hex('/bin/it')}", 0x1, 0x2) = 0`, ...lines], { ...ALL, ...options })
}

function files(lines: readonly string[], options: Partial<ReadOptions> = {}): string[][] {
  return [...(read(lines, options)?.files ?? [])]
}

t.test('what really runs', async t => {
  const dir = temporaryDirectory()
  mkdirSync(join(dir, 'sub'))
  const strange = Buffer.concat([Buffer.from('a\n"\\<> = 3<x>'), Buffer.of(0xff)])
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), strange]), '')
  for (const name of ['read', 'sub/below', 'sub/second', 'legacy', 'both']) writeFileSync(join(dir, name), '')
  compile(dir, 'sub/helper', 'int main(void) { return 0; }')
  for (const name of ['quiet', 'other']) compile(dir, name, 'int main(void) { return 0; }')
  const octal = [...strange].map(byte => `\\${byte.toString(8).padStart(3, '0')}`).join('')
  const source = `#define _GNU_SOURCE
    #include <fcntl.h>
    #include <linux/openat2.h>
    #include <pthread.h>
    #include <sys/syscall.h>
    #include <sys/wait.h>
    #include <unistd.h>
    static void *often(void *name) {
      for (int i = 0; i < 300; i++) { close(open(name, O_RDONLY)); open("absent", O_RDONLY); }
      return 0;
    }
    static void *become(void *path) { usleep(1000); return execl(path, path, (char *)0), path; }
    int main(void) {
      pthread_t threads[4];
      for (int i = 0; i < 4; i++) pthread_create(threads + i, 0, often, "read");
      for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
      int sub = open("sub", O_RDONLY | O_DIRECTORY), path = open("sub/helper", O_PATH);
      openat(sub, "below", O_RDONLY);
      struct open_how how = { .flags = O_RDONLY };
      syscall(SYS_openat2, sub, "../sub/second", &how, sizeof how);
      syscall(SYS_open, "legacy", O_RDONLY);
      open("${octal}", O_RDONLY);
      open("new", O_RDWR | O_CREAT, 0600);
      open("new", O_RDONLY);
      close(open("both", O_WRONLY));
      open("both", O_RDONLY);
      if (fork() == 0) { chdir("sub"); execl("./helper", "helper", (char *)0); }
      if (vfork() == 0) execl("${dir}/sub/helper", "helper", (char *)0);
      if (fork() == 0) fexecve(path, (char *[]){ "helper", 0 }, (char *[]){ 0 });
      if (fork() == 0) { pthread_create(threads, 0, become, "${dir}/quiet"); for (;;) pause(); }
      while (wait(0) > 0) {}
      pthread_create(threads, 0, become, "${dir}/other");
      for (;;) close(open("read", O_RDONLY));
    }`
  compile(dir, 'program', source, ['-pthread'])
  execFileSync('strace', [...STRACE, '-o', 'log', '--', './program'], { cwd: dir })
  const log = readFileSync(join(dir, 'log'))
  // In pieces of any size.
  for (const size of [1, 1000, log.length]) {
    const pieces = Array.from({ length: Math.ceil(log.length / size) }, (_, at) =>
      log.subarray(at * size, (at + 1) * size),
    )
    const opened = readStrace(linesOf(pieces), { ...ALL, counts: path => path.startsWith(dir) })
    t.same(
      [...(opened?.files ?? [])].map(names => names.map(name => name.slice(dir.length + 1))).sort(),
      [
        ['a\n"\\<> = 3<x>\ufffd', 'a\n"\\<> = 3<x>\ufffd'],
        ['legacy', 'legacy'],
        ['read', 'read'],
        ['sub/../sub/second', 'sub/second'],
        ['sub/below', 'sub/below'],
      ],
      `by ${size}`,
    )
    t.same(
      [...(opened?.programs ?? [])].sort(),
      [`${dir}/./program`, `${dir}/other`, `${dir}/quiet`, `${dir}/sub/./helper`, `${dir}/sub/helper`],
      `by ${size}`,
    )
  }
})

t.test('which calls count', async t => {
  t.same(files([opens('/a', '/b')]), [['/a', '/b']])
  t.same(files([opens('a', '/x/a', 'O_RDONLY', `4<${hex('/x')}>`)]), [['/x/a', '/x/a']])
  t.same(files([opens('a', '/x/a', 'O_RDONLY', '4')]), [['/x/a', '/x/a']], 'by where it led alone')
  t.same(files([opens('/a', '/a', 'O_RDONLY').replace(/= .*/, '= -1 ENOENT (No such file or directory)')]), [])
  for (const flags of ['O_WRONLY', 'O_RDWR', 'O_RDONLY|O_CREAT', 'O_RDONLY|O_TRUNC']) {
    t.same(files([opens('/a', '/a'), opens('/a', '/a', flags)]), [], flags)
    t.same(files([opens('/a', '/a', flags), opens('/b', '/a')]), [], `${flags}, by another name`)
  }
  t.same(files([opens('/a', '/a', 'O_RDONLY|O_CLOEXEC|O_PATH'), opens('/b', '/b', 'O_RDONLY|O_DIRECTORY')]), [])
  const counts = (path: string) => !path.startsWith('/home')
  t.same(files([opens('/home/a', '/a'), opens('/a', '/home/a'), opens('/b', '/b')], { counts }), [['/b', '/b']])
  t.same(files([opens('/a', '/a')], { afterNewRoot: true }), [])
  t.equal(read([opens('/a', '/a')], { afterNewRoot: true }), null, 'the launcher alone')
  const inside = `7 execve("${hex('/usr/bin/it')}", 0x1, 0x2) = 0`
  t.same(
    read([opens('/a', '/a'), `7 pivot_root("${hex('.')}", "${hex('.')}") = 0`, inside, opens('/b', '/b')], {
      afterNewRoot: true,
    }),
    { files: new Map([['/b', '/b']]), programs: new Set(['/usr/bin/it']) },
  )
  t.equal(readStrace([], ALL), null)
})

t.test('calls of several processes at once, and of a thread that takes over', async t => {
  const path = hex('/a')
  const [begun, ended] = [
    `8 openat(AT_FDCWD, "${path}", O_RDONLY <unfinished ...>`,
    `8 <... openat resumed>) = 3<${path}>`,
  ]
  t.same(files([begun, opens('/b', '/b'), ended]), [
    ['/b', '/b'],
    ['/a', '/a'],
  ])
  t.same(files([ended, begun]), [], 'an end without a beginning is nothing')
  const over = '7 +++ superseded by execve in pid 9 +++'
  for (const superseded of [over, over.replace('7 ', `7 openat(AT_FDCWD, "${path}", O_RDONLY7 `)]) {
    const executing = `9 execve("${hex('/x')}", 0x1, 0x2 <unfinished ...>`
    const ended = '7 <... execve resumed>) = -1 (errno 18446744073709551359)'
    t.same([...(read([executing, superseded, ended])?.programs ?? [])], ['/bin/it', '/x'], superseded)
  }
})

t.test('anything else is passed over', async t => {
  const noise = [
    '',
    'openat',
    '7 ',
    '7 +++ exited with 0 +++',
    '7 openat(AT_FDCWD, "/a", O_RDONLY) = 3</a>',
    '7 openat(AT_FDCWD, ) = 3<>',
    '7 openat("", O_RDONLY) = 3',
    '7 execve() = 0',
    'strace: Process 8 attached',
    '\u00ff\u0000',
  ]
  t.same(read(noise), { files: new Map(), programs: new Set(['/bin/it']) })
  const long = `7 openat(AT_FDCWD, "${hex('/'.repeat(20_000))}", O_RDONLY) = 3<${hex('/a')}>`
  const pieces = [Buffer.from(`${long}\n${opens('/b', '/b')}\nhalf`)]
  t.same([...linesOf(pieces)], [opens('/b', '/b')], 'a line longer than any call, and one that was cut')
})

t.test('a run without end', async t => {
  function* endless(): Iterable<string> {
    for (let i = 0; i < 2000; i++) yield opens(`/proc/${i}`, `/proc/${i}`)
  }
  const counts = (path: string) => !path.startsWith('/proc')
  t.equal(readStrace(endless(), { ...ALL, counts, most: 1000 }), null, 'what does not count is not kept')
  t.throws(() => readStrace(endless(), { ...ALL, most: 1000 }), {
    code: 'RECORD_FAILED',
    because: /more than 1000 files/,
  })
})
