-- Writes stacks by compare-and-set. ARGV: latest, how long the state is kept, most values; then for each stack its
-- target, the stamp of the expected one (empty: none), how long it is kept, and its tag and entries.
local FIELDS = 4
local present, fault = state()
if fault then
  return fault
end
if not present.epoch then
  return { 'none', int(now) }
end
local free, crowded = room(ARGV[3])
if crowded then
  return crowded
end

-- Everything is looked at before anything is written, so that what is damaged leaves nothing half done.
local wanted, seen, added = {}, {}, 0
for at = 4, #ARGV, FIELDS do
  local member = 'o:' .. ARGV[at]
  local known, fault = stamp(present, member)
  if fault then
    return fault
  end
  local granted = not seen[member] and (known or '') == ARGV[at + 1]
  if granted then
    seen[member] = true
    if not known then
      added = added + 1
    end
  end
  wanted[#wanted + 1] = granted
end
if added > free then
  return { 'full', int(now), ARGV[3] }
end

local answer = { 'ok', int(now), present.epoch, '' }
for number, granted in ipairs(wanted) do
  local at = 4 + (number - 1) * FIELDS
  if granted then
    set(present, 'o:' .. ARGV[at], tonumber(ARGV[at + 2]), ARGV[at + 3])
    keep(KEYS[1], math.max(tonumber(ARGV[2]), tonumber(ARGV[at + 2])))
  end
  answer[#answer + 1] = granted and 1 or 0
end
if #lines > 0 then
  publish(present)
end
answer[4] = present.revision
return answer
