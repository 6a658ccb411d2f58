-- What every script begins with. ARGV[1] is the latest moment, in ms of this server's clock, at which it may still run.
local root = string.sub(KEYS[1], 1, -6) -- without ':meta'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A number in digits: Lua would write large ones with an exponent.
local function int(number)
  return string.format('%.0f', number)
end

-- Whether a text is a number as we write them: one that Lua counts exactly, and that no other text stands for.
local function natural(text)
  return text and (text == '0' or string.find(text, '^[1-9]%d*$')) and tonumber(text) < 9007199254740992
end

-- Nobody waits any more for a command that lay in a socket while this server was stopped.
if now > tonumber(ARGV[1]) then
  return { 'late', int(now) }
end

-- An answer for what is in our place and is not ours; anything else that went wrong is raised.
local function bad(key, fault)
  if type(fault) ~= 'table' then
    return { 'bad', int(now), key, fault }
  end
  if string.find(fault.err, '^WRONGTYPE') then
    return { 'bad', int(now), key, 'it is of another type' }
  end
  if string.find(fault.err, 'value is not an integer') or string.find(fault.err, 'would overflow') then
    return { 'bad', int(now), key, 'it holds no number that could be added to' }
  end
  return fault
end

local function failed(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

-- The state, or an answer that says what is wrong with it. Without an epoch, there is none yet. It says as well when a
-- replica was last found to have fallen silent.
local function state()
  local meta = redis.pcall('HMGET', KEYS[1], 'format', 'epoch', 'revision', 'silent')
  if failed(meta) then
    return nil, bad(KEYS[1], meta)
  end
  if not meta[1] and not meta[2] and not meta[3] then
    return {}
  end
  if meta[1] and meta[1] ~= '1' and string.find(meta[1], '^%d+$') then
    return nil, { 'newer', int(now), KEYS[1], meta[1] }
  end
  if meta[1] ~= '1' or not natural(meta[2]) or not natural(meta[3]) then
    return nil, bad(KEYS[1], 'it holds no epoch and revision')
  end
  return { epoch = meta[2], revision = meta[3], silent = tonumber(meta[4] or 0) or 0 }
end

-- The epoch, the revision and the tag of a value, by its beginning; nothing where there is none; or an answer that says
-- why they cannot be told. A value of another epoch is one that the store has lost together with its state, and one that
-- the index does not name is in no picture.
local function stamp(present, member)
  local key, index = root .. ':' .. member, root .. ':index'
  local head = redis.pcall('GETRANGE', key, 0, 99)
  if failed(head) then
    return nil, bad(key, head)
  end
  if head == '' then
    return nil
  end
  local format = string.match(head .. ' ', '^(%d+) ')
  if format and format ~= '1' then
    return nil, { 'newer', int(now), key, format }
  end
  local epoch, revision, tag = string.match(head, '^1 (%d+) (%d+) %d+ (%d*)')
  if not epoch then
    return nil, bad(key, 'it does not begin as our values do')
  end
  if epoch ~= present.epoch then
    return nil
  end
  local named = redis.pcall('ZSCORE', index, member)
  if failed(named) then
    return nil, bad(index, named)
  end
  if named then
    return epoch .. ' ' .. revision .. ' ' .. tag
  end
end

-- Keeps a key for at least so long.
local function keep(key, ms)
  if redis.call('PTTL', key) < 0 then
    redis.call('PEXPIRE', key, int(ms))
  else
    redis.call('PEXPIRE', key, int(ms), 'GT')
  end
end
