-- Adds up outcomes and trips flags. ARGV: latest, how long the state is kept, most values, replica, quorum, and the
-- time in ms after which fewer are enough; then for each flag its name, successes, failures, and of its rule the errors,
-- the length of a sub-bucket in ms, the least share of errors in billionths, and how long a trip lasts in ms.
local FIELDS, BUCKETS = 7, 12
local present, fault = state()
if fault then
  return fault
end
if not present.epoch then
  return { 'none', int(now) }
end
local replica, quorum = 'r:' .. ARGV[4], tonumber(ARGV[5])

-- Whether all who live have had the time to say so: since the epoch began, and since one of them last fell silent. Epochs
-- are named after the microsecond in which they began.
local function is_settled()
  local since = math.max(math.floor(present.epoch / 1000), present.silent)
  if redis.call('ZCOUNT', root .. ':replicas', '-inf', int(now)) > 0 then
    since = now
  end
  return now - since >= tonumber(ARGV[6])
end

-- Whether all who live are among these, who are so many, and that is known. Where none lives, nothing is known of who
-- does.
local function all_fail(failing, named)
  local live = redis.call('ZRANGEBYSCORE', root .. ':replicas', '(' .. int(now), '+inf', 'LIMIT', 0, named + 1)
  if #live == 0 or not is_settled() then
    return false
  end
  for _, name in ipairs(live) do
    if not failing['r:' .. name] then
      return false
    end
  end
  return true
end

-- Whether the outcomes within a window are too bad.
local function too_much(window, bucket, at)
  local calls, failures, failing, named = 0, 0, {}, 0
  for number = bucket - BUCKETS + 1, bucket do
    local fields = redis.call('HGETALL', window .. int(number))
    for field = 1, #fields, 2 do
      local name, value = fields[field], fields[field + 1]
      if name == 'ok' then
        calls = calls + (tonumber(value) or 0)
      elseif name == 'err' then
        failures = failures + (tonumber(value) or 0)
      elseif not failing[name] then
        failing[name], named = true, named + 1
      end
    end
  end
  calls = calls + failures
  if failures < tonumber(ARGV[at + 3]) or failures * 1000000000 < calls * tonumber(ARGV[at + 5]) then
    return false
  end
  return named >= quorum or all_fail(failing, named)
end

local function count(at)
  local member = 't:' .. ARGV[at]
  local tripped, fault = stamp(present, member)
  if tripped or fault then
    return fault
  end
  local window = root .. ':w:' .. ARGV[at] .. ':' .. ARGV[at + 4] .. ':'
  local bucket = math.floor(now / tonumber(ARGV[at + 4]))
  local key = window .. int(bucket)
  local ms = tonumber(ARGV[at + 4]) * (BUCKETS + 1)
  -- Before as well: without the right to give it an end there is to be no key.
  keep(key, ms)
  if ARGV[at + 1] ~= '0' then
    redis.call('HINCRBY', key, 'ok', ARGV[at + 1])
  end
  if ARGV[at + 2] ~= '0' then
    redis.call('HINCRBY', key, 'err', ARGV[at + 2])
  end
  keep(key, ms)
  if ARGV[at + 2] ~= '0' then
    -- More names than the quorum are of no use.
    if redis.call('HLEN', key) <= quorum + 2 then
      redis.call('HSET', key, replica, '1')
    end
  end
  -- Successes alone make nothing worse.
  if ARGV[at + 2] == '0' or not too_much(window, bucket, at) then
    return nil
  end
  local free, crowded = room(ARGV[3])
  if crowded then
    return crowded
  end
  if free < 1 then
    return { 'full', int(now), ARGV[3] }
  end
  for number = bucket - BUCKETS + 1, bucket do
    redis.call('DEL', window .. int(number))
  end
  local lasting = tonumber(ARGV[at + 6])
  set(present, member, lasting, '')
  keep(KEYS[1], math.max(tonumber(ARGV[2]), lasting))
end

local answer = { 'ok', int(now) }
for at = 7, #ARGV, FIELDS do
  -- A flag whose keys are damaged must not keep the others from being counted.
  local done, reply = pcall(count, at)
  if not done then
    local place = root .. ':t:' .. ARGV[at] .. ' or ' .. root .. ':w:' .. ARGV[at] .. ':*'
    reply = bad(place, type(reply) == 'table' and reply or { err = tostring(reply) })
    if reply.err then
      -- Of no key, but of us all: a right that is missing, say. What was set is told all the same.
      if #lines > 0 then
        publish(present)
      end
      return reply
    end
  end
  if reply then
    answer = reply
  end
end
if #lines > 0 then
  publish(present)
end
return answer
