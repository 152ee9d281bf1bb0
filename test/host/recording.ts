import t from 'tap'
import { readOperatingSystem } from '../../lib/host/os.js'
import { Recording } from '../../lib/host/recording.js'
import { file, memoryFileSystem } from '../../lib/loader/memory-file-system.js'

function read(fs: ReturnType<typeof memoryFileSystem>, path: string, at: number, length: number): void {
  const file = fs.open(path)
  file.read(Buffer.alloc(length), at)
  file.close()
}

t.test('what was read, in order and once', async t => {
  const recording = new Recording(
    memoryFileSystem({ '/b': Buffer.from('0123456789'), '/a': Buffer.from([0xff, 0x80]), '/c': Buffer.from('unread') }),
  )
  for (const [at, length] of [
    [6, 2],
    [0, 3],
    [2, 2],
    [0, 1],
    [8, 9],
  ] as const)
    read(recording.fs, '/b', at, length)
  read(recording.fs, '/a', 0, 8)
  t.same(recording.contents(), [
    { path: '/a', parts: [{ at: 0, base64: '/4A=' }] },
    {
      path: '/b',
      parts: [
        { at: 0, text: '0123' },
        { at: 6, text: '6789' },
      ],
    },
  ])
})

t.test('what cannot be opened', async t => {
  const recording = new Recording(memoryFileSystem({ '/closed': file(Buffer.from('secret'), 0o600) }))
  t.throws(() => recording.fs.open('/closed'), { code: 'EACCES' })
  t.same([recording.contents(), [...recording.closed]], [[], [['/closed', 'EACCES']]])
})

t.test('a reader reads as it does without', async t => {
  const fs = memoryFileSystem({ '/etc/os-release': Buffer.from('ID=made\nPRETTY_NAME="Made Up"\n') })
  const recording = new Recording(fs)
  t.same(readOperatingSystem(recording.fs), readOperatingSystem(fs))
  t.same(
    recording.contents().map(({ path }) => path),
    ['/etc/os-release'],
  )
})
