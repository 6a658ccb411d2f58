-- How many replicas live, and what some of them say. ARGV: latest, most summaries, most bytes of one.
local index = root .. ':replicas'
local live = redis.pcall('ZCOUNT', index, '(' .. int(now), '+inf')
if failed(live) then
  return bad(index, live)
end
local most, bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
-- Of more than fit, others each time.
local first = live > most and now % (live - most + 1) or 0
local names = redis.call('ZRANGEBYSCORE', index, '(' .. int(now), '+inf', 'LIMIT', int(first), most)
local answer = { 'ok', int(now), live, '', '' }
local function damaged(key, what)
  if answer[4] == '' then
    answer[4], answer[5] = key, what
  end
end
for _, name in ipairs(names) do
  local key = root .. ':r:' .. name
  local value = redis.pcall('GETRANGE', key, 0, bytes)
  if failed(value) then
    local reply = bad(key, value)
    if reply.err then
      return reply
    end
    damaged(key, reply[4])
  elseif #value > bytes then
    damaged(key, 'it is larger than any of our values')
  elseif value ~= '' then
    answer[#answer + 1] = name
    answer[#answer + 1] = value
  end
end
return answer
