-- How many replicas live, and what some of them say. ARGV: latest, most summaries, most bytes of one.
local index = root .. ':replicas'
local live = redis.pcall('ZCOUNT', index, '(' .. int(now), '+inf')
if failed(live) then
  return bad(index, live)
end
local most = tonumber(ARGV[2])
-- Of more than fit, others each time.
local first = live > most and now % (live - most + 1) or 0
local names = redis.call('ZRANGEBYSCORE', index, '(' .. int(now), '+inf', 'LIMIT', int(first), most)
return with_values({ 'ok', int(now), live, '', '' }, root .. ':r:', names, tonumber(ARGV[3]))
