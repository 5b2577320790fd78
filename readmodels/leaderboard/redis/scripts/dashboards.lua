-- Reads the best ARGV[2] and, for each pair from ARGV[3] on, of a customer and a number, the customer's place with so many
-- neighbours on each side. A place is how many are before the first neighbour, how many before the customer, and the rows;
-- it is empty for somebody who is not there. Rows are keys and scores in turn, with spaces between.

local s, refused = state()
if refused then return refused end

local function rows(first, last)
  return table.concat(redis.call('ZRANGE', KEY, first, last, 'WITHSCORES'), ' ')
end

local answer = {'ok', s.position, s.asof, s.customers, rows(0, ARGV[2] - 1)}
for i = 3, #ARGV, 2 do
  local before, place = redis.call('ZRANK', KEY, ARGV[i]), ''
  if before then
    local first = math.max(before - ARGV[i + 1], 0)
    place = string.format('%d %d ', first, before) .. rows(first, before + ARGV[i + 1])
  end
  answer[#answer + 1] = place
end
return answer
