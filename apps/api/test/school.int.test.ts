import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningSchool, startSchool } from './running-school.ts'

let school: RunningSchool
beforeAll(async () => {
  school = await startSchool()
})
afterAll(async () => {
  await school?.[Symbol.asyncDispose]()
})

test('the process lives, and both servers answer', async () => {
  expect(await school.request('GET', '/live')).toMatchObject({ status: 200, body: { status: 'ok' } })
  expect(await school.request('GET', '/health')).toMatchObject({
    status: 200,
    body: { status: 'ok', mongo: 'up', redis: 'up' },
  })
})

describe('students', () => {
  test('one that was added is shown, with the name trimmed', async () => {
    const added = await school.request('POST', '/students', { name: '  Ada Lovelace ' })
    expect(added.status).toBe(201)
    expect(added.body).toEqual({ id: expect.any(String), name: 'Ada Lovelace', courses: [] })
    expect(await school.request('GET', `/students/${added.body['id']}`)).toMatchObject({
      status: 200,
      body: added.body,
    })
  })

  test('a rename runs at levels 0 and 1, and both sides commit', async () => {
    const id = await school.student('Ada')
    const renamed = await school.request('PUT', `/students/${id}/name`, { name: 'Ada King' })
    expect(renamed).toMatchObject({ status: 200, body: { id, name: 'Ada King', levels: [0, 1] } })
    expect((await school.request('GET', `/students/${id}`)).body['name']).toBe('Ada King')
    expect(await school.database.collection('audits').countDocuments({ studentId: id })).toBe(1)
  })

  test('an unknown one is 404 everywhere, and renaming it leaves no audit row', async () => {
    const id = randomUUID()
    const unknown = { status: 404, body: { code: 'STUDENT_NOT_FOUND', outcome: 'not-applied', status: 404 } }
    expect(await school.request('GET', `/students/${id}`)).toMatchObject(unknown)
    expect(await school.request('PUT', `/students/${id}/name`, { name: 'Nobody' })).toMatchObject(unknown)
    expect(await school.database.collection('audits').countDocuments({ studentId: id })).toBe(0)
  })
})

describe('accounts', () => {
  test('one that was opened is shown', async () => {
    const id = randomUUID()
    const opened = await school.request('POST', '/accounts', { id, balanceCents: 250 })
    expect(opened).toMatchObject({ status: 201, body: { id, balanceCents: 250 } })
    expect(await school.request('GET', `/accounts/${id}`)).toMatchObject({
      status: 200,
      body: { id, balanceCents: 250 },
    })
  })

  test('an id with a slash, a blank and a letter beyond ASCII works, and so does the largest balance', async () => {
    const id = `a/b ü ${randomUUID()}`
    await school.request('POST', '/accounts', { id, balanceCents: Number.MAX_SAFE_INTEGER })
    const shown = await school.request('GET', `/accounts/${encodeURIComponent(id)}`)
    expect(shown).toMatchObject({ status: 200, body: { id, balanceCents: Number.MAX_SAFE_INTEGER } })
  })

  test('of ten that want one id at once, one gets it', async () => {
    const id = randomUUID()
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => school.request('POST', '/accounts', { id, balanceCents: n })),
    )
    const won = answers.filter(({ status }) => status === 201)
    expect(won).toHaveLength(1)
    for (const { status, body } of answers.filter(answer => answer !== won[0])) {
      expect([status, body['code']]).toEqual([409, 'ACCOUNT_EXISTS'])
    }
    expect((await school.request('GET', `/accounts/${id}`)).body).toEqual(won[0]?.body)
  })

  test('an unknown one is 404', async () => {
    const answer = await school.request('GET', `/accounts/${randomUUID()}`)
    expect(answer).toMatchObject({ status: 404, body: { code: 'ACCOUNT_NOT_FOUND' } })
  })
})

describe('enrolments', () => {
  const enrol = (studentId: string, feeCents: number, course = 'Logic') =>
    school.request('POST', '/enrolments', { studentId, course, feeCents })
  const balance = async (id: string) => (await school.request('GET', `/accounts/${id}`)).body['balanceCents']
  const courses = async (id: string) => (await school.request('GET', `/students/${id}`)).body['courses']
  const written = async (studentId: string) => ({
    enrolments: await school.database.collection('enrolments').countDocuments({ studentId }),
    charges: await school.database.collection('charges').countDocuments({ accountId: studentId }),
  })

  test('one runs at levels 0, 1 and 2: enrolment, charge, course', async () => {
    const id = await school.payer(1000)
    expect(await enrol(id, 400)).toMatchObject({ status: 201, body: { id: expect.any(String), levels: [0, 1, 2] } })
    expect([await balance(id), await courses(id)]).toEqual([600, ['Logic']])
    expect(await written(id)).toEqual({ enrolments: 1, charges: 1 })
  })

  test('the last cent can be spent, and a fee of nothing is one', async () => {
    const id = await school.payer(5)
    expect((await enrol(id, 5)).status).toBe(201)
    expect((await enrol(id, 0, 'Ethics')).status).toBe(201)
    expect([await balance(id), await courses(id)]).toEqual([0, ['Logic', 'Ethics']])
  })

  test('too small a balance is refused, and nothing is written', async () => {
    const id = await school.payer(399)
    const refused = await enrol(id, 400)
    expect(refused).toMatchObject({ status: 409, body: { code: 'INSUFFICIENT_FUNDS', outcome: 'not-applied' } })
    expect([await balance(id), await courses(id)]).toEqual([399, []])
    expect(await written(id)).toEqual({ enrolments: 0, charges: 0 })
  })

  test('an unknown student is refused before the account is charged', async () => {
    const id = randomUUID()
    await school.request('POST', '/accounts', { id, balanceCents: 1000 })
    expect(await enrol(id, 400)).toMatchObject({ status: 404, body: { code: 'STUDENT_NOT_FOUND' } })
    expect(await balance(id)).toBe(1000)
    expect(await written(id)).toEqual({ enrolments: 0, charges: 0 })
  })

  test('a student without an account is refused, and nothing is written', async () => {
    const id = await school.student()
    expect(await enrol(id, 0)).toMatchObject({ status: 404, body: { code: 'ACCOUNT_NOT_FOUND' } })
    expect(await courses(id)).toEqual([])
    expect(await written(id)).toEqual({ enrolments: 0, charges: 0 })
  })
})

describe('what the process tells of itself', () => {
  test('its pools, a level each, and the lanes that workers serve', async () => {
    await school.request('PUT', `/students/${await school.student()}/name`, { name: 'Grace' })
    const { status, body } = await school.request('GET', '/levels')
    expect(status).toBe(200)
    const level = (n: number) => ({ datasource: 'school', level: n, max: 10, inUse: 0, waiting: 0 })
    expect(body['pools']).toEqual([0, 1, 2, 3, 4].map(level))
    expect(body['lanes']).toContainEqual(
      expect.objectContaining({ queue: 'student.rename', level: 1, slots: 10, active: 0, waiting: 0 }),
    )
  })

  test('its measurements, as Prometheus reads them', async () => {
    await school.request('PUT', `/students/${await school.student()}/name`, { name: 'Grace' })
    const { status, headers, body } = await school.request('GET', '/metrics')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toContain('text/plain')
    expect(body['text']).toMatch(/^http_server_request_duration_count\{.*http_route="\/students\/:id\/name".*} \d+/m)
    expect(body['text']).toMatch(/^strata_pool_max\{datasource="school",level="0".*} 10/m)
    expect(body['text']).toMatch(/^strata_queue_call_duration_bucket\{job="student.rename",level="1",.*le="0.001"}/m)
  })

  test('its description: every route, with its problems and an example', async () => {
    const { status, body } = await school.request('GET', '/openapi.json')
    expect(status).toBe(200)
    const { paths } = body as { paths: Record<string, Record<string, { responses: Record<string, unknown> }>> }
    expect(Object.keys(paths).sort()).toEqual(
      [
        ...['/accounts', '/accounts/{id}', '/enrolments', '/health', '/levels', '/live', '/metrics'],
        ...['/students', '/students/{id}', '/students/{id}/name'],
        ...['/transfers', '/transfers/{id}', '/transfers/{id}/cancel', '/transfers/{id}/reverse'],
      ].sort(),
    )
    const enrolments = paths['/enrolments']?.['post']
    expect(Object.keys(enrolments?.responses ?? {}).join()).toBe('201,400,404,409,413,415,422,500,503,504')
    expect(JSON.stringify(enrolments)).toContain('The charge commits before the caller')
    expect(JSON.stringify(enrolments?.responses['201'])).toContain('"levels":[0,1,2]')
    const transfers = paths['/transfers']?.['post']
    expect(Object.keys(transfers?.responses ?? {}).join()).toBe('201,202,400,404,409,413,415,422,500,503')
  })

  test('a page to try it on', async () => {
    const page = await school.request('GET', '/docs')
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')])
  })
})
