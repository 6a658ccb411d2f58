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
local answer = { 'ok', int(now), present.epoch, present.revision, '', '' }
return with_values(answer, root .. ':', members, tonumber(ARGV[3]))
