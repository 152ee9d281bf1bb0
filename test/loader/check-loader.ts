import t from 'tap'
import { checkLoader, NO_BUSINESS } from '../support/check-loader.js'
import { roots } from '../support/roots.js'

/*
 * The small run of scripts/check-loader: some of what is on this machine, some of another Debian by its own loader, and of that
 * some as files of this machine, whose libraries are too old for them. Name, file and order, what is missing, and versions.
 */

t.test('this machine', async t => {
  const directories = ['/usr/bin', '/usr/lib/x86_64-linux-gnu']
  const { same, different, leftOut, libraries } = await checkLoader('/', { directories, each: 8 })
  t.same(different, [])
  t.ok(same > 100, `${same} files with ${libraries} libraries`)
  t.same(
    leftOut.filter(({ reason }) => !NO_BUSINESS.includes(reason)),
    [],
  )
})

t.test('another Debian, by its own loader', async t => {
  const directories = ['/usr/bin', '/usr/lib/x86_64-linux-gnu']
  const { version, same, different } = await checkLoader(roots.trixie(), { directories, each: 8 })
  t.same(different, [])
  t.equal(version, '2.41')
  t.ok(same > 50, `${same} files`)
})

t.test('files of another Debian on this one', async t => {
  const directories = [`${roots.trixie()}/usr/bin`, `${roots.trixie()}/usr/lib/x86_64-linux-gnu`]
  const { same, different, withMissingLibrary, withMissingVersion } = await checkLoader('/', { directories, each: 8 })
  t.same(different, [])
  t.ok(same > 50 && withMissingVersion > 20, `${same} files, ${withMissingVersion} of them without a version`)
  t.comment(`${withMissingLibrary} without a library`)
})
