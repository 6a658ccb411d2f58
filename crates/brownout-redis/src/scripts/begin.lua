-- Begins an epoch where there is none. ARGV: latest, how long the state is kept.
local present, fault = state()
if fault then
  return fault
end
if not present.epoch then
  -- Microseconds: no two epochs have the same.
  local epoch = int(time[1] * 1000000 + time[2])
  redis.call('DEL', root .. ':index')
  redis.call('HSET', KEYS[1], 'format', '1', 'epoch', epoch, 'revision', '0')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return { 'ok', int(now) }
