-- What the scripts have in common that read many values.

-- Adds to the answer what lies in these places, each value behind its name, and gives it. The last two fields that it has
-- so far become the first place that is damaged, and how.
local function with_values(answer, place, names, most)
  local told = #answer - 1
  for _, name in ipairs(names) do
    local key, fault = place .. name, nil
    -- Never more than a value can have: what lies here may be anything.
    local value = redis.pcall('GETRANGE', key, 0, most)
    if failed(value) then
      local reply = bad(key, value)
      if reply.err then
        return reply
      end
      fault = reply[4]
    elseif #value > most then
      fault = 'it is larger than any of our values'
    elseif value ~= '' then
      answer[#answer + 1] = name
      answer[#answer + 1] = value
    end
    if fault and answer[told] == '' then
      answer[told], answer[told + 1] = key, fault
    end
  end
  return answer
end
