// Reads bodies, a line of JSON each, and answers with what Node's parsers hand out: [reader, place, path, value in base64].
const path = require('node:path')
const { Readable } = require('node:stream')
const { createInterface } = require('node:readline')
const { createRequire } = require('node:module')

const need = createRequire(path.join(process.argv[2], 'package.json'))
const busboy = need('busboy')
const bodyParser = need('body-parser')
const { XMLParser } = need('fast-xml-parser')

const parsers = [
  ['express', 'field', bodyParser.urlencoded({ extended: true, limit: '10mb' })],
  ['express (querystring)', 'field', bodyParser.urlencoded({ extended: false, limit: '10mb' })],
  ['express', 'json', bodyParser.json({ limit: '10mb', strict: false, type: (request) => /json/i.test(request.headers['content-type'] ?? '') })]
]

function asRequest (body) {
  const request = Readable.from([body.content])
  request.headers = { 'content-type': body.type, 'content-length': String(body.content.length) }
  request.method = 'POST'
  return request
}

function leaves (reader, place, what, path, found) {
  if (typeof what === 'string') found.push([reader, place, path, Buffer.from(what).toString('base64')])
  else if (what !== null && typeof what === 'object') {
    for (const name of Object.keys(what)) leaves(reader, place, what[name], [...path, name], found)
  }
}

const parsed = (reader, place, parse, body, found) => new Promise((resolve) => {
  const request = asRequest(body)
  parse(request, {}, (error) => {
    if (!error && request.body !== undefined) leaves(reader, place, request.body, [], found)
    resolve()
  })
})

// An application may have used a field before the form turns out to be broken: what was handed out counts.
const multipart = (body, found) => new Promise((resolve) => {
  let form
  try {
    form = busboy({ headers: asRequest(body).headers })
  } catch {
    return resolve()
  }
  form.on('field', (name, value) => found.push(['busboy', 'field', [name ?? ''], Buffer.from(value ?? '').toString('base64')]))
  form.on('file', (name, file, info) => {
    found.push(['busboy', 'file', [name ?? ''], Buffer.from(info.filename ?? '').toString('base64')])
    file.on('error', () => {})
    file.resume()
  })
  form.on('error', resolve)
  form.on('close', resolve)
  form.end(body.content)
})

function xml (body, found) {
  // It reads bytes: of UTF-16 it makes letters with a NUL between each, comments among them, which are no use to anybody.
  if (!/xml/i.test(body.type) || body.content.includes(0)) return
  try {
    const read = new XMLParser({ ignoreAttributes: false, parseTagValue: false }).parse(body.content)
    for (const name of Object.keys(read)) if (name.startsWith('?')) delete read[name]
    leaves('fast-xml-parser', 'xml', read, [], found)
  } catch {}
}

async function answer (line) {
  const asked = JSON.parse(line)
  const body = { type: Buffer.from(asked.type).toString('latin1'), content: Buffer.from(asked.content, 'base64') }
  const found = []
  for (const [reader, place, parse] of parsers) await parsed(reader, place, parse, body, found)
  await multipart(body, found)
  xml(body, found)
  process.stdout.write(JSON.stringify(found) + '\n')
}

async function main () {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) await answer(line)
}

main()
