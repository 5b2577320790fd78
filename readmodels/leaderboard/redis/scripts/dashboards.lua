-- Reads the first ARGV[3] rows and, for each pair from ARGV[4] on, of a customer and a number, the customer with so many neighbours on each
-- side: the number of customers before the first neighbour, the number before the customer, and the rows. It is empty for a customer who
-- is not on the leaderboard. Rows are keys and scores by turns, separated by spaces. In place of the score of a customer beyond the clamp, it
-- is = and the true total.

local s, failure = state()
if failure then return failure end

-- Scores of clamped points are below BEST or not below WORST.
local BEST, WORST = -(2^27 - 2) * 2^26, (2^27 - 1) * 2^26

local function rows(first, last)
  local list = redis.call('ZRANGE', KEY, first, last, 'WITHSCORES')
  if s.beyond ~= '0' then
    for i = 2, #list, 2 do
      local score = tonumber(list[i])
      if score < BEST or score >= WORST then
        local total = redis.call('HGET', BEYOND, list[i - 1])
        if total then list[i] = '=' .. total end
      end
    end
  end
  return table.concat(list, ' ')
end

local answer = {'ok', s.position, s.asof, s.customers, rows(0, ARGV[3] - 1)}
for i = 4, #ARGV, 2 do
  local before, place = redis.call('ZRANK', KEY, ARGV[i]), ''
  if before then
    local first = math.max(before - ARGV[i + 1], 0)
    place = string.format('%d %d ', first, before) .. rows(first, before + ARGV[i + 1])
  end
  answer[#answer + 1] = place
end
return answer
