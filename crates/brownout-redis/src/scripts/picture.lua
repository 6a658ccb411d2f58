-- All values at one moment. ARGV: latest, most values, most bytes of a value.
local present, fault = state()
if fault then
  return fault
end
if not present.epoch then
  return { 'none', int(now) }
end
local index = root .. ':index'
local members = redis.pcall('ZRANGEBYSCORE', index, '(' .. int(now), '+inf', 'LIMIT', 0, ARGV[2])
if failed(members) then
  return bad(index, members)
end
local most = tonumber(ARGV[3])
local answer = { 'ok', int(now), present.epoch, present.revision, '', '' }
local function damaged(key, what)
  if answer[5] == '' then
    answer[5], answer[6] = key, what
  end
end
for _, member in ipairs(members) do
  local key = root .. ':' .. member
  -- Never more than a value can have: what lies here may be anything.
  local value = redis.pcall('GETRANGE', key, 0, most)
  if failed(value) then
    local reply = bad(key, value)
    if reply.err then
      return reply
    end
    damaged(key, reply[4])
  elseif #value > most then
    damaged(key, 'it is larger than any of our values')
  elseif value ~= '' then
    answer[#answer + 1] = member
    answer[#answer + 1] = value
  end
end
return answer
