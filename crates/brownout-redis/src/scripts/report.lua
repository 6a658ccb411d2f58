-- Keeps a replica's summary. ARGV: latest, how long the state is kept, most replicas, replica, how long, the summary.
local present, fault = state()
if fault then
  return fault
end
local index, key, ms = root .. ':replicas', root .. ':r:' .. ARGV[4], tonumber(ARGV[5])
local expired = redis.pcall('ZREMRANGEBYSCORE', index, '-inf', int(now))
if failed(expired) then
  return bad(index, expired)
end
-- One that has fallen silent may be gone; or this clock was set, and others are about to seem so. Where there is nobody,
-- nobody has told us anything yet, or all that was told is lost.
if present.epoch and (expired > 0 or redis.call('ZCARD', index) == 0) then
  redis.call('HSET', KEYS[1], 'silent', int(now))
end
if not redis.call('ZSCORE', index, ARGV[4]) and redis.call('ZCARD', index) >= tonumber(ARGV[3]) then
  return { 'full', int(now), ARGV[3] }
end
local untl = int(now + ms)
redis.call('SET', key, '1 ' .. untl .. ' ' .. ARGV[6], 'PX', ARGV[5])
keep(index, ms)
redis.call('ZADD', index, untl, ARGV[4])
keep(index, ms)
-- The state lives on while any replica does.
if present.epoch then
  keep(KEYS[1], tonumber(ARGV[2]))
end
return { 'ok', int(now) }
