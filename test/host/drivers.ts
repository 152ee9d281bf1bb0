import t from 'tap'
import { driversOf } from '../../lib/host/drivers.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { library } from '../container/tree.js'
import { tree } from '../decide/scenario.js'

const directory = '/usr/lib/x86_64-linux-gnu'
const drivers = (files: Parameters<typeof tree>[0], modules: readonly (readonly [string, string])[] = []) => {
  const fs = rootFileSystem(tree(files, {}))
  return [...driversOf(fs, [directory], new FactsCache(), new Map(modules))]
}
const lib = (soname: string) => library(soname, 'int x;')

t.test('what a driver’s files announce', async t => {
  const json = (path: string) => JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: path } })
  const found = drivers({
    '/usr/share/vulkan/icd.d/a.json': json('libGLX_a.so.0'),
    '/etc/vulkan/icd.d/b.json': json(`${directory}/libb-driver.so`),
    '/usr/share/glvnd/egl_vendor.d/c.json': json('libEGL_c.so.0'),
    '/etc/OpenCL/vendors/d.icd': 'libd.so.1\n',
    '/etc/OpenCL/vendors/readme': 'libreadme.so.1\n',
    [`${directory}/libb-driver.so`]: lib('libb.so.7'),
  })
  t.same(found.map(([soname]) => soname).sort(), ['libEGL_c.so.0', 'libGLX_a.so.0', 'libb.so.7', 'libd.so.1'])
  t.match(found.find(([soname]) => soname === 'libd.so.1')?.[1], '/etc/OpenCL/vendors/d.icd names it as a driver')
})

t.test('what is no such file announces nothing', async t => {
  const wrong = ['', '{', '[]', '{"ICD":null}', '{"ICD":{"library_path":7}}', '{"ICD":{"library_path":"a\\nb"}}']
  for (const text of wrong) t.same(drivers({ '/usr/share/vulkan/icd.d/a.json': text }), [], text)
  t.same(drivers({ '/usr/share/vulkan/icd.d/a.json': { link: 'a.json' } }), [], 'a link in a circle')
})

t.test('what bears the version of a kernel’s module', async t => {
  const files = {
    [`${directory}/libcuda.so.535.183.01`]: lib('libcuda.so.1'),
    [`${directory}/libnvidia-ptx.so.535.183.01`]: lib('libnvidia-ptx.so.1'),
    [`${directory}/libplain.so.1.0`]: lib('libplain.so.1'),
  }
  const modules = [
    ['nvidia', '535.183.01'],
    ['e1000', '1.0'],
  ] as const
  t.same(drivers(files, modules), [
    ['libcuda.so.1', "it goes with the kernel's module nvidia 535.183.01"],
    ['libnvidia-ptx.so.1', "it goes with the kernel's module nvidia 535.183.01"],
  ])
  t.same(drivers(files), [])
})

t.test('the number of an announced library’s interface is no version of a module', async t => {
  const files = {
    '/usr/share/vulkan/icd.d/a.json': JSON.stringify({ ICD: { library_path: 'liba.so.1' } }),
    [`${directory}/liba.so.1`]: lib('liba.so.1'),
    [`${directory}/libz.so.1`]: lib('libz.so.1'),
  }
  t.same(
    drivers(files, [['virtio_pci', '1']]).map(([soname]) => soname),
    ['liba.so.1'],
  )
})
