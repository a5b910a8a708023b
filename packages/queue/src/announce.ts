/** Entries of processes that are gone are removed after this, and those that claim to live for longer are not ours. */
export const forgetMs = 60_000

/** Far above what an entry with many lanes takes. */
const entryBytesMax = 262_144

/**
 * Adds this process if it fits, with those that are declared and not yet started: one script, so that of two that start at once
 * only the second is refused. A missing process counts as much as the largest of its kind, because in a rolling deploy it may be
 * of either version. Answers with what its own kind and all others may open.
 */
export const announceScript = `
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local kinds = {}
local function count(kind, declared, connections)
  local of = kinds[kind] or { live = 0, declared = 1, sum = 0, largest = 0 }
  of.live, of.sum = of.live + 1, of.sum + connections
  of.declared, of.largest = math.max(of.declared, declared), math.max(of.largest, connections)
  kinds[kind] = of
end
-- Redis's cjson reads NaN too, which is in no range.
local function isBetween(value, least, most) return type(value) == 'number' and value >= least and value <= most end
local function isOurs(found)
  return type(found) == 'table' and isBetween(found.untilMs, 0, ms + ${forgetMs})
    and (found.connections == nil or isBetween(found.connections, 0, 1000000))
    and (found.setup == nil or type(found.setup) == 'string')
    and (found.kind == nil or type(found.kind) == 'string')
    and (found.processesMax == nil or isBetween(found.processesMax, 1, 1000000))
end
local dropped = 0
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local ok, found = #entries[i + 1] <= ${entryBytesMax}, nil
  if ok then ok, found = pcall(cjson.decode, entries[i + 1]) end
  if entries[i] == ARGV[1] then
  elseif not ok or not isOurs(found) then
    dropped = dropped + redis.call('HDEL', KEYS[1], entries[i])
  elseif found.untilMs <= ms then
    if found.untilMs < ms - ${forgetMs} then redis.call('HDEL', KEYS[1], entries[i]) end
  else
    if ARGV[7] == '1' and found.setup and found.setup ~= ARGV[6] then return {-1, 0, 0, dropped, found.setup} end
    if found.connections then count(found.kind or entries[i], found.processesMax or 1, found.connections) end
  end
end
count(ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[2]))
local own, others = 0, 0
for kind, of in pairs(kinds) do
  local reserved = of.sum + math.max(0, of.declared - of.live) * of.largest
  if kind == ARGV[8] then own = reserved else others = others + reserved end
end
local limit = tonumber(ARGV[3])
if limit > 0 and own + others > limit then return {0, own, others, dropped} end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({
  untilMs = ms + tonumber(ARGV[4]), connections = tonumber(ARGV[2]), setup = ARGV[6], lanes = cjson.decode(ARGV[5]),
  kind = ARGV[8], processesMax = tonumber(ARGV[9]) }))
redis.call('PEXPIRE', KEYS[1], 600000)
return {1, own, others, dropped}
`

/**
 * 1 where it is in, 0 where it does not fit, -1 where it disagrees; connections of its own kind and of others; entries that were
 * removed; what others agree on.
 */
export type Announced = [isIn: -1 | 0 | 1, own: number, others: number, dropped: number, setup?: string]
