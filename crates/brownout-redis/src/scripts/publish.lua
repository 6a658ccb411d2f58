-- What the writing scripts have in common: one revision for all values of a call, and one message of them.
local lines = {}

-- Sets a value under the next revision, until that moment.
local function set(present, member, ms, payload)
  if #lines == 0 then
    present.revision = int(redis.call('HINCRBY', KEYS[1], 'revision', 1))
  end
  local untl = int(now + ms)
  local value = '1 ' .. present.epoch .. ' ' .. present.revision .. ' ' .. untl .. ' ' .. payload
  keep(root .. ':index', ms)
  redis.call('ZADD', root .. ':index', untl, member)
  keep(root .. ':index', ms)
  redis.call('SET', root .. ':' .. member, value, 'PX', int(ms))
  lines[#lines + 1] = member .. ' ' .. untl .. ' ' .. payload
end

-- Tells subscribers of all that was set.
local function publish(present)
  local head = '1 ' .. present.epoch .. ' ' .. present.revision .. ' ' .. int(now)
  redis.call('PUBLISH', root .. ':changes', head .. '\n' .. table.concat(lines, '\n'))
end

-- How many values there may still be, of so many; or an answer that says why not.
local function room(most)
  local index = root .. ':index'
  local expired = redis.pcall('ZREMRANGEBYSCORE', index, '-inf', int(now))
  if failed(expired) then
    return nil, bad(index, expired)
  end
  return tonumber(most) - redis.call('ZCARD', index)
end
