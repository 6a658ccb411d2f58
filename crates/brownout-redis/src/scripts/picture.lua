-- All values at one moment. ARGV: latest, most values, most bytes of a value.
local present, fault = state()
if fault then
  return fault
end
if not present.epoch then
  return { 'none', int(now) }
end
local index = root .. ':index'
local most = tonumber(ARGV[2])
local members = redis.pcall('ZRANGEBYSCORE', index, '(' .. int(now), '+inf', 'LIMIT', 0, most + 1)
if failed(members) then
  return bad(index, members)
end
local answer = { 'ok', int(now), present.epoch, present.revision, '', '' }
if #members > most then
  members[#members] = nil
  answer[5], answer[6] = index, 'it names more values than there may be, so some are missing'
end
return with_values(answer, root .. ':', members, tonumber(ARGV[3]))
