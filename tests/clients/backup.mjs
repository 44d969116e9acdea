// One incremental backup as a product makes it, with clients that others wrote: xen-api, and @vates/nbd-client.
// Takes what to do as JSON on standard input, and writes what it found out as JSON to standard output; judges nothing.

import { createClient } from 'xen-api'
import NbdClient from '@vates/nbd-client'

const READ_BYTES = 2 * 1024 * 1024

// one frame for each block written, then the end mark: the host's own framing of `chunked=true`
function frames(writes) {
  const parts = writes.map(({ offset, length, fill }) => {
    const frame = Buffer.alloc(12 + length, fill)
    frame.writeBigUInt64LE(BigInt(offset), 0)
    frame.writeUInt32LE(length, 8)
    return frame
  })
  return Buffer.concat([...parts, Buffer.alloc(12)])
}

// asks the host where to read, while a network of it has the purpose
async function readOverNbd(xapi, vdi, purpose) {
  const network = await xapi.call('PIF.get_network', (await xapi.call('PIF.get_all'))[0])
  await xapi.call('network.add_purpose', network, purpose)
  try {
    const infos = await xapi.call('VDI.get_nbd_info', vdi)
    const { cert, port, ...rest } = infos[0]
    const where = { ...rest, port: Number(port), ...(purpose === 'nbd' ? { cert } : {}) }
    return { infos, content: (await readAll(where)).toString('base64') }
  } finally {
    await xapi.call('network.remove_purpose', network, purpose)
  }
}

async function readAll(info) {
  const client = new NbdClient(info, { connectTimeout: 10_000, messageTimeout: 10_000 })
  await client.connect()
  try {
    const blocks = []
    const size = Number(client.exportSize)
    for (let index = 0; index * READ_BYTES < size; index++) {
      blocks.push(await client.readBlock(index, Math.min(READ_BYTES, size - index * READ_BYTES)))
    }
    return Buffer.concat(blocks)
  } finally {
    await client.disconnect()
  }
}

async function backUp(xapi, { sr, size, waiting, writes, purpose }) {
  // in the background, followed by its task, or at once
  const call = waiting ? (...args) => xapi.callAsync(...args) : (...args) => xapi.call(...args)
  const srRef = await xapi.call('SR.get_by_uuid', sr)
  const disk = await call('VDI.create', {
    name_label: 'made by xen-api', name_description: '', SR: srRef, virtual_size: size, type: 'user',
    sharable: false, read_only: false, other_config: {}, xenstore_data: {}, sm_config: {}, tags: [],
  })
  await call('VDI.enable_cbt', disk)
  const first = await call('VDI.snapshot', disk, {})
  await xapi.putResource(frames(writes), '/import_raw_vdi', {
    query: { vdi: disk, format: 'raw', chunked: 'true' },
  })
  const second = await call('VDI.snapshot', disk, {})
  const bitmap = await call('VDI.list_changed_blocks', first, second)
  const found = { disk, first, second, bitmap, ...(await readOverNbd(xapi, second, purpose)) }
  await call('VDI.data_destroy', first)
  found.type = await xapi.getField('VDI', first, 'type')
  found.again = await call('VDI.list_changed_blocks', first, second)
  found.record = await xapi.call('VDI.get_record', second)
  try {
    await call('VDI.enable_cbt', second)
  } catch (error) {
    found.refusal = [error.code, ...error.params]
  }
  // xen-api destroys its tasks on the side: let it
  for (let turn = 0; turn < 1000; turn++) {
    found.tasks = (await xapi.call('task.get_all')).length
    if (found.tasks === 0) break
  }
  return found
}

// what the client finds odd about the host; once it leaves, it may complain of what it cut off itself
const complaints = []
console.warn = (...words) => complaints.push(words.map(String).join(' '))

const input = []
for await (const part of process.stdin) input.push(part)
const asked = JSON.parse(Buffer.concat(input).toString())
const xapi = createClient({
  url: asked.url,
  auth: { user: asked.user, password: asked.password },
  allowUnauthorized: true,
  transport: asked.transport,
  debounce: 10,
})
await xapi.connect()
await xapi.objectsFetched
const seen = { records: Object.keys(xapi.objects.all).length, ...(await backUp(xapi, asked)), complaints: [...complaints] }
await xapi.disconnect()
process.stdout.write(JSON.stringify(seen), () => process.exit(0))
